//! A cluster of real server processes on loopback: formed, killed, frozen, started again, and never left behind.

pub mod binary;
pub mod calls;
pub mod config;
mod digests;
mod error;
mod faults;
mod group;
pub mod load;
pub mod pump;
pub mod registers;
pub mod server;
mod wait;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

pub use calls::{CallError, Calls};
pub use config::{Keeping, Listed, Timing};
pub use error::ClusterError;
pub use server::{Doing, Server};
pub use wait::until;

use crate::ports::free_ports;
use server::Common;

/// How long a group may take to elect a leader, or a server to come back, on a machine that is busy.
pub const SETTLE_BOUND: Duration = Duration::from_secs(30);

/// Set to anything, leaves the folder of a failed test where it is and says where that is.
pub const KEEP: &str = "TENURE_TEST_KEEP";

/// How a cluster under test is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's name.
    pub name: String,
    /// How many servers form it.
    pub servers: usize,
    /// Their clocks; the server's defaults when absent.
    pub timing: Option<Timing>,
    /// Their checkpoints; the server's defaults when absent.
    pub keeping: Option<Keeping>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "test".to_owned(),
            servers: 3,
            timing: None,
            keeping: None,
        }
    }
}

/// Servers of one cluster. Dropping it kills them and removes their folders; a drop without [`Cluster::stop`] is
/// taken for a failed test and prints the end of each server's log.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    program: std::path::PathBuf,
    forming: Vec<Listed>,
    servers: Vec<Server>,
    expected: Vec<String>,
    stopped: bool,
    // After the servers: it is removed once they are gone.
    dir: TempDir,
}

impl Cluster {
    /// Starts all servers and waits until they have a leader.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn start(options: Options) -> Result<Self, ClusterError> {
        let mut cluster = Self::prepare(options)?;
        for at in 0..cluster.servers.len() {
            cluster.launch(at)?;
        }
        cluster.wait_for_leader().await?;
        Ok(cluster)
    }

    /// Writes the configurations of all servers and starts none.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn prepare(options: Options) -> Result<Self, ClusterError> {
        let program = binary::tenure()?;
        let dir = tempfile::Builder::new().prefix("tenure-").tempdir();
        let dir = dir.map_err(ClusterError::file("make a folder in", std::env::temp_dir()))?;
        let forming = (1..)
            .take(options.servers)
            .map(listed)
            .collect::<Result<Vec<_>, _>>()?;
        let mut cluster = Self {
            options,
            program,
            forming: forming.clone(),
            servers: vec![],
            expected: vec![],
            stopped: false,
            dir,
        };
        for own in forming.clone() {
            cluster.add(own, &forming)?;
        }
        Ok(cluster)
    }

    /// Prepares one more server, which waits to be added to the group. Answers with its place.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn extend(&mut self) -> Result<usize, ClusterError> {
        let highest = self.servers.iter().map(|server| server.listed.id).max();
        self.extend_as(highest.unwrap_or(0) + 1)
    }

    /// As [`Cluster::extend`], under an id of the caller's choice.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn extend_as(&mut self, id: u64) -> Result<usize, ClusterError> {
        self.add(listed(id)?, &[])?;
        Ok(self.servers.len() - 1)
    }

    fn add(&mut self, own: Listed, servers: &[Listed]) -> Result<(), ClusterError> {
        let common = Common {
            program: &self.program,
            dir: self.dir.path(),
            cluster: &self.options.name,
            servers,
            timing: self.options.timing,
            keeping: self.options.keeping,
        };
        self.servers.push(Server::prepare(&common, own)?);
        Ok(())
    }

    /// The servers, in the order in which they were prepared.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The servers that form the cluster, as each configuration lists them.
    #[must_use]
    pub fn forming(&self) -> &[Listed] {
        &self.forming
    }

    /// Calls of one server.
    #[must_use]
    pub fn calls(&self, at: usize) -> &Calls {
        &self.servers[at].calls
    }

    /// Calls of every server.
    #[must_use]
    pub fn all_calls(&self) -> Vec<Calls> {
        self.servers
            .iter()
            .map(|server| server.calls.clone())
            .collect()
    }

    /// Where clients reach the servers: `host:port` each.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.servers
            .iter()
            .map(|server| server.listed.api.clone())
            .collect()
    }

    /// The folder that holds configurations, logs and data of all servers.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lines of a server's log that hold this text are no reason to fail.
    pub fn expect_log(&mut self, text: impl Into<String>) {
        self.expected.push(text.into());
    }

    /// Asks all servers to end and waits for it, then reads their logs.
    ///
    /// # Errors
    /// [`ClusterError::Logs`] when a log holds errors that nobody expected, or a server had ended by itself.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        for at in 0..self.servers.len() {
            if self.servers[at].doing == Doing::Frozen {
                self.thaw(at)?;
            }
        }
        self.check()?;
        // The leader last: it would look for a successor among servers that are ending too.
        let leader = self.leader().await.ok();
        let (last, first): (Vec<usize>, Vec<usize>) = self
            .running()
            .into_iter()
            .partition(|at| Some(*at) == leader);
        for some in [first, last] {
            for at in &some {
                self.servers[*at].process.terminate()?;
            }
            for at in some {
                self.servers[at].process.finish().await?;
                self.servers[at].doing = Doing::Down;
            }
        }
        self.check_logs()?;
        self.stopped = true;
        Ok(())
    }

    /// Whether the logs are free of errors that nobody expected.
    ///
    /// # Errors
    /// [`ClusterError::Logs`].
    pub fn check_logs(&self) -> Result<(), ClusterError> {
        let mut lines = vec![];
        for server in &self.servers {
            lines.extend(server.trouble(&self.expected)?);
        }
        if lines.is_empty() {
            Ok(())
        } else {
            lines.truncate(50);
            Err(ClusterError::Logs(lines.join("\n")))
        }
    }
}

fn listed(id: u64) -> Result<Listed, ClusterError> {
    let ports = free_ports(2)?;
    Ok(Listed {
        id,
        raft: format!("127.0.0.1:{}", ports[0]),
        api: format!("127.0.0.1:{}", ports[1]),
    })
}

impl Drop for Cluster {
    #[expect(
        clippy::print_stderr,
        reason = "the test has failed, and this says why"
    )]
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        for server in &self.servers {
            let (id, tail) = (server.listed.id, server.log_tail());
            eprintln!(
                "--- the end of the log of server {id} ({:?}):\n{tail}",
                server.doing
            );
        }
        if std::env::var_os(KEEP).is_some() {
            self.dir.disable_cleanup(true);
            eprintln!("--- everything is kept in {}", self.dir.path().display());
        }
    }
}
