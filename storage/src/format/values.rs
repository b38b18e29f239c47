//! Correspondence between the messages that commands and records share and the core's types.

use std::collections::BTreeMap;

use tenure_core::{
    Attributes, CopiesPolicy, Epoch, LossPolicy, Millis, NodeId, NodeRef, PeersPolicy, Policy,
    Position, PrimaryPolicy, Report, Scope,
};

use super::FormatError;
use super::codec;
use super::v1::automation::{self, scope::Of};
use super::v1::values as msg;

pub(super) fn attributes_message(attributes: &Attributes) -> Option<msg::Attributes> {
    if attributes.is_empty() {
        return None;
    }
    let pairs = attributes.iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
    Some(msg::Attributes {
        pairs: pairs.collect(),
    })
}

pub(super) fn attributes(found: Option<msg::Attributes>) -> Result<Attributes, FormatError> {
    let pairs: BTreeMap<String, String> = found.map(|found| found.pairs).unwrap_or_default();
    Attributes::new(pairs).map_err(|e| FormatError::invalid("labels or attributes", e))
}

impl From<&NodeRef> for msg::NodeRef {
    fn from(node: &NodeRef) -> Self {
        let by = match node {
            NodeRef::Id(id) => msg::node_ref::By::Id(id.0),
            NodeRef::Name(name) => msg::node_ref::By::Name(name.as_str().to_owned()),
        };
        Self { by: Some(by) }
    }
}

pub(super) fn node_ref(found: Option<msg::NodeRef>) -> Result<NodeRef, FormatError> {
    match found.and_then(|found| found.by) {
        Some(msg::node_ref::By::Id(id)) => Ok(NodeRef::Id(NodeId(id))),
        Some(msg::node_ref::By::Name(name)) => Ok(NodeRef::Name(codec::node_name::decode(name)?)),
        None => Err(FormatError::Missing("node")),
    }
}

impl From<&Policy> for msg::Policy {
    fn from(policy: &Policy) -> Self {
        let of = match policy {
            Policy::Primary(p) => msg::policy::Of::Primary(msg::PrimaryPolicy {
                loss: Some(match p.loss {
                    LossPolicy::Never => msg::loss::Policy::Never(true),
                    LossPolicy::Bounded(lag) => msg::loss::Policy::Bounded(lag),
                    LossPolicy::Available => msg::loss::Policy::Available(true),
                }),
                replicas: p.replicas,
                write_acks: p.write_acks,
                anti_flap_ms: p.anti_flap_ms.0,
            }),
            Policy::Peers(p) => msg::policy::Of::Peers(msg::PeersPolicy {
                healthy_min: p.healthy_min,
            }),
            Policy::Copies(p) => msg::policy::Of::Copies(p.into()),
        };
        Self { of: Some(of) }
    }
}

impl From<&CopiesPolicy> for msg::CopiesPolicy {
    fn from(policy: &CopiesPolicy) -> Self {
        let usual = CopiesPolicy::default();
        let grace = policy.repair_grace_ms;
        let transfers = policy.transfers_per_node;
        Self {
            copies: policy.copies,
            write_min: policy.write_min,
            spread_zones: policy.spread_zones,
            repair_grace_ms: (grace != usual.repair_grace_ms).then_some(grace.0),
            transfers_per_node: (transfers != usual.transfers_per_node).then_some(transfers),
        }
    }
}

fn copies(found: msg::CopiesPolicy) -> CopiesPolicy {
    let usual = CopiesPolicy::default();
    CopiesPolicy {
        copies: found.copies,
        write_min: found.write_min,
        spread_zones: found.spread_zones,
        repair_grace_ms: found.repair_grace_ms.map_or(usual.repair_grace_ms, Millis),
        transfers_per_node: found.transfers_per_node.unwrap_or(usual.transfers_per_node),
    }
}

/// Ranges are not checked here: `apply` rejects a policy that is out of them, and answers why.
pub(super) fn policy(found: Option<msg::Policy>) -> Result<Policy, FormatError> {
    Ok(match found.and_then(|found| found.of) {
        Some(msg::policy::Of::Primary(p)) => Policy::Primary(PrimaryPolicy {
            loss: loss(p.loss)?,
            replicas: p.replicas,
            write_acks: p.write_acks,
            anti_flap_ms: Millis(p.anti_flap_ms),
        }),
        Some(msg::policy::Of::Peers(p)) => Policy::Peers(PeersPolicy {
            healthy_min: p.healthy_min,
        }),
        Some(msg::policy::Of::Copies(p)) => Policy::Copies(copies(p)),
        None => return Err(FormatError::Missing("policy of a known kind")),
    })
}

fn loss(found: Option<msg::loss::Policy>) -> Result<LossPolicy, FormatError> {
    match found {
        Some(msg::loss::Policy::Never(true)) => Ok(LossPolicy::Never),
        Some(msg::loss::Policy::Bounded(lag)) => Ok(LossPolicy::Bounded(lag)),
        Some(msg::loss::Policy::Available(true)) => Ok(LossPolicy::Available),
        Some(msg::loss::Policy::Never(false) | msg::loss::Policy::Available(false)) | None => {
            Err(FormatError::Missing("policy of loss"))
        }
    }
}

impl From<&Position> for msg::Position {
    fn from(position: &Position) -> Self {
        Self {
            history: position.history.as_str().to_owned(),
            offset: position.offset,
        }
    }
}

pub(super) fn position(found: msg::Position) -> Result<Position, FormatError> {
    Ok(Position {
        history: codec::what::decode(found.history)?,
        offset: found.offset,
    })
}

impl From<&Report> for msg::Report {
    fn from(report: &Report) -> Self {
        Self {
            health: msg::Health::of(report.health),
            role: report.role.map(|(role, epoch)| msg::HeldRole {
                role: msg::Role::of(role),
                epoch: epoch.0,
            }),
            position: codec::maybe_position::encode(&report.position),
            note: report.note.as_str().to_owned(),
            attributes: attributes_message(&report.attributes),
        }
    }
}

pub(super) fn report(found: Option<msg::Report>) -> Result<Report, FormatError> {
    let found = found.ok_or(FormatError::Missing("report"))?;
    let role = |held: msg::HeldRole| Ok((msg::Role::core(held.role)?, Epoch(held.epoch)));
    Ok(Report {
        health: msg::Health::core(found.health)?,
        role: found.role.map(role).transpose()?,
        position: codec::maybe_position::decode(found.position)?,
        note: codec::detail::decode(found.note)?,
        attributes: attributes(found.attributes)?,
    })
}

impl From<&Scope> for automation::Scope {
    fn from(scope: &Scope) -> Self {
        let of = match scope {
            Scope::Cluster => Of::Cluster(true),
            Scope::Service(name) => Of::Service(name.as_str().to_owned()),
            Scope::Node(id) => Of::Node(id.0),
        };
        Self { of: Some(of) }
    }
}

pub(super) fn scope(found: Option<automation::Scope>) -> Result<Scope, FormatError> {
    match found.and_then(|found| found.of) {
        Some(Of::Cluster(true)) => Ok(Scope::Cluster),
        Some(Of::Service(name)) => Ok(Scope::Service(codec::service_name::decode(name)?)),
        Some(Of::Node(id)) => Ok(Scope::Node(NodeId(id))),
        Some(Of::Cluster(false)) | None => Err(FormatError::Missing("scope of a pause")),
    }
}
