//! Refusals: every "no" of the API as a gRPC status with a typed [`v1::Refusal`] in its details.

use crate::consensus::{MembershipError, Peer, ProposeError, ReadError};
use crate::control::Unanswered;
use tenure_core::{
    Reject,
    controller::{Hold, HoldCode},
};
use tenure_proto::{
    refusal::{self, because, status},
    v1::{self, refusal::Reason},
};
use tonic::{Code, Status};

fn hint(peer: Peer) -> v1::ServerHint {
    v1::ServerHint {
        id: peer.id.0,
        api: peer.api,
    }
}

/// The request cannot be right.
pub(crate) fn invalid(why: impl ToString) -> Status {
    status(
        Code::InvalidArgument,
        because(Reason::Invalid, why.to_string()),
    )
}

/// What the call names does not exist.
pub(super) fn not_found(what: impl ToString) -> Status {
    status(Code::NotFound, because(Reason::NotFound, what.to_string()))
}

/// Too much of this is under way.
pub(crate) fn overloaded(what: impl ToString) -> Status {
    status(
        Code::ResourceExhausted,
        because(Reason::Overloaded, what.to_string()),
    )
}

/// The command was committed and changed nothing.
pub(super) fn rejected(reject: &Reject) -> Status {
    status(Code::FailedPrecondition, refusal::rejected(reject))
}

/// The leader could not confirm that it still leads.
pub(super) fn no_quorum(why: impl ToString) -> Status {
    status(
        Code::Unavailable,
        because(Reason::NoQuorum, why.to_string()),
    )
}

/// This server's state is older than the read allows.
pub(super) fn too_stale(age_ms: u64, max_ms: u64, leader: Option<Peer>) -> Status {
    let detail = if age_ms == u64::MAX {
        format!("this server never knew its state to be current; {max_ms} ms were allowed")
    } else {
        format!("this server's state is {age_ms} ms old, {max_ms} ms were allowed")
    };
    let told = v1::Refusal {
        age_ms,
        leader: leader.map(hint),
        ..because(Reason::TooStale, detail)
    };
    status(Code::Unavailable, told)
}

/// Why a proposal was not carried out.
pub(super) fn propose(error: ProposeError) -> Status {
    let detail = error.to_string();
    match error {
        ProposeError::NotLeader { leader } => not_leader(detail, leader),
        ProposeError::NoLeader => no_leader(detail),
        ProposeError::Unknown(_) => status(Code::Unknown, because(Reason::OutcomeUnknown, detail)),
        ProposeError::ShuttingDown => shutting_down(detail),
        ProposeError::Overloaded => overloaded(detail),
        ProposeError::Fatal(_) => status(Code::Internal, because(Reason::OutcomeUnknown, detail)),
    }
}

/// Why a linearizable read was not answered.
pub(super) fn read(error: ReadError) -> Status {
    let detail = error.to_string();
    match error {
        ReadError::NoLeader => no_leader(detail),
        ReadError::NoQuorum(_) => no_quorum(detail),
        ReadError::ShuttingDown | ReadError::Fatal(_) => shutting_down(detail),
    }
}

/// Why the group of servers was not changed.
pub(super) fn membership(error: MembershipError) -> Status {
    let detail = error.to_string();
    match error {
        MembershipError::NotLeader { leader } => not_leader(detail, leader),
        MembershipError::Rejected(reject) => rejected(&reject),
        MembershipError::Unknown(_) => {
            status(Code::Unknown, because(Reason::OutcomeUnknown, detail))
        }
        MembershipError::NoLeader => no_leader(detail),
        MembershipError::ShuttingDown => shutting_down(detail),
        MembershipError::Fatal(_) => {
            status(Code::Internal, because(Reason::OutcomeUnknown, detail))
        }
        MembershipError::Busy | MembershipError::TimedOut(_) | MembershipError::Invalid(_) => {
            status(
                Code::FailedPrecondition,
                because(Reason::Membership, detail),
            )
        }
    }
}

/// The leader decided not to act.
pub(super) fn held(hold: &Hold) -> Status {
    if hold.code == HoldCode::NotLeading {
        return no_leader(hold.to_string());
    }
    let told = v1::Refusal {
        hold: Some(hold.into()),
        ..because(Reason::Held, hold.to_string())
    };
    status(Code::FailedPrecondition, told)
}

/// Why the controller did not answer.
pub(super) fn unanswered(why: Unanswered, leader: Option<Peer>) -> Status {
    let unknown = |detail: String| status(Code::Unknown, because(Reason::OutcomeUnknown, detail));
    match why {
        Unanswered::NotLeading => {
            let error = ProposeError::NotLeader { leader };
            propose(error)
        }
        Unanswered::LostLead => unknown(
            "this server led when it was asked and does not any more: the receipts of the service \
             say whether its primary was moved"
                .to_owned(),
        ),
        Unanswered::Overloaded => overloaded("too many questions to the controller at a time"),
        Unanswered::TimedOut(within) => unknown(format!(
            "it was not done within {} ms and goes on: the receipts of the service say what comes of it",
            within.as_millis()
        )),
    }
}

fn not_leader(detail: String, leader: Option<Peer>) -> Status {
    match leader {
        None => no_leader(detail),
        Some(leader) => {
            let told = v1::Refusal {
                leader: Some(hint(leader)),
                ..because(Reason::NotLeader, detail)
            };
            status(Code::FailedPrecondition, told)
        }
    }
}

fn no_leader(detail: String) -> Status {
    status(Code::Unavailable, because(Reason::NoLeader, detail))
}

fn shutting_down(detail: String) -> Status {
    status(Code::Unavailable, because(Reason::ShuttingDown, detail))
}
