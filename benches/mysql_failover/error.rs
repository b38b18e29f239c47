//! What can end the bench, or one round of it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tenure_benches::ports::NoFreePorts;
use tenure_benches::process::ProcessError;
use tenure_tests::failover::network::NetworkError;
use tenure_tests::mariadb::template::TemplateError;

/// What ends the bench. Everything it started is stopped on the way out, so running it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Ports(#[from] NoFreePorts),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{what} at {address} failed: {source}")]
    Mariadb {
        what: &'static str,
        address: SocketAddr,
        source: mysql_async::Error,
    },
    #[error("{what} failed: {source}")]
    Tenure {
        what: &'static str,
        source: tenure_client::Error,
    },
    #[error("{what} was refused: {told}")]
    Refused { what: &'static str, told: String },
    #[error("{what} did not happen within {} s; last seen: {last}", bound.as_secs())]
    TooLate {
        what: String,
        bound: Duration,
        last: String,
    },
    #[error("{0}; without network namespaces leave out cut (--only)")]
    Network(#[from] NetworkError),
    #[error("the bench took longer than {} s and was ended; give it less to do, or --limit-s", .0.as_secs())]
    Limit(Duration),
    #[error("interrupted; all processes were stopped and the data removed")]
    Interrupted,
}

impl BenchError {
    /// Whether what is under measurement did not do in time what it should: a finding, not the end of the bench.
    pub fn is_finding(&self) -> bool {
        matches!(self, Self::TooLate { .. } | Self::Refused { .. })
    }
}
