//! The configuration as it stands in the file.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) cluster: String,
    pub(super) server: u64,
    pub(super) data_dir: PathBuf,
    #[serde(default)]
    pub(super) join: bool,
    pub(super) raft: Address,
    pub(super) api: Address,
    #[serde(default)]
    pub(super) servers: Vec<Server>,
    #[serde(default)]
    pub(super) timing: Timing,
    #[serde(default)]
    pub(super) storage: Storage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    pub(super) listen: String,
    pub(super) advertise: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) raft: String,
    pub(super) api: String,
}

/// The defaults suit servers of one site that share busy machines. A follower calls an election
/// `election_max_ms` plus its own draw between the two bounds after the last sign of life, so 230 to
/// 280 ms after it: a leader is replaced in well under 350 ms, while seven heartbeats in a row must
/// be lost or late for an election without cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timing {
    pub(super) heartbeat_ms: u64,
    pub(super) election_min_ms: u64,
    pub(super) election_max_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat_ms: 30,
            election_min_ms: 92,
            election_max_ms: 140,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Storage {
    /// A checkpoint is written when so many entries were committed since the last one.
    pub(super) checkpoint_entries: u64,
    /// So many entries before the checkpoint stay in the log, for followers that are behind.
    pub(super) log_keep_entries: u64,
    /// So many events are kept for watchers that come back.
    pub(super) events_max: u64,
}

impl Default for Storage {
    fn default() -> Storage {
        Storage {
            checkpoint_entries: 50_000,
            log_keep_entries: 20_000,
            events_max: 100_000,
        }
    }
}
