//! Why an agent could not start, or ended.

use std::net::SocketAddr;

use tenure_client::Error as ClientError;
use tenure_core::ServiceName;

use crate::driver;
use crate::state::StateError;

/// Why an agent could not start, or ended by itself. It has left every instance as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot listen where it should.
    #[error("{key} = \"{address}\": cannot listen there: {why}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// A service's driver was not brought along, or was brought along for nothing.
    #[error("service {service}: {why}")]
    Driver {
        /// The service.
        service: ServiceName,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The system gives no thread, timer or random numbers.
    #[error("the system refuses what the agent needs: {0}")]
    System(String),
    /// The servers belong to another cluster.
    #[error(
        "the servers belong to cluster {found:?}, the configuration says {expected:?}: correct cluster \
         or servers"
    )]
    OtherCluster {
        /// The cluster of the servers.
        found: String,
        /// The cluster of the configuration.
        expected: String,
    },
    /// The cluster does not know the node that this agent was.
    #[error("{0}")]
    NotThisNode(String),
    /// The cluster refused a call for good.
    #[error("the cluster refuses: {0}")]
    Refused(ClientError),
}

impl Error {
    pub(crate) fn system(why: impl std::fmt::Display) -> Self {
        Self::System(why.to_string())
    }

    pub(crate) fn settings(service: &ServiceName, why: &driver::ConfigError) -> Self {
        Self::Driver {
            service: service.clone(),
            why: why.to_string(),
        }
    }
}
