//! Correspondence between what changes of primary rested on and its messages.

use tenure_core::{Account, Completeness, Considered, FenceProof, Note, Timeline};

use super::FormatError;
use super::codec;
use super::v1::receipt as msg;
use super::v1::receipt::{completeness::Known, fence::Proof};

pub(super) fn encode_account(account: &Account) -> Option<msg::Account> {
    Some(msg::Account {
        cause: codec::cause::encode(&account.cause),
        fence: Some(encode_fence(account.fence)),
        completeness: Some(encode_completeness(&account.completeness)),
        evidence: account
            .evidence
            .iter()
            .map(codec::evidence::encode)
            .collect(),
        considered: account.considered.iter().map(encode_considered).collect(),
        timeline: encode_timeline(&account.timeline),
    })
}

pub(super) fn decode_account(found: Option<msg::Account>) -> Result<Account, FormatError> {
    let found = found.ok_or(FormatError::Missing("account"))?;
    let evidence = found.evidence.into_iter().map(codec::evidence::decode);
    let considered = found.considered.into_iter().map(decode_considered);
    Ok(Account {
        cause: codec::cause::decode(found.cause)?,
        fence: decode_fence(found.fence)?,
        completeness: decode_completeness(found.completeness)?,
        evidence: evidence.collect::<Result<Vec<Note>, _>>()?,
        considered: considered.collect::<Result<_, _>>()?,
        timeline: decode_timeline(found.timeline)?,
    })
}

fn encode_fence(proof: FenceProof) -> Proof {
    match proof {
        FenceProof::Nobody => Proof::Nobody(true),
        FenceProof::Confirmed => Proof::Confirmed(true),
        FenceProof::Exited => Proof::Exited(true),
        FenceProof::LeaseOver { silent } => Proof::LeaseOver(codec::millis::encode(&silent)),
        FenceProof::Operator => Proof::Operator(true),
    }
}

fn decode_fence(found: Option<Proof>) -> Result<FenceProof, FormatError> {
    match found {
        Some(Proof::Nobody(true)) => Ok(FenceProof::Nobody),
        Some(Proof::Confirmed(true)) => Ok(FenceProof::Confirmed),
        Some(Proof::Exited(true)) => Ok(FenceProof::Exited),
        Some(Proof::LeaseOver(silent)) => Ok(FenceProof::LeaseOver {
            silent: codec::millis::decode(silent)?,
        }),
        Some(Proof::Operator(true)) => Ok(FenceProof::Operator),
        Some(
            Proof::Nobody(false)
            | Proof::Confirmed(false)
            | Proof::Exited(false)
            | Proof::Operator(false),
        )
        | None => Err(FormatError::Missing("fence proof")),
    }
}

fn encode_completeness(completeness: &Completeness) -> Known {
    match completeness {
        Completeness::First => Known::First(true),
        Completeness::Equal => Known::Equal(true),
        Completeness::Proven { heard } => Known::Proven(msg::Heard {
            nodes: codec::node_set::encode(heard),
        }),
        Completeness::Bounded { lacks } => Known::Bounded(*lacks),
        Completeness::Unknown => Known::Unknown(true),
    }
}

fn decode_completeness(found: Option<Known>) -> Result<Completeness, FormatError> {
    match found {
        Some(Known::First(true)) => Ok(Completeness::First),
        Some(Known::Equal(true)) => Ok(Completeness::Equal),
        Some(Known::Proven(found)) => Ok(Completeness::Proven {
            heard: codec::node_set::decode(found.nodes)?,
        }),
        Some(Known::Bounded(lacks)) => Ok(Completeness::Bounded { lacks }),
        Some(Known::Unknown(true)) => Ok(Completeness::Unknown),
        Some(Known::First(false) | Known::Equal(false) | Known::Unknown(false)) | None => {
            Err(FormatError::Missing("completeness"))
        }
    }
}

fn encode_considered(considered: &Considered) -> msg::Considered {
    msg::Considered {
        node: codec::node::encode(&considered.node),
        position: codec::maybe_position::encode(&considered.position),
        verdict: codec::verdict::encode(&considered.verdict),
    }
}

fn decode_considered(found: msg::Considered) -> Result<Considered, FormatError> {
    Ok(Considered {
        node: codec::node::decode(found.node)?,
        position: codec::maybe_position::decode(found.position)?,
        verdict: codec::verdict::decode(found.verdict)?,
    })
}

pub(super) fn encode_timeline(timeline: &Timeline) -> Vec<msg::Step> {
    let steps = timeline.iter().map(|(phase, at)| msg::Step {
        phase: codec::phase::encode(phase),
        at: codec::millis::encode(at),
    });
    steps.collect()
}

/// The numbers of steps are in the order of the core's.
pub(super) fn decode_timeline(found: Vec<msg::Step>) -> Result<Timeline, FormatError> {
    if !found.is_sorted_by(|a, b| a.phase < b.phase) {
        return Err(FormatError::invalid("timeline", "not in order"));
    }
    let step = |step: msg::Step| {
        let phase = codec::phase::decode(step.phase)?;
        Ok((phase, codec::millis::decode(step.at)?))
    };
    found.into_iter().map(step).collect()
}
