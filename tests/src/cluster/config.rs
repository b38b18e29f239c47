//! The configuration files of the servers under test.

use std::path::Path;

use serde::Serialize;

/// The clocks of consensus, in milliseconds. The default of the server where absent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timing {
    /// Between two heartbeats of the leader.
    pub heartbeat_ms: u64,
    /// The least that a follower waits for a sign of life.
    pub election_min_ms: u64,
    /// The most.
    pub election_max_ms: u64,
}

/// When checkpoints are written, and what is kept.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Keeping {
    /// Entries between two checkpoints.
    pub checkpoint_entries: u64,
    /// Entries before the checkpoint that stay in the log.
    pub log_keep_entries: u64,
    /// Events kept for watchers that come back.
    pub events_max: u64,
}

/// Where a server is reached.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: u64,
    /// `host:port` for other servers.
    pub raft: String,
    /// `host:port` for clients.
    pub api: String,
}

#[derive(Serialize)]
struct Listen<'a> {
    listen: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    cluster: &'a str,
    server: u64,
    data_dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<bool>,
    raft: Listen<'a>,
    api: Listen<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<Keeping>,
    #[serde(skip_serializing_if = "<[Listed]>::is_empty")]
    servers: &'a [Listed],
}

/// Everything that a server's file says.
#[derive(Clone, Debug)]
pub struct ServerConfig<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The server itself.
    pub own: &'a Listed,
    /// Its data folder.
    pub data_dir: &'a Path,
    /// The servers that form the cluster; empty for one that is added later.
    pub servers: &'a [Listed],
    /// Clocks.
    pub timing: Option<Timing>,
    /// Checkpoints.
    pub keeping: Option<Keeping>,
}

impl ServerConfig<'_> {
    /// The file's text.
    ///
    /// # Panics
    /// Never: everything in it has a form in TOML.
    #[must_use]
    pub fn text(&self) -> String {
        let file = File {
            cluster: self.cluster,
            server: self.own.id,
            data_dir: self.data_dir,
            join: self.servers.is_empty().then_some(true),
            raft: Listen {
                listen: &self.own.raft,
            },
            api: Listen {
                listen: &self.own.api,
            },
            timing: self.timing,
            storage: self.keeping,
            servers: self.servers,
        };
        toml::to_string(&file).expect("numbers, texts and tables have a form in TOML")
    }
}
