//! Nodes, their lifecycle, and how they are named in requests.

use super::field;
use crate::{ParseError, v1};
use tenure_core::{Incarnation, Lifecycle, Member, Node, NodeId, NodeRef, Revision};

impl TryFrom<v1::NodeRef> for NodeRef {
    type Error = ParseError;

    fn try_from(wire: v1::NodeRef) -> Result<Self, ParseError> {
        match (wire.id, wire.name.as_str()) {
            (0, "") => Err(ParseError::new("", "names no node: give an id or a name")),
            (0, name) => field::node_name("name", name).map(Self::Name),
            (id, "") => Ok(Self::Id(NodeId(id))),
            (_, _) => Err(ParseError::new(
                "",
                "has both an id and a name: give one of them",
            )),
        }
    }
}

impl From<&NodeRef> for v1::NodeRef {
    fn from(node: &NodeRef) -> Self {
        match node {
            NodeRef::Id(id) => Self {
                id: id.0,
                name: String::new(),
            },
            NodeRef::Name(name) => Self {
                id: 0,
                name: name.as_str().to_owned(),
            },
        }
    }
}

impl TryFrom<v1::Member> for Member {
    type Error = ParseError;

    fn try_from(wire: v1::Member) -> Result<Self, ParseError> {
        Ok(Self {
            node: node_id("node", wire.node)?,
            incarnation: Incarnation(wire.incarnation),
        })
    }
}

impl From<Member> for v1::Member {
    fn from(member: Member) -> Self {
        Self {
            node: member.node.0,
            incarnation: member.incarnation.0,
        }
    }
}

pub(super) fn node_id(field: &str, id: u64) -> Result<NodeId, ParseError> {
    if id == 0 {
        return Err(ParseError::new(field, "is 0, which is no node's id"));
    }
    Ok(NodeId(id))
}

pub(super) fn lifecycle(field: &str, number: i32) -> Result<Lifecycle, ParseError> {
    match field::known(field, number)? {
        v1::Lifecycle::Unspecified => Err(field::unspecified(field)),
        v1::Lifecycle::Joining => Ok(Lifecycle::Joining),
        v1::Lifecycle::Active => Ok(Lifecycle::Active),
        v1::Lifecycle::Draining => Ok(Lifecycle::Draining),
        v1::Lifecycle::Maintenance => Ok(Lifecycle::Maintenance),
        v1::Lifecycle::Removed => Ok(Lifecycle::Removed),
    }
}

impl From<Lifecycle> for v1::Lifecycle {
    fn from(lifecycle: Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::Joining => Self::Joining,
            Lifecycle::Active => Self::Active,
            Lifecycle::Draining => Self::Draining,
            Lifecycle::Maintenance => Self::Maintenance,
            Lifecycle::Removed => Self::Removed,
        }
    }
}

impl TryFrom<v1::Node> for Node {
    type Error = ParseError;

    fn try_from(wire: v1::Node) -> Result<Self, ParseError> {
        Ok(Self {
            id: node_id("id", wire.id)?,
            name: field::node_name("name", &wire.name)?,
            zone: field::zone("zone", &wire.zone)?,
            labels: field::attributes("labels", wire.labels)?,
            weight: wire.weight,
            incarnation: Incarnation(wire.incarnation),
            lifecycle: lifecycle("lifecycle", wire.lifecycle)?,
            reason: field::note("reason", &wire.reason)?,
            created: Revision(wire.created),
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Node> for v1::Node {
    fn from(node: &Node) -> Self {
        Self {
            id: node.id.0,
            name: node.name.as_str().to_owned(),
            zone: field::zone_to_wire(node.zone.as_ref()),
            labels: field::attributes_to_wire(&node.labels),
            weight: node.weight,
            incarnation: node.incarnation.0,
            lifecycle: v1::Lifecycle::from(node.lifecycle).into(),
            reason: node.reason.as_str().to_owned(),
            created: node.created.0,
            modified: node.modified.0,
        }
    }
}
