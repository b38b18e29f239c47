//! What is done to servers.

use super::{Cluster, ClusterError, Doing, SETTLE_BOUND, until};
use crate::process::ProcessError;

impl Cluster {
    /// Starts a server, for the first time or again on its data.
    ///
    /// # Errors
    /// The program cannot be run, or the process that was there ended by itself.
    pub fn launch(&mut self, at: usize) -> Result<(), ClusterError> {
        let server = &mut self.servers[at];
        server.process.check()?;
        server.process.start()?;
        server.doing = Doing::Running;
        Ok(())
    }

    /// Ends a server by SIGKILL.
    ///
    /// # Errors
    /// It had ended by itself before.
    pub fn kill(&mut self, at: usize) -> Result<(), ClusterError> {
        let server = &mut self.servers[at];
        server.doing = Doing::Down;
        Ok(server.process.kill()?)
    }

    /// Stops a server by SIGSTOP: it keeps its sockets and says nothing.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn freeze(&mut self, at: usize) -> Result<(), ClusterError> {
        let server = &mut self.servers[at];
        server.process.check()?;
        server.process.freeze()?;
        server.doing = Doing::Frozen;
        Ok(())
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn thaw(&mut self, at: usize) -> Result<(), ClusterError> {
        let server = &mut self.servers[at];
        server.process.thaw()?;
        server.doing = Doing::Running;
        Ok(())
    }

    /// Asks a server to end (SIGTERM), without waiting.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn terminate(&mut self, at: usize) -> Result<(), ClusterError> {
        Ok(self.servers[at].process.terminate()?)
    }

    /// Waits until a server that was asked to end, or that refuses to run, has ended. Answers with its exit code; none
    /// when a signal ended it.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`] when it goes on.
    pub async fn wait_for_end(&mut self, at: usize) -> Result<Option<i32>, ClusterError> {
        let server = &mut self.servers[at];
        let what = format!("the end of server {}", server.listed.id);
        let code = until(what, SETTLE_BOUND, async || match server.process.check() {
            Err(ProcessError::Ended { status, .. }) => Ok(status.code()),
            Err(error) => Err(error.to_string()),
            Ok(()) => Err("it runs".to_owned()),
        })
        .await?;
        self.servers[at].doing = Doing::Down;
        Ok(code)
    }

    /// Ends a server, running or not, that belongs to the cluster no more.
    ///
    /// # Errors
    /// The system refused to end it.
    pub fn discard(&mut self, at: usize) -> Result<(), ClusterError> {
        let server = &mut self.servers[at];
        server.doing = Doing::Down;
        match server.process.check() {
            Ok(()) => Ok(server.process.kill()?),
            Err(ProcessError::Ended { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the data folder of a server that is down.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn wipe(&mut self, at: usize) -> Result<(), ClusterError> {
        let data = self.servers[at].data();
        std::fs::remove_dir_all(data).map_err(ClusterError::file("remove", data))
    }

    /// Whether no server ended by itself.
    ///
    /// # Errors
    /// The end of the log of the first that did.
    pub fn check(&mut self) -> Result<(), ClusterError> {
        for server in &mut self.servers {
            server.process.check()?;
        }
        Ok(())
    }

    /// The places of the servers that run.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        let places = 0..self.servers.len();
        places
            .filter(|at| self.servers[*at].doing == Doing::Running)
            .collect()
    }
}
