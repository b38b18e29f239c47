//! One server of a cluster under test: its folder, its process, its log.

use std::path::{Path, PathBuf};

use tenure_core::ServerId;

use super::config::{Keeping, Listed, ServerConfig, Timing};
use super::{Calls, ClusterError};
use crate::process::Process;

/// What a server process is doing, as far as the test made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs.
    Running,
    /// It is stopped by SIGSTOP.
    Frozen,
    /// There is no process.
    Down,
}

/// Openraft's words for calls that come in, or are under way, while it is being stopped. It logs them as errors and
/// they are none.
const WHILE_STOPPING: [&str; 6] = [
    "raft stopped",
    "rx recv error: channel closed",
    "failed to receive from RaftCore: None",
    "to-Raft tx send error",
    "to RaftCore; when:(",
    "sm::Worker may have shutdown",
];

/// One server.
#[derive(Debug)]
pub struct Server {
    /// Its id and addresses.
    pub listed: Listed,
    /// What it does.
    pub doing: Doing,
    pub(super) process: Process,
    pub(super) calls: Calls,
    data: PathBuf,
    log: PathBuf,
}

/// What the servers of a cluster have in common.
pub(super) struct Common<'a> {
    pub(super) program: &'a Path,
    pub(super) dir: &'a Path,
    pub(super) cluster: &'a str,
    pub(super) servers: &'a [Listed],
    pub(super) timing: Option<Timing>,
    pub(super) keeping: Option<Keeping>,
}

impl Server {
    /// Writes the configuration; starts nothing.
    pub(super) fn prepare(common: &Common<'_>, listed: Listed) -> Result<Self, ClusterError> {
        let mut name = format!("server-{}", listed.id);
        // An id can be tried a second time, by another server.
        while common.dir.join(format!("{name}.toml")).exists() {
            name.push_str("-again");
        }
        let data = common.dir.join(&name);
        let config = common.dir.join(format!("{name}.toml"));
        let log = common.dir.join(format!("{name}.log"));
        let text = ServerConfig {
            cluster: common.cluster,
            own: &listed,
            data_dir: &data,
            servers: common.servers,
            timing: common.timing,
            keeping: common.keeping,
        }
        .text();
        std::fs::write(&config, text).map_err(ClusterError::file("write", &config))?;
        let args = vec![
            "server".into(),
            "--config".into(),
            config.display().to_string(),
        ];
        let process = Process::new(name, common.program, args, log.clone()).without_env("TENURE_");
        let calls = Calls::new(ServerId(listed.id), &listed.api);
        Ok(Self {
            listed,
            doing: Doing::Down,
            process,
            calls,
            data,
            log,
        })
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// All that it ever printed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String, ClusterError> {
        let bytes = std::fs::read(&self.log).map_err(ClusterError::file("read", &self.log))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines that it printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Its process id while it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The lines of its log that tell of trouble, but for those that hold one of `expected`.
    pub(super) fn trouble(&self, expected: &[String]) -> Result<Vec<String>, ClusterError> {
        if !self.log.exists() {
            return Ok(vec![]);
        }
        let log = self.log()?;
        let is_trouble = |line: &&str| line.contains("ERROR") || line.contains("panicked at");
        let is_expected = |line: &&str| {
            WHILE_STOPPING.iter().any(|text| line.contains(text))
                || expected.iter().any(|text| line.contains(text.as_str()))
        };
        let lines = log
            .lines()
            .filter(is_trouble)
            .filter(|line| !is_expected(line));
        Ok(lines
            .map(|line| format!("server {}: {line}", self.listed.id))
            .collect())
    }
}
