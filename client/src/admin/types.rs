//! What operators are told.

use crate::{Error, Header, discovery::all_parsed};
use tenure_core::{Finding, LogIndex, Revision, ServerId};
use tenure_proto::v1;

/// Which server is asked about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Any that answers.
    #[default]
    Any,
    /// The one with this id.
    Id(ServerId),
    /// The one at this endpoint, `HOST:PORT`, which need not be known to the cluster.
    At(tenure_core::Endpoint),
}

impl From<ServerId> for Target {
    fn from(id: ServerId) -> Self {
        Self::Id(id)
    }
}

/// What is wrong, and who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Which state this is.
    pub header: Header,
    /// The cluster's id.
    pub cluster: String,
    /// The version of the server that answered.
    pub version: String,
    /// Who leads; None when nobody does.
    pub leader: Option<ServerId>,
    /// The Raft term.
    pub term: u64,
    /// The servers.
    pub servers: Vec<ServerState>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// How many nodes there are.
    pub nodes: u64,
    /// How many services there are.
    pub services: u64,
    /// How many instances there are.
    pub instances: u64,
}

/// One server, as the answering server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its id.
    pub id: ServerId,
    /// Where other servers reach it.
    pub raft: String,
    /// Where clients reach it.
    pub api: String,
    /// Whether it votes; otherwise it is a learner.
    pub voter: bool,
    /// Whether it leads.
    pub leader: bool,
    /// How many log entries it still lacks. Only the leader knows.
    pub lag: Option<u64>,
}

/// What a server does in its Raft group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaftRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It wants to lead.
    Candidate,
    /// It follows without a vote.
    Learner,
    /// It is shutting down.
    Shutdown,
    /// What only a newer server knows.
    Other(String),
}

impl std::fmt::Display for RaftRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Shutdown => "shutdown",
            Self::Other(role) => role,
        })
    }
}

/// One server's view of the Raft group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftStatus {
    /// Who answered.
    pub server: ServerId,
    /// What it does.
    pub role: RaftRole,
    /// Its term.
    pub term: u64,
    /// Whom it follows; None when it knows no leader.
    pub leader: Option<ServerId>,
    /// Its last log entry.
    pub last_log: LogIndex,
    /// The last entry that it knows to be committed.
    pub committed: LogIndex,
    /// The last entry that it has applied.
    pub applied: LogIndex,
    /// The last entry that is in its checkpoint.
    pub checkpoint: LogIndex,
    /// The last entry that was purged from its log.
    pub purged: LogIndex,
    /// The servers of the group.
    pub servers: Vec<ServerState>,
    /// Its process.
    pub pid: u32,
}

/// Digest of one server's own state. Servers at the same revision have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerDigest {
    /// Who answered.
    pub server: ServerId,
    /// The last entry that it has applied.
    pub applied: LogIndex,
    /// Its state's revision.
    pub revision: Revision,
    /// The digest.
    pub digest: String,
}

/// The id of a server; 0 is none.
pub(super) fn some_server(id: u64) -> Option<ServerId> {
    (id != 0).then_some(ServerId(id))
}

fn server_state(wire: v1::ServerState) -> ServerState {
    ServerState {
        id: ServerId(wire.id),
        raft: wire.raft,
        api: wire.api,
        voter: wire.voter,
        leader: wire.leader,
        lag: wire.lag,
    }
}

pub(super) fn cluster_status(wire: v1::StatusResponse) -> Result<ClusterStatus, Error> {
    Ok(ClusterStatus {
        header: Header::from_wire(wire.header)?,
        cluster: wire.cluster,
        version: wire.version,
        leader: some_server(wire.leader),
        term: wire.term,
        servers: wire.servers.into_iter().map(server_state).collect(),
        findings: all_parsed("findings", wire.findings)?,
        nodes: wire.nodes,
        services: wire.services,
        instances: wire.instances,
    })
}

pub(super) fn raft_status(wire: v1::RaftStatusResponse) -> RaftStatus {
    let role = match wire.role.as_str() {
        "leader" => RaftRole::Leader,
        "follower" => RaftRole::Follower,
        "candidate" => RaftRole::Candidate,
        "learner" => RaftRole::Learner,
        "shutdown" => RaftRole::Shutdown,
        _ => RaftRole::Other(wire.role),
    };
    RaftStatus {
        server: ServerId(wire.server),
        role,
        term: wire.term,
        leader: some_server(wire.leader),
        last_log: LogIndex(wire.last_log),
        committed: LogIndex(wire.committed),
        applied: LogIndex(wire.applied),
        checkpoint: LogIndex(wire.checkpoint),
        purged: LogIndex(wire.purged),
        servers: wire.servers.into_iter().map(server_state).collect(),
        pid: wire.pid,
    }
}
