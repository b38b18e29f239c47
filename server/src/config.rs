//! The configuration of one server. A [`Config`] is valid: everything was checked when it was read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::ServerId;
use thiserror::Error;

use crate::error::Peer;

mod check;
mod file;

/// Why a configuration was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        why: String,
    },
    /// The file is no TOML, lacks a key, or has one that does not exist.
    #[error("{}: {why}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        why: String,
    },
    /// A value is impossible, alone or beside another.
    #[error("{}: {key} = {value}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
}

/// Where a server listens and where others reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) listen: SocketAddr,
    /// None when it follows from the port that was bound.
    pub(crate) advertise: Option<String>,
}

/// The clocks of consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) heartbeat: Duration,
    pub(crate) election_min: Duration,
    pub(crate) election_max: Duration,
}

/// When checkpoints are written and how much log stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) checkpoint_entries: u64,
    pub(crate) log_keep_entries: u64,
    pub(crate) events_max: usize,
}

/// The valid configuration of one server.
///
/// ```toml
/// cluster = "site-1"
/// server = 1
/// data_dir = "/var/lib/tenure"
///
/// [raft]
/// listen = "10.0.0.1:7401"
///
/// [api]
/// listen = "10.0.0.1:7400"
///
/// # The servers that form the cluster, the same list on each. A server that is added later has
/// # `join = true` instead, and waits for the leader's call.
/// [[servers]]
/// id = 1
/// raft = "10.0.0.1:7401"
/// api = "10.0.0.1:7400"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub(crate) cluster: String,
    pub(crate) server: ServerId,
    pub(crate) data_dir: PathBuf,
    pub(crate) raft: Address,
    pub(crate) api: Address,
    pub(crate) servers: Vec<Peer>,
    pub(crate) timing: Timing,
    pub(crate) keeping: Keeping,
    pub(crate) probe: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key, the value and what would be right.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        Config::parse(path, &text)
    }

    /// Checks the text of a configuration; `path` is where errors say that it stands.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key, the value and what would be right.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let file: file::File = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        check::check(path, file)
    }

    /// Tries a damaged image first in a process of this program, which may die of it without taking
    /// the server along. The program is called with two arguments: `probe-image` and the folder.
    #[must_use]
    pub fn with_probe(mut self, program: PathBuf) -> Config {
        self.probe = Some(program);
        self
    }

    /// The server's id.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where the data is kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}
