//! Receipts: what a change of primary rested on.

use super::{
    assignment::{nodes, nodes_to_wire},
    field,
    node::node_id,
};
use crate::{ParseError, v1};
use tenure_core::{
    Account, Cause, Completeness, Considered, Epoch, FenceProof, Millis, Phase, Receipt, Timeline,
    Timestamp,
    limits::{CONSIDERED_MAX, EVIDENCE_MAX},
};

fn cause(field: &str, number: i32) -> Result<Cause, ParseError> {
    Ok(match field::known(field, number)? {
        v1::Cause::Unspecified => return Err(field::unspecified(field)),
        v1::Cause::First => Cause::First,
        v1::Cause::Exited => Cause::Exited,
        v1::Cause::NodeLost => Cause::NodeLost,
        v1::Cause::AgentLost => Cause::AgentLost,
        v1::Cause::Stuck => Cause::Stuck,
        v1::Cause::Deaf => Cause::Deaf,
        v1::Cause::Switchover => Cause::Switchover,
        v1::Cause::Drain => Cause::Drain,
        v1::Cause::Operator => Cause::Operator,
    })
}

impl From<Cause> for v1::Cause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::First => Self::First,
            Cause::Exited => Self::Exited,
            Cause::NodeLost => Self::NodeLost,
            Cause::AgentLost => Self::AgentLost,
            Cause::Stuck => Self::Stuck,
            Cause::Deaf => Self::Deaf,
            Cause::Switchover => Self::Switchover,
            Cause::Drain => Self::Drain,
            Cause::Operator => Self::Operator,
        }
    }
}

impl TryFrom<v1::FenceProof> for FenceProof {
    type Error = ParseError;

    fn try_from(wire: v1::FenceProof) -> Result<Self, ParseError> {
        use v1::fence_proof::Kind;
        Ok(match wire.kind.ok_or_else(field::no_kind)? {
            Kind::Nobody(_) => Self::Nobody,
            Kind::Confirmed(_) => Self::Confirmed,
            Kind::Exited(_) => Self::Exited,
            Kind::LeaseOverMs(silent) => Self::LeaseOver {
                silent: Millis(silent),
            },
            Kind::Operator(_) => Self::Operator,
        })
    }
}

impl From<FenceProof> for v1::FenceProof {
    fn from(proof: FenceProof) -> Self {
        use v1::fence_proof::Kind;
        let kind = match proof {
            FenceProof::Nobody => Kind::Nobody(true),
            FenceProof::Confirmed => Kind::Confirmed(true),
            FenceProof::Exited => Kind::Exited(true),
            FenceProof::LeaseOver { silent } => Kind::LeaseOverMs(silent.0),
            FenceProof::Operator => Kind::Operator(true),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Completeness> for Completeness {
    type Error = ParseError;

    fn try_from(wire: v1::Completeness) -> Result<Self, ParseError> {
        use v1::completeness::Kind;
        Ok(match wire.kind.ok_or_else(field::no_kind)? {
            Kind::First(_) => Self::First,
            Kind::Equal(_) => Self::Equal,
            Kind::Proven(heard) => Self::Proven {
                heard: nodes("proven.nodes", heard.nodes)?,
            },
            Kind::Bounded(lacks) => Self::Bounded { lacks },
            Kind::Unknown(_) => Self::Unknown,
        })
    }
}

impl From<&Completeness> for v1::Completeness {
    fn from(completeness: &Completeness) -> Self {
        use v1::completeness::{Heard, Kind};
        let kind = match completeness {
            Completeness::First => Kind::First(true),
            Completeness::Equal => Kind::Equal(true),
            Completeness::Proven { heard } => Kind::Proven(Heard {
                nodes: nodes_to_wire(heard),
            }),
            Completeness::Bounded { lacks } => Kind::Bounded(*lacks),
            Completeness::Unknown => Kind::Unknown(true),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::receipt::Considered> for Considered {
    type Error = ParseError;

    fn try_from(wire: v1::receipt::Considered) -> Result<Self, ParseError> {
        Ok(Self {
            node: node_id("node", wire.node)?,
            position: field::optional("position", wire.position)?,
            verdict: field::note("verdict", &wire.verdict)?,
        })
    }
}

impl From<&Considered> for v1::receipt::Considered {
    fn from(considered: &Considered) -> Self {
        Self {
            node: considered.node.0,
            position: considered.position.as_ref().map(Into::into),
            verdict: considered.verdict.as_str().to_owned(),
        }
    }
}

/// A timeline that is absent has no steps.
fn timeline(wire: Option<v1::receipt::Timeline>) -> Timeline {
    let wire = wire.unwrap_or_default();
    let steps = [
        (Phase::Detected, wire.detected_ms),
        (Phase::Fenced, wire.fenced_ms),
        (Phase::Surveyed, wire.surveyed_ms),
        (Phase::Committed, wire.committed_ms),
        (Phase::Confirmed, wire.confirmed_ms),
    ];
    let done = |(phase, at): (Phase, Option<u64>)| at.map(|at| (phase, Millis(at)));
    steps.into_iter().filter_map(done).collect()
}

fn timeline_to_wire(timeline: &Timeline) -> v1::receipt::Timeline {
    let mut wire = v1::receipt::Timeline::default();
    for (phase, at) in timeline {
        let step = match phase {
            Phase::Detected => &mut wire.detected_ms,
            Phase::Fenced => &mut wire.fenced_ms,
            Phase::Surveyed => &mut wire.surveyed_ms,
            Phase::Committed => &mut wire.committed_ms,
            Phase::Confirmed => &mut wire.confirmed_ms,
        };
        *step = Some(at.0);
    }
    wire
}

impl TryFrom<v1::Receipt> for Receipt {
    type Error = ParseError;

    fn try_from(wire: v1::Receipt) -> Result<Self, ParseError> {
        let evidence = |field: &str, text: String| field::note(field, &text);
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            epoch: Epoch(wire.epoch),
            from: field::optional("from", wire.from)?,
            to: field::message("to", wire.to)?,
            account: Account {
                cause: cause("cause", wire.cause)?,
                fence: field::message("fence", wire.fence)?,
                completeness: field::message("completeness", wire.completeness)?,
                evidence: field::list("evidence", wire.evidence, EVIDENCE_MAX, evidence)?,
                considered: field::messages("considered", wire.considered, CONSIDERED_MAX)?,
                timeline: timeline(wire.timeline),
            },
            stamp: Timestamp(wire.stamp_ms),
            acknowledged: wire.acknowledged,
            returned: field::note("returned", &wire.returned)?,
        })
    }
}

impl From<&Receipt> for v1::Receipt {
    fn from(receipt: &Receipt) -> Self {
        let account = &receipt.account;
        let evidence = account.evidence.iter();
        Self {
            service: receipt.service.as_str().to_owned(),
            epoch: receipt.epoch.0,
            from: receipt.from.map(Into::into),
            to: Some(receipt.to.into()),
            cause: v1::Cause::from(account.cause).into(),
            fence: Some(account.fence.into()),
            completeness: Some((&account.completeness).into()),
            evidence: evidence.map(|note| note.as_str().to_owned()).collect(),
            considered: account.considered.iter().map(Into::into).collect(),
            timeline: Some(timeline_to_wire(&account.timeline)),
            stamp_ms: receipt.stamp.0,
            acknowledged: receipt.acknowledged,
            returned: receipt.returned.as_str().to_owned(),
        }
    }
}
