//! The shapes that `--json` prints. Programs read them: a field may be added, but none is renamed,
//! removed or given another meaning. A value that is not there is `null`, never left out.

mod copies;
mod instance;
mod operate;
mod receipt;

pub use copies::{CopiesOf, DryRun, InTheWay, Item, Verify, holder_name};
pub use instance::{Assigned, Instance, Position};
pub use operate::{Automation, Explanation, Forecast, Hold, Moved, Pause};
pub use receipt::Receipt;

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tenure_core as core;

/// A node. `incarnation` counts its joins; `modified` is what `--expected` compares.
#[derive(Debug, Serialize)]
pub struct Node {
    id: u64,
    name: String,
    zone: Option<String>,
    labels: BTreeMap<String, String>,
    weight: u32,
    incarnation: u64,
    /// joining, active, draining, maintenance or removed.
    lifecycle: String,
    reason: String,
    modified: u64,
}

impl From<&core::Node> for Node {
    fn from(node: &core::Node) -> Self {
        Self {
            id: node.id.0,
            name: node.name.to_string(),
            zone: node.zone.as_ref().map(ToString::to_string),
            labels: pairs(&node.labels),
            weight: node.weight,
            incarnation: node.incarnation.0,
            lifecycle: node.lifecycle.to_string(),
            reason: node.reason.to_string(),
            modified: node.modified.0,
        }
    }
}

/// A service with its assignment, if its kind has one.
#[derive(Debug, Serialize)]
pub struct Service {
    name: String,
    policy: Policy,
    assignment: Option<Assignment>,
    instances: usize,
    modified: u64,
}

impl Service {
    /// The service as the state has it.
    pub fn new(state: &core::State, service: &core::Service) -> Self {
        Self {
            name: service.name.to_string(),
            policy: service.policy.into(),
            assignment: state
                .assignment(&service.name)
                .map(|now| Assignment::new(state, now)),
            instances: state.instances(&service.name).count(),
            modified: service.modified.0,
        }
    }
}

/// What is wanted of a service; the keys are those of the topology file.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Policy {
    /// One primary, and replicas.
    Primary {
        /// never, bounded or available.
        loss: String,
        /// Only with bounded.
        loss_bound: Option<u64>,
        /// Replicas wanted.
        replicas: u32,
        /// Replicas that must acknowledge a write.
        write_acks: u32,
        /// Milliseconds.
        anti_flap_ms: u64,
    },
    /// Equal peers.
    Peers {
        /// Fewest that must be healthy.
        healthy_min: u32,
    },
    /// Items kept on several nodes.
    Copies {
        /// Copies wanted of each item.
        copies: u32,
        /// Fewest copies for a write.
        write_min: u32,
        /// Whether copies go to different zones.
        spread_zones: bool,
        /// Milliseconds that a lost node is waited for.
        repair_grace_ms: u64,
        /// Transfers that a node sends at a time, and as many that it receives.
        transfers_per_node: u32,
    },
}

impl From<core::Policy> for Policy {
    fn from(policy: core::Policy) -> Self {
        match policy {
            core::Policy::Primary(p) => {
                let (loss, loss_bound) = match p.loss {
                    core::LossPolicy::Never => ("never", None),
                    core::LossPolicy::Bounded(bound) => ("bounded", Some(bound)),
                    core::LossPolicy::Available => ("available", None),
                };
                Self::Primary {
                    loss: loss.to_owned(),
                    loss_bound,
                    replicas: p.replicas,
                    write_acks: p.write_acks,
                    anti_flap_ms: p.anti_flap_ms.0,
                }
            }
            core::Policy::Peers(p) => Self::Peers {
                healthy_min: p.healthy_min,
            },
            core::Policy::Copies(p) => Self::Copies {
                copies: p.copies,
                write_min: p.write_min,
                spread_zones: p.spread_zones,
                repair_grace_ms: p.repair_grace_ms.0,
                transfers_per_node: p.transfers_per_node,
            },
        }
    }
}

/// Who was decided to be primary. `epoch` is the fencing token, and what `--expected-epoch` compares.
#[derive(Debug, Serialize)]
pub struct Assignment {
    service: String,
    primary: Option<Primary>,
    epoch: u64,
    loss: u64,
    /// Names of the nodes known to hold every acknowledged write.
    in_sync: Vec<String>,
    /// Names of the nodes that follow and may acknowledge, and may lack older writes.
    syncing: Vec<String>,
    reason: String,
    modified: u64,
}

/// The primary of a service.
#[derive(Debug, Serialize)]
pub struct Primary {
    node: String,
    node_id: u64,
    incarnation: u64,
    /// Null when its instance is gone.
    endpoint: Option<String>,
}

impl Assignment {
    /// The assignment, with names from the state.
    pub fn new(state: &core::State, now: &core::Assignment) -> Self {
        let primary = now.primary.map(|member| Primary {
            node: node_name(state, member.node),
            node_id: member.node.0,
            incarnation: member.incarnation.0,
            endpoint: state
                .instance(&now.service, member.node)
                .map(|instance| instance.endpoint.to_string()),
        });
        Self {
            service: now.service.to_string(),
            primary,
            epoch: now.epoch.0,
            loss: now.loss.0,
            in_sync: node_names(state, &now.in_sync),
            syncing: node_names(state, &now.syncing),
            reason: now.reason.to_string(),
            modified: now.modified.0,
        }
    }
}

/// The name of a node, or its number when the state does not have it.
pub fn node_name(state: &core::State, id: core::NodeId) -> String {
    state
        .nodes()
        .get(&id)
        .map_or_else(|| id.to_string(), |node| node.name.to_string())
}

/// The names of nodes, in the order of their numbers.
pub fn node_names(state: &core::State, ids: &BTreeSet<core::NodeId>) -> Vec<String> {
    ids.iter().map(|id| node_name(state, *id)).collect()
}

/// A node's pin. `until_ms` is wall-clock milliseconds since 1970, null for no end.
#[derive(Debug, Serialize)]
pub struct Pin {
    node: String,
    node_id: u64,
    /// up or down.
    pin: String,
    until_ms: Option<u64>,
    reason: String,
    modified: u64,
}

impl Pin {
    /// The pin, with the name of its node.
    pub fn new(state: &core::State, pin: &core::Pin) -> Self {
        Self {
            node: node_name(state, pin.node),
            node_id: pin.node.0,
            pin: pin.kind.to_string(),
            until_ms: pin.until.map(|until| until.0),
            reason: pin.reason.to_string(),
            modified: pin.modified.0,
        }
    }
}

/// The cluster's settings.
#[derive(Debug, Serialize)]
pub struct Settings {
    history_max: u32,
    clients_max: u32,
    feature_level: u32,
    modified: u64,
}

impl From<&core::Settings> for Settings {
    fn from(settings: &core::Settings) -> Self {
        Self {
            history_max: settings.history_max,
            clients_max: settings.clients_max,
            feature_level: settings.feature_level,
            modified: settings.modified.0,
        }
    }
}

/// A server as the replicated state remembers it.
#[derive(Debug, Serialize)]
pub struct Server {
    id: u64,
    raft: String,
    api: String,
    /// admitted or retired.
    status: String,
    modified: u64,
}

impl From<&core::ServerRecord> for Server {
    fn from(server: &core::ServerRecord) -> Self {
        Self {
            id: server.id.0,
            raft: server.raft.to_string(),
            api: server.api.to_string(),
            status: server.status.to_string(),
            modified: server.modified.0,
        }
    }
}

/// One change. `stamp_ms` is the leader's wall clock, milliseconds since 1970.
#[derive(Debug, Serialize)]
pub struct HistoryEntry {
    revision: u64,
    stamp_ms: u64,
    actor: String,
    what: String,
}

impl From<&core::HistoryEntry> for HistoryEntry {
    fn from(entry: &core::HistoryEntry) -> Self {
        Self {
            revision: entry.revision.0,
            stamp_ms: entry.stamp.0,
            actor: entry.actor.to_string(),
            what: entry.what.to_string(),
        }
    }
}

/// What came of a command: the revision after it, and what it created, if it names something.
#[derive(Debug, Serialize)]
pub struct Done {
    revision: u64,
    node: Option<u64>,
    epoch: Option<u64>,
}

impl From<core::Done> for Done {
    fn from(done: core::Done) -> Self {
        let (node, epoch) = match done.created {
            Some(core::Created::Node(id)) => (Some(id.0), None),
            Some(core::Created::Epoch(epoch)) => (None, Some(epoch.0)),
            Some(core::Created::Client(_)) | None => (None, None),
        };
        Self {
            revision: done.revision.0,
            node,
            epoch,
        }
    }
}

fn pairs(attributes: &core::Attributes) -> BTreeMap<String, String> {
    attributes
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
