//! Why a call failed.

use std::time::Duration;
use tenure_core::{Reject, RejectCode, ServerId, controller::HoldCode};

/// A server, and where clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Its id.
    pub id: ServerId,
    /// `HOST:PORT`.
    pub api: String,
}

/// Why a server refused a call. Nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server does not lead.
    NotLeader,
    /// Nobody leads at the moment.
    NoLeader,
    /// No server's state is as fresh as the read asked for; the answering one's was this old.
    TooStale {
        /// Age in milliseconds; `u64::MAX` when it was never known to be current.
        age_ms: u64,
    },
    /// The server is shutting down.
    ShuttingDown,
    /// Too much is under way.
    Overloaded,
    /// The cluster was not formed yet.
    NotFormed,
    /// What the call names does not exist.
    NotFound,
    /// The servers cannot be changed so now.
    Membership,
    /// The leader did not hear from a quorum.
    NoQuorum,
    /// The leader decided not to act: see [`Error::held`].
    Held {
        /// The number of the kind of reason.
        code: u32,
    },
    /// The command was committed and changed nothing, for a reason that only newer servers know.
    RejectedForNewReason {
        /// The reason's number.
        code: u32,
    },
    /// The answer holds something that this build cannot read: the server is newer.
    Unreadable,
    /// The server failed, or is no server of Tenure.
    Other,
}

/// The leader decided not to act, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'a> {
    /// What kind of reason; None for one that only newer servers know.
    pub code: Option<HoldCode>,
    /// The number of the kind of reason.
    pub number: u32,
    /// The reason as a sentence: what is missing, and what would help.
    pub why: &'a str,
}

/// Why a call failed. `to_string` gives a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[must_use]
pub enum Error {
    /// The command was committed and changed nothing.
    #[error("rejected: {0}")]
    Rejected(Reject),
    /// A server refused the call. Nothing happened.
    #[error("refused: {detail}")]
    Refused {
        /// Why.
        reason: Refusal,
        /// Why, as a sentence.
        detail: String,
        /// Who leads, as the server knows it.
        leader: Option<ServerAddress>,
    },
    /// No server could be reached. Nothing happened.
    #[error("no server could be reached, tried {}: {last}", tried.join(", "))]
    Unreachable {
        /// Their endpoints.
        tried: Vec<String>,
        /// What went wrong last.
        last: String,
    },
    /// The deadline passed first. Nothing happened.
    #[error("gave up after {} ms: {last}", after.as_millis())]
    Deadline {
        /// How long it was tried.
        after: Duration,
        /// What went wrong last.
        last: String,
        /// Who leads, as the servers said last.
        leader: Option<ServerAddress>,
    },
    /// The change may have been made, or may yet be made: look before doing it again.
    #[error("it is not known whether the change was made: {last}")]
    OutcomeUnknown {
        /// What went wrong last.
        last: String,
    },
    /// The call cannot be right: nothing was sent, or the server said so. Nothing happened.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl Error {
    /// Whether the same call, made again as it is, is safe and may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(reject) => reject.code == RejectCode::RequestWindowFull,
            Self::Refused { reason, .. } => match reason {
                Refusal::NotLeader
                | Refusal::NoLeader
                | Refusal::TooStale { .. }
                | Refusal::ShuttingDown
                | Refusal::Overloaded
                | Refusal::NotFormed
                | Refusal::NoQuorum => true,
                Refusal::NotFound
                | Refusal::Membership
                | Refusal::Held { .. }
                | Refusal::RejectedForNewReason { .. }
                | Refusal::Unreadable
                | Refusal::Other => false,
            },
            Self::Unreachable { .. } | Self::Deadline { .. } => true,
            Self::OutcomeUnknown { .. } | Self::Invalid(_) => false,
        }
    }

    /// Whether the change that was asked for may have been made, or may yet be. Never true for reads.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. })
    }

    /// Who leads, where the servers said so. The client follows by itself; this is for people.
    #[must_use]
    pub fn leader_hint(&self) -> Option<&ServerAddress> {
        match self {
            Self::Refused { leader, .. } | Self::Deadline { leader, .. } => leader.as_ref(),
            Self::Rejected(_)
            | Self::Unreachable { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Invalid(_) => None,
        }
    }

    /// Whether the leader decided not to act, and why. Nothing happened; a retry helps when what the
    /// reason speaks of has changed.
    #[must_use]
    pub fn held(&self) -> Option<Held<'_>> {
        match self {
            Self::Refused {
                reason: Refusal::Held { code },
                detail,
                ..
            } => Some(Held {
                code: HoldCode::ALL
                    .iter()
                    .copied()
                    .find(|it| it.number() == *code),
                number: *code,
                why: detail,
            }),
            Self::Refused { .. }
            | Self::Rejected(_)
            | Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Invalid(_) => None,
        }
    }

    pub(crate) fn unreadable(why: impl std::fmt::Display) -> Self {
        Self::Refused {
            reason: Refusal::Unreadable,
            detail: format!("the server's answer cannot be read: {why}"),
            leader: None,
        }
    }
}
