//! The shape of a receipt: what a change of primary rested on.

use super::{Position, node_name, node_names};
use serde::Serialize;
use tenure_core as core;

/// A receipt. `stamp_ms` is the leader's wall clock, milliseconds since 1970.
#[derive(Debug, Serialize)]
pub struct Receipt {
    service: String,
    epoch: u64,
    /// Null when there was no primary before.
    from: Option<String>,
    from_id: Option<u64>,
    to: String,
    to_id: u64,
    /// first, exited, node_lost, agent_lost, stuck, deaf, switchover, drain or operator.
    cause: &'static str,
    fence: Fence,
    completeness: Completeness,
    /// What was seen, and by whom, one sentence each.
    evidence: Vec<String>,
    considered: Vec<Considered>,
    timeline: Timeline,
    stamp_ms: u64,
    acknowledged: bool,
    /// What became of the old primary; null until it has returned.
    returned: Option<String>,
}

/// Why it is believed that the old primary serves no more.
#[derive(Debug, Serialize)]
struct Fence {
    /// nobody, confirmed, exited, lease_over or operator.
    proof: &'static str,
    /// Only with lease_over: for how long it had been silent.
    silent_ms: Option<u64>,
}

/// How complete the new primary is.
#[derive(Debug, Serialize)]
struct Completeness {
    /// Whether no acknowledged write can be missing.
    lossless: bool,
    /// first, equal, proven, bounded or unknown.
    proof: &'static str,
    /// Only with proven: who had said how far they have got.
    heard: Option<Vec<String>>,
    /// Only with bounded: at most so much of position is missing.
    lacks: Option<u64>,
}

/// One instance that was considered.
#[derive(Debug, Serialize)]
struct Considered {
    node: String,
    node_id: u64,
    position: Option<Position>,
    verdict: String,
}

/// Milliseconds after the last sign of life of the old primary, or after its writes were paused; null
/// for a step that was not taken, or not yet.
#[derive(Debug, Serialize)]
struct Timeline {
    detected_ms: Option<u64>,
    fenced_ms: Option<u64>,
    surveyed_ms: Option<u64>,
    committed_ms: Option<u64>,
    confirmed_ms: Option<u64>,
}

impl Receipt {
    /// The receipt, with names from the state.
    pub fn new(state: &core::State, receipt: &core::Receipt) -> Self {
        let account = &receipt.account;
        let considered = account.considered.iter().map(|one| Considered {
            node: node_name(state, one.node),
            node_id: one.node.0,
            position: one.position.as_ref().map(Into::into),
            verdict: one.verdict.to_string(),
        });
        Self {
            service: receipt.service.to_string(),
            epoch: receipt.epoch.0,
            from: receipt.from.map(|from| node_name(state, from.node)),
            from_id: receipt.from.map(|from| from.node.0),
            to: node_name(state, receipt.to.node),
            to_id: receipt.to.node.0,
            cause: cause(account.cause),
            fence: fence(account.fence),
            completeness: completeness(state, &account.completeness),
            evidence: account.evidence.iter().map(ToString::to_string).collect(),
            considered: considered.collect(),
            timeline: timeline(&account.timeline),
            stamp_ms: receipt.stamp.0,
            acknowledged: receipt.acknowledged,
            returned: Some(receipt.returned.to_string()).filter(|text| !text.is_empty()),
        }
    }
}

fn cause(cause: core::Cause) -> &'static str {
    match cause {
        core::Cause::First => "first",
        core::Cause::Exited => "exited",
        core::Cause::NodeLost => "node_lost",
        core::Cause::AgentLost => "agent_lost",
        core::Cause::Stuck => "stuck",
        core::Cause::Deaf => "deaf",
        core::Cause::Switchover => "switchover",
        core::Cause::Drain => "drain",
        core::Cause::Operator => "operator",
    }
}

fn fence(fence: core::FenceProof) -> Fence {
    let (proof, silent_ms) = match fence {
        core::FenceProof::Nobody => ("nobody", None),
        core::FenceProof::Confirmed => ("confirmed", None),
        core::FenceProof::Exited => ("exited", None),
        core::FenceProof::LeaseOver { silent } => ("lease_over", Some(silent.0)),
        core::FenceProof::Operator => ("operator", None),
    };
    Fence { proof, silent_ms }
}

fn completeness(state: &core::State, known: &core::Completeness) -> Completeness {
    let (proof, heard, lacks) = match known {
        core::Completeness::First => ("first", None, None),
        core::Completeness::Equal => ("equal", None, None),
        core::Completeness::Proven { heard } => ("proven", Some(node_names(state, heard)), None),
        core::Completeness::Bounded { lacks } => ("bounded", None, Some(*lacks)),
        core::Completeness::Unknown => ("unknown", None, None),
    };
    Completeness {
        lossless: known.is_lossless(),
        proof,
        heard,
        lacks,
    }
}

fn timeline(timeline: &core::Timeline) -> Timeline {
    let at = |phase| timeline.get(&phase).map(|at| at.0);
    Timeline {
        detected_ms: at(core::Phase::Detected),
        fenced_ms: at(core::Phase::Fenced),
        surveyed_ms: at(core::Phase::Surveyed),
        committed_ms: at(core::Phase::Committed),
        confirmed_ms: at(core::Phase::Confirmed),
    }
}
