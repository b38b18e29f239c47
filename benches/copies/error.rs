//! What can end the bench.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_benches::ports::NoFreePorts;
use tenure_benches::process::ProcessError;

/// What ends the bench. Everything it started is stopped on the way out, so running it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Ports(#[from] NoFreePorts),
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot connect to {address}: {source}")]
    Connect {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("{what} was refused: {status}")]
    Refused {
        what: &'static str,
        status: Box<tonic::Status>,
    },
    #[error("{what}: an item was refused: {why}")]
    Item { what: &'static str, why: String },
    #[error("{what} failed: {source}")]
    Tenure {
        what: &'static str,
        source: Box<tenure_client::Error>,
    },
    #[error("{what} at {address} failed: {source}")]
    Redis {
        what: &'static str,
        address: SocketAddr,
        source: redis::RedisError,
    },
    #[error("{what} is no name: {why}")]
    Name { what: &'static str, why: String },
    #[error("nobody speaks for node {0} any more: the bench's sessions for it have ended")]
    Gone(u64),
    #[error("{what} did not happen within {} s", bound.as_secs())]
    TooLate { what: String, bound: Duration },
    #[error("a task of the bench failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("the measurement of the core ended with {0}")]
    Child(std::process::ExitStatus),
    #[error("the bench took longer than {} s and was ended; give it less to do, or --limit-s", .0.as_secs())]
    Limit(Duration),
    #[error("interrupted; all servers were stopped and the data removed")]
    Interrupted,
}

impl BenchError {
    pub fn io(what: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            what,
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    pub fn tenure(what: &'static str) -> impl FnOnce(tenure_client::Error) -> Self {
        move |source| Self::Tenure {
            what,
            source: Box::new(source),
        }
    }

    pub fn refused(what: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Refused {
            what,
            status: Box::new(status),
        }
    }
}
