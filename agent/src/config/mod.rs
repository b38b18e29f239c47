//! The configuration of one node's agent. A [`Config`] is valid: everything was checked when it was read.

mod check;
mod file;

pub(crate) use check::instance_at;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tenure_core::{Attributes, Endpoint, NodeName, ServiceName, Zone};

/// Why a configuration was not accepted. A retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// The settings of a service's driver are refused.
    #[error("{}: {key}: {why}", path.display())]
    Driver {
        /// The file.
        path: PathBuf,
        /// The service.
        key: String,
        /// Which setting is wrong, and what would be right.
        why: String,
    },
}

/// What becomes of a service's primary when the agent is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// The role is handed to another node first.
    HandOver,
    /// Nothing: the agent is expected back at once, as when it is upgraded.
    Leave,
}

/// The name of a driver that the embedding program brings along: see
/// [`Launch::with_driver`](crate::Launch::with_driver).
pub const EMBEDDED: &str = "embedded";

/// Where other agents ask this one for pledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PledgeAddress {
    pub(crate) listen: SocketAddr,
    /// None when it follows from the port that was bound.
    pub(crate) advertise: Option<Endpoint>,
}

/// One service of the node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceConfig {
    pub(crate) name: ServiceName,
    pub(crate) driver: String,
    /// Where clients and the other instances reach the instance.
    pub(crate) endpoint: Endpoint,
    /// None leaves it as the cluster has it.
    pub(crate) preference: Option<u32>,
    pub(crate) on_stop: OnStop,
    pub(crate) settings: toml::Table,
}

/// The valid configuration of one node's agent. `examples/agent.toml` explains every key.
///
/// ```
/// # let text = r#"
/// cluster = "site-1"
/// servers = ["10.0.0.1:7400", "10.0.0.2:7400", "10.0.0.3:7400"]
/// node = "db-1"
/// state_dir = "/var/lib/tenure-agent"
/// # "#;
/// # tenure_agent::Config::parse(std::path::Path::new("agent.toml"), text).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub(crate) cluster: String,
    pub(crate) servers: Vec<Endpoint>,
    pub(crate) node: NodeName,
    pub(crate) zone: Option<Zone>,
    /// None leaves them as the cluster has them.
    pub(crate) labels: Option<Attributes>,
    pub(crate) weight: Option<u32>,
    pub(crate) state_dir: PathBuf,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) pledge: Option<PledgeAddress>,
    pub(crate) services: Vec<ServiceConfig>,
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
    /// As for [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let file: file::File = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        check::check(path, file)
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Where the agent keeps its state.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The services, in the order of the file, each with what becomes of its primary when the agent is
    /// asked to end.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, OnStop)> {
        self.services
            .iter()
            .map(|service| (&service.name, service.on_stop))
    }
}
