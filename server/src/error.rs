//! Why consensus could not do what was asked, as values that an answer to a client can be made from.

use std::fmt;

use tenure_core::{Reject, ServerId};
use thiserror::Error;

/// A server of the group, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: ServerId,
    /// `host:port` for other servers.
    pub raft: String,
    /// `host:port` for clients.
    pub api: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} (API at {})", self.id, self.api)
    }
}

fn hint(leader: Option<&Peer>) -> String {
    leader.map_or_else(String::new, |peer| format!("; ask {peer}"))
}

/// Why a command was not committed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// Another server leads. Nothing was proposed; ask that one.
    #[error("this server does not lead{}", hint(leader.as_ref()))]
    NotLeader {
        /// Who leads, as far as this server knows.
        leader: Option<Peer>,
    },
    /// Nobody leads, or the leader has lost its quorum. Nothing was proposed; a retry is safe.
    #[error("no server leads with a quorum now; try again shortly")]
    NoLeader,
    /// The command may have been committed, or may yet be. A retry needs a request id, or a command
    /// that is harmless to repeat.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// This server is shutting down. Nothing was proposed; ask another server.
    #[error("this server is shutting down; ask another one")]
    ShuttingDown,
    /// Too many proposals are under way. Nothing was proposed; a retry after a pause is safe.
    #[error("too many proposals are under way on this server; try again after a pause")]
    Overloaded,
    /// Consensus has stopped on this server for good. Whether the command was committed is unknown.
    #[error("consensus has stopped on this server: {0}")]
    Fatal(String),
}

/// Why no index was found at which a read is linearizable. A retry is always safe.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Nobody is known to lead, or the leader cannot be reached.
    #[error("no leader can be asked now; try again shortly")]
    NoLeader,
    /// The leader could not confirm in time that it still leads.
    #[error("the leader found no quorum: {0}")]
    NoQuorum(String),
    /// This server is shutting down.
    #[error("this server is shutting down; ask another one")]
    ShuttingDown,
    /// Consensus has stopped on this server for good.
    #[error("consensus has stopped on this server: {0}")]
    Fatal(String),
}

/// Why the group of servers was not changed, or not wholly.
///
/// Every step may be repeated: what is already done is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// Another server leads: ask that one. Also the answer of a leader that is to be removed and
    /// has handed over first.
    #[error("this server does not lead{}", hint(leader.as_ref()))]
    NotLeader {
        /// Who leads, as far as this server knows.
        leader: Option<Peer>,
    },
    /// Nobody leads, or the leader has lost its quorum.
    #[error("no server leads with a quorum now; try again shortly")]
    NoLeader,
    /// The state does not allow it. A retry cannot help.
    #[error("{0}")]
    Rejected(Reject),
    /// The request contradicts itself or the group as it is. A retry cannot help.
    #[error("{0}")]
    Invalid(String),
    /// Another change is under way; try again when it has ended.
    #[error("another change of the group is under way; try again when it has ended")]
    Busy,
    /// A step did not end in time. It may yet; a retry takes up where this one stopped.
    #[error("{0}")]
    TimedOut(String),
    /// It is not known whether the last step was committed; a retry takes up where this one stopped.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// This server is shutting down; ask another one.
    #[error("this server is shutting down; ask another one")]
    ShuttingDown,
    /// Consensus has stopped on this server for good.
    #[error("consensus has stopped on this server: {0}")]
    Fatal(String),
}

impl From<ProposeError> for MembershipError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { leader } => Self::NotLeader { leader },
            ProposeError::NoLeader => Self::NoLeader,
            ProposeError::Unknown(why) => Self::Unknown(why),
            ProposeError::ShuttingDown => Self::ShuttingDown,
            ProposeError::Overloaded => Self::Busy,
            ProposeError::Fatal(why) => Self::Fatal(why),
        }
    }
}
