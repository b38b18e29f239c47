//! A process on this machine: what its exit is seen by, and what can be killed as a last resort.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

/// A process on this machine.
#[derive(Debug, Clone)]
pub(super) struct LocalProcess {
    pub(super) id: i32,
    handle: Arc<AsyncFd<OwnedFd>>,
}

impl LocalProcess {
    /// The process with this id, when it is one of this machine's and holds the socket that listens on
    /// `port`. The id comes from the instance, which may live in a container or on another machine:
    /// what has that number here may be something else altogether.
    ///
    /// Must be called within a tokio runtime.
    pub(super) fn find(id: i32, port: u16) -> Option<Self> {
        let process = Self::open(id)?;
        // Looked at after the handle was opened: what is found then is what the handle stands for.
        listens(id, port).then_some(process)
    }

    /// The process with this id; None when there is none. Must be called within a tokio runtime.
    pub(super) fn open(id: i32) -> Option<Self> {
        let handle = pidfd_open(Pid::from_raw(id)?, PidfdFlags::NONBLOCK).ok()?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an `OwnedFd` keeps its descriptor, which is all it asks"
        )]
        let handle = AsyncFd::new(handle).ok()?;
        Some(Self {
            id,
            handle: Arc::new(handle),
        })
    }

    /// Waits until it is gone.
    pub(super) async fn gone(&self) {
        // An error says that it cannot be waited for, not that it is gone.
        if self.handle.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn kill(&self, within: Duration) -> Result<(), String> {
        pidfd_send_signal(self.handle.get_ref(), Signal::KILL)
            .map_err(|error| format!("process {} cannot be killed: {error}", self.id))?;
        tokio::time::timeout(within, self.gone())
            .await
            .map_err(|_| format!("process {} was killed and does not go", self.id))
    }
}

/// Whether the process holds a socket that listens on the port.
fn listens(id: i32, port: u16) -> bool {
    let home = PathBuf::from(format!("/proc/{id}"));
    let mut sockets = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        sockets.extend(listening(&home.join(table), port));
    }
    let Ok(descriptors) = fs::read_dir(home.join("fd")) else {
        return false;
    };
    let mut held = descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    held.any(|target| {
        let target = target.to_string_lossy();
        sockets
            .iter()
            .any(|socket| target == format!("socket:[{socket}]"))
    })
}

/// The sockets of a table that listen on the port. Listening ones come first in such a table.
fn listening(table: &Path, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let Ok(file) = fs::File::open(table) else {
        return Vec::new();
    };
    let port = format!(":{port:04X}");
    let lines = BufReader::new(file).lines().skip(1).map_while(Result::ok);
    let rows = lines.map_while(|line| {
        let fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (fields.get(3).map(String::as_str) == Some(LISTEN)).then_some(fields)
    });
    rows.filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&port)))
        .filter_map(|fields| fields.get(9).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn only_who_listens_on_the_port_is_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(LocalProcess::find(own, port).is_some());
        assert!(LocalProcess::find(1, port).is_none());
        drop(listener);
        assert!(LocalProcess::find(own, port).is_none());
    }
}
