//! The types that openraft is configured with, and short names for them.

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_std;
use openraft::type_config::alias;
use serde::{Deserialize, Serialize};

/// The number of a server: a Raft voter or learner. Given once, never reused.
pub type ServerId = u64;

/// Where a server is reached; travels in the cluster's membership.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerAddr {
    /// `host:port` of the Raft service.
    pub raft: String,
    /// `host:port` of the API.
    pub api: String,
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "raft {} api {}", self.raft, self.api)
    }
}

/// An encoded command, as it travels and as it lies in the log.
///
/// It stays opaque until it is applied, so that a server keeps and forwards what it cannot read
/// yet.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

openraft::declare_raft_types!(
    /// How openraft is used here: opaque commands in, outcomes out, one leader per term.
    pub TypeConfig:
        D = Payload,
        R = tenure_core::Outcome,
        NodeId = ServerId,
        Node = ServerAddr,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

/// Term and proposing server of a leader or candidate.
pub type LeaderId = alias::LeaderIdOf<TypeConfig>;
/// The leader part of a log id: with one leader per term, the term alone.
pub type CommittedLeaderId = alias::CommittedLeaderIdOf<TypeConfig>;
/// Term and index of a log entry.
pub type LogId = alias::LogIdOf<TypeConfig>;
/// A vote, as it is stored and sent.
pub type Vote = alias::VoteOf<TypeConfig>;
/// A log entry.
pub type Entry = alias::EntryOf<TypeConfig>;
/// What a log entry carries: nothing, a command, or a membership.
pub type EntryPayload = alias::EntryPayloadOf<TypeConfig>;
/// Voters and learners with their addresses.
pub type Membership = openraft::Membership<ServerId, ServerAddr>;
/// A membership with the log id that set it.
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;

/// Builds a log id from its two parts.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: CommittedLeaderId::new(term),
        index,
    }
}
