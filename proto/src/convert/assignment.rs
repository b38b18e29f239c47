//! What was decided: assignments, and the pins that outrank them.

use super::{field, node::node_id};
use crate::{ParseError, v1};
use std::collections::BTreeSet;
use tenure_core::{
    Assignment, Epoch, Loss, NodeId, Pin, PinKind, Revision, Timestamp, limits::IN_SYNC_MAX,
};

/// The nodes of an in-sync set, or of another set of a service's members.
pub(super) fn nodes(field: &str, nodes: Vec<u64>) -> Result<BTreeSet<NodeId>, ParseError> {
    let nodes = field::list(field, nodes, IN_SYNC_MAX, node_id)?;
    Ok(nodes.into_iter().collect())
}

pub(super) fn nodes_to_wire(nodes: &BTreeSet<NodeId>) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = ParseError;

    fn try_from(wire: v1::Assignment) -> Result<Self, ParseError> {
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            primary: field::optional("primary", wire.primary)?,
            epoch: Epoch(wire.epoch),
            loss: Loss(wire.loss),
            in_sync: nodes("in_sync", wire.in_sync)?,
            syncing: nodes("syncing", wire.syncing)?,
            reason: field::note("reason", &wire.reason)?,
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Assignment> for v1::Assignment {
    fn from(assignment: &Assignment) -> Self {
        Self {
            service: assignment.service.as_str().to_owned(),
            primary: assignment.primary.map(Into::into),
            epoch: assignment.epoch.0,
            loss: assignment.loss.0,
            in_sync: nodes_to_wire(&assignment.in_sync),
            syncing: nodes_to_wire(&assignment.syncing),
            reason: assignment.reason.as_str().to_owned(),
            modified: assignment.modified.0,
        }
    }
}

pub(super) fn pin_kind(field: &str, number: i32) -> Result<PinKind, ParseError> {
    match field::known(field, number)? {
        v1::PinKind::Unspecified => Err(field::unspecified(field)),
        v1::PinKind::Up => Ok(PinKind::Up),
        v1::PinKind::Down => Ok(PinKind::Down),
    }
}

impl From<PinKind> for v1::PinKind {
    fn from(kind: PinKind) -> Self {
        match kind {
            PinKind::Up => Self::Up,
            PinKind::Down => Self::Down,
        }
    }
}

/// The end of a pin or pause; 0 is none.
pub(super) fn until(ms: u64) -> Option<Timestamp> {
    (ms != 0).then_some(Timestamp(ms))
}

pub(super) fn until_to_wire(until: Option<Timestamp>) -> u64 {
    until.map_or(0, |until| until.0)
}

impl TryFrom<v1::Pin> for Pin {
    type Error = ParseError;

    fn try_from(wire: v1::Pin) -> Result<Self, ParseError> {
        Ok(Self {
            node: node_id("node", wire.node)?,
            kind: pin_kind("kind", wire.kind)?,
            until: until(wire.until_ms),
            reason: field::note("reason", &wire.reason)?,
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Pin> for v1::Pin {
    fn from(pin: &Pin) -> Self {
        Self {
            node: pin.node.0,
            kind: v1::PinKind::from(pin.kind).into(),
            until_ms: until_to_wire(pin.until),
            reason: pin.reason.as_str().to_owned(),
            modified: pin.modified.0,
        }
    }
}
