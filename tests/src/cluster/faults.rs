//! What is done to servers.

use super::{Cluster, ClusterError, Doing, SETTLE_BOUND, until};

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

    /// Waits until a server that was asked to end, or that refuses to run, has ended. Answers with the end of its log.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`] when it goes on.
    pub async fn wait_for_end(&mut self, at: usize) -> Result<String, ClusterError> {
        let server = &mut self.servers[at];
        let what = format!("the end of server {}", server.listed.id);
        until(what, SETTLE_BOUND, async || match server.process.check() {
            Err(_ended) => Ok(()),
            Ok(()) if server.process.pid().is_none() => Ok(()),
            Ok(()) => Err("it runs".to_owned()),
        })
        .await?;
        let server = &mut self.servers[at];
        server.doing = Doing::Down;
        Ok(server.log_tail())
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
