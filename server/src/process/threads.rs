//! A server's own threads.

use std::time::Duration;

use tenure_proto::net;
use tokio::runtime::{Builder, Handle, Runtime};

use super::StartError;

/// A runtime of one server. Dropping it ends its tasks without waiting for them, which is also
/// possible where a thread must not be blocked.
pub(super) struct Threads {
    handle: Handle,
    /// None in a simulation, where a server runs on the one runtime that has the simulated time.
    runtime: Option<Runtime>,
}

impl Threads {
    pub(super) fn new(what: &str, server: u64, count: usize) -> Result<Threads, StartError> {
        if net::is_simulated() {
            let handle = Handle::current();
            return Ok(Threads {
                handle,
                runtime: None,
            });
        }
        Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name(format!("{what}-{server}"))
            .enable_all()
            .build()
            .map(|runtime| Threads {
                handle: runtime.handle().clone(),
                runtime: Some(runtime),
            })
            .map_err(|error| StartError::Consensus(format!("no threads: {error}")))
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends all tasks and waits until they are gone, at most for `patience`.
    pub(super) async fn end(mut self, patience: Duration) {
        if let Some(runtime) = self.runtime.take() {
            let ending = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(patience));
            // A panic while ending is no reason not to end the rest.
            let _ended = ending.await;
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
