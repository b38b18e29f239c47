//! What can end the bench, and what can go wrong with one request.

use std::io;
use std::path::PathBuf;
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
    #[error("{address} is not an address that a client can connect to: {source}")]
    Address {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("{what} did not happen within {} s; last seen: {last}", bound.as_secs())]
    TooLate {
        what: String,
        bound: Duration,
        last: String,
    },
    #[error("{what} failed: {source}")]
    Call {
        what: &'static str,
        source: CallError,
    },
    #[error("the bench took longer than {} s and was ended; give it less to do, or --limit-s", .0.as_secs())]
    Limit(Duration),
    #[error("interrupted; all servers were stopped and the data removed")]
    Interrupted,
    #[error(
        "{wanted} file descriptors are needed for {watchers} watchers, the limit is {limit}; \
         raise it (ulimit -n) or ask for fewer with --watchers"
    )]
    Descriptors {
        wanted: u64,
        watchers: usize,
        limit: u64,
    },
}

/// Why one request did not do what it was meant to. The bench counts it and goes on.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Boxed: it is large, and a result is moved for every request.
    #[error("{}: {}", .0.code(), .0.message())]
    Refused(Box<tonic::Status>),
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    #[error("the answer held {got} bytes of value where {wanted} were expected")]
    WrongValue { got: usize, wanted: usize },
    #[error("the stream of changes ended: {0}")]
    StreamEnded(String),
}

impl From<tonic::Status> for CallError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}
