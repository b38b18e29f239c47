//! Why a cluster under test could not be driven.

use std::path::PathBuf;
use std::time::Duration;

use crate::ports::NoFreePorts;
use crate::process::ProcessError;

use super::calls::CallError;

/// What can go wrong with a cluster of real servers.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The program `tenure` could not be built or found.
    #[error("{0}")]
    Program(String),
    /// No ports.
    #[error(transparent)]
    Ports(#[from] NoFreePorts),
    /// A server process could not be driven, or ended by itself.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file of the test could not be written or read.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that was waited for did not come.
    #[error("{what} did not come within {bound:?}; at last: {last}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        bound: Duration,
        /// What stood in the way at the end.
        last: String,
    },
    /// A call that had to succeed did not.
    #[error("{what}: {source}")]
    Call {
        /// What was called.
        what: String,
        /// How it ended.
        source: CallError,
    },
    /// Servers that applied the same entries differ.
    #[error("the servers applied the same entries and differ:\n{0}")]
    Digests(String),
    /// A server's log holds lines that must not be there.
    #[error("unexpected lines in the servers' logs:\n{0}")]
    Logs(String),
}

impl ClusterError {
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
