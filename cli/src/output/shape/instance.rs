//! The shape of an instance.

use super::{node_name, pairs};
use serde::Serialize;
use std::collections::BTreeMap;
use tenure_core as core;

/// What the assignment of a service makes of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Assigned {
    /// It is primary.
    Primary,
    /// It holds every acknowledged write.
    InSync,
    /// It follows and may acknowledge, and may lack older writes.
    Syncing,
}

impl Assigned {
    /// None for an instance that the assignment does not name.
    pub fn of(state: &core::State, instance: &core::Instance) -> Option<Self> {
        let now = state.assignment(&instance.service)?;
        let node = instance.node;
        if now.primary.is_some_and(|primary| primary.node == node) {
            Some(Self::Primary)
        } else if now.in_sync.contains(&node) {
            Some(Self::InSync)
        } else {
            now.syncing.contains(&node).then_some(Self::Syncing)
        }
    }
}

impl std::fmt::Display for Assigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::InSync => "in sync",
            Self::Syncing => "syncing",
        })
    }
}

/// An instance. `health` is unknown when it last spoke in an earlier incarnation of its node.
#[derive(Debug, Serialize)]
pub struct Instance {
    service: String,
    node: String,
    node_id: u64,
    endpoint: String,
    preference: u32,
    /// What was decided: primary, in_sync, syncing or null.
    assigned: Option<Assigned>,
    /// unknown, starting, healthy, degraded or failing.
    health: String,
    /// What it says it is: primary, replica, peer or null.
    role: Option<String>,
    /// The epoch in which it says so.
    role_epoch: Option<u64>,
    position: Option<Position>,
    note: String,
    attributes: BTreeMap<String, String>,
    modified: u64,
}

/// How far an instance has got.
#[derive(Debug, Serialize)]
pub struct Position {
    history: String,
    offset: u64,
}

impl From<&core::Position> for Position {
    fn from(position: &core::Position) -> Self {
        Self {
            history: position.history.to_string(),
            offset: position.offset,
        }
    }
}

impl Instance {
    /// The instance, with what the state knows about its node.
    pub fn new(state: &core::State, instance: &core::Instance) -> Self {
        let report = &instance.report;
        Self {
            service: instance.service.to_string(),
            node: node_name(state, instance.node),
            node_id: instance.node.0,
            endpoint: instance.endpoint.to_string(),
            preference: instance.preference,
            assigned: Assigned::of(state, instance),
            health: state.health(instance).to_string(),
            role: report.role.map(|(role, _)| role.to_string()),
            role_epoch: report.role.map(|(_, epoch)| epoch.0),
            position: report.position.as_ref().map(Into::into),
            note: report.note.to_string(),
            attributes: pairs(&report.attributes),
            modified: instance.modified.0,
        }
    }
}
