//! What this server knows of the group, taken from the metrics of the Raft core.

use std::fmt;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tenure_core::ServerId;
use tenure_storage::types::TypeConfig;

use super::peer;
use crate::error::Peer;
use crate::raft::Raft;

/// What a server is in the group at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// Commits commands.
    Leader,
    /// Votes, and follows a leader.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Has stopped.
    Shutdown,
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Shutdown => "shutdown",
        })
    }
}

/// A server of the group as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who, and where.
    pub peer: Peer,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it leads.
    pub leader: bool,
    /// Log entries that it still lacks. Only the leader knows; None where nothing is known.
    pub lag: Option<u64>,
}

/// One server's view of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// What this server is.
    pub role: ServerRole,
    /// The term it is in.
    pub term: u64,
    /// Who leads, if it knows.
    pub leader: Option<ServerId>,
    /// Index of the last entry in its log; 0 while the log is empty.
    pub last_log: u64,
    /// Up to where it knows entries to be committed.
    pub committed: u64,
    /// Up to where it has applied them.
    pub applied: u64,
    /// Up to where its latest checkpoint or snapshot reaches.
    pub snapshot: u64,
    /// Up to where its log was purged.
    pub purged: u64,
    /// All servers of the group, by id.
    pub servers: Vec<PeerStatus>,
}

/// Copies the metrics, because the Raft core stands still while they are borrowed.
pub(super) fn metrics(raft: &Raft) -> openraft::RaftMetrics<TypeConfig> {
    raft.metrics().borrow_watched().clone()
}

pub(super) fn leader(raft: &Raft) -> Option<Peer> {
    let receiver = raft.server_metrics();
    let metrics = receiver.borrow_watched();
    let id = metrics.current_leader?;
    let node = metrics.membership_config.get_node(&id)?;
    Some(peer(id, node))
}

pub(super) fn status(raft: &Raft) -> GroupStatus {
    let metrics = metrics(raft);
    let index = |id: Option<tenure_storage::types::LogId>| id.map_or(0, |id| id.index);
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let last_log = metrics.last_log_index.unwrap_or(0);
    let servers = membership
        .nodes()
        .map(|(id, node)| PeerStatus {
            peer: peer(*id, node),
            voter: voters.contains(id),
            leader: metrics.current_leader == Some(*id),
            lag: lag(&metrics, *id, last_log),
        })
        .collect();
    GroupStatus {
        role: role(metrics.state),
        term: metrics.current_term,
        leader: metrics.current_leader.map(ServerId),
        last_log,
        committed: index(metrics.local_committed),
        applied: index(metrics.last_applied),
        snapshot: index(metrics.snapshot),
        purged: index(metrics.purged),
        servers,
    }
}

fn lag(metrics: &openraft::RaftMetrics<TypeConfig>, id: u64, last_log: u64) -> Option<u64> {
    let replicated = metrics.replication.as_ref()?;
    if id == metrics.id {
        return Some(0);
    }
    let matching = (*replicated.get(&id)?).map_or(0, |matching| matching.index);
    Some(last_log.saturating_sub(matching))
}

fn role(state: ServerState) -> ServerRole {
    match state {
        ServerState::Leader => ServerRole::Leader,
        ServerState::Follower => ServerRole::Follower,
        ServerState::Candidate => ServerRole::Candidate,
        ServerState::Learner => ServerRole::Learner,
        ServerState::Shutdown => ServerRole::Shutdown,
    }
}
