//! The systems that are measured, behind one shape: a cluster of processes, a connection to one member, a stream
//! of changes.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use tonic::transport::{Channel, Endpoint};

use crate::error::{BenchError, CallError};
use crate::etcd;
use crate::options::Options;
use crate::tenure;

/// Bytes of every value written.
pub const VALUE_BYTES: usize = 256;
/// Digits at the front of a value that hold its number.
const NUMBER_DIGITS: usize = 20;
const CONNECT_BOUND: Duration = Duration::from_secs(5);

/// A system under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    Etcd,
    Tenure,
}

impl System {
    /// The name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Tenure => "tenure",
        }
    }

    /// Version and settings, for the conditions.
    pub fn describe(self, options: &Options) -> Result<String, BenchError> {
        match self {
            Self::Etcd => etcd::describe(options),
            Self::Tenure => tenure::describe(options),
        }
    }
}

/// Three members of one system. Dropping it kills them and removes their data.
#[derive(Debug)]
pub enum Cluster {
    Etcd(etcd::Cluster),
    Tenure(tenure::Cluster),
}

impl Cluster {
    /// Starts three members with empty data folders below `dir` and waits until they serve.
    pub async fn start(system: System, options: &Options, dir: &Path) -> Result<Self, BenchError> {
        match system {
            System::Etcd => Ok(Self::Etcd(etcd::Cluster::start(options, dir).await?)),
            System::Tenure => Ok(Self::Tenure(tenure::Cluster::start(options, dir).await?)),
        }
    }

    /// Where clients reach each member.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Etcd(cluster) => cluster.addresses(),
            Self::Tenure(cluster) => cluster.addresses(),
        }
    }

    /// Waits until every member runs, agrees on the leader and has applied what the others have, and returns the
    /// leader's place among the members.
    pub async fn settled(&mut self) -> Result<usize, BenchError> {
        match self {
            Self::Etcd(cluster) => cluster.settled().await,
            Self::Tenure(cluster) => cluster.settled().await,
        }
    }

    /// Kills a member with SIGKILL and returns when it is gone.
    pub fn kill(&mut self, member: usize) -> Result<(), BenchError> {
        match self {
            Self::Etcd(cluster) => cluster.kill(member),
            Self::Tenure(cluster) => cluster.kill(member),
        }
    }

    /// Starts a killed member again on its data.
    pub fn restart(&mut self, member: usize) -> Result<(), BenchError> {
        match self {
            Self::Etcd(cluster) => cluster.restart(member),
            Self::Tenure(cluster) => cluster.restart(member),
        }
    }

    /// A new connection of its own to a member.
    pub async fn connect(&self, address: &str) -> Result<Connection, BenchError> {
        let channel = connect(address).await?;
        Ok(match self {
            Self::Etcd(_cluster) => Connection::Etcd(etcd::Connection::new(channel)),
            Self::Tenure(_cluster) => Connection::Tenure(tenure::Connection::new(channel)),
        })
    }

    /// Stops all members.
    pub async fn stop(self) -> Result<(), BenchError> {
        match self {
            Self::Etcd(cluster) => cluster.stop().await,
            Self::Tenure(cluster) => cluster.stop().await,
        }
    }
}

/// One connection to one member. Clones share it.
#[derive(Clone, Debug)]
pub enum Connection {
    Etcd(etcd::Connection),
    Tenure(tenure::Connection),
}

impl Connection {
    /// One durable write, acknowledged by a majority. Not retried.
    pub async fn write(&mut self, key: &str, number: u64) -> Result<(), CallError> {
        match self {
            Self::Etcd(connection) => connection.write(key, value(number)).await,
            Self::Tenure(connection) => connection.write(key, value(number)).await,
        }
    }

    /// One linearizable read of a key that was written before. Not retried.
    pub async fn read(&mut self, key: &str) -> Result<(), CallError> {
        match self {
            Self::Etcd(connection) => connection.read(key).await,
            Self::Tenure(connection) => connection.read(key).await,
        }
    }

    /// The changes of a key from now on; returns once the member has confirmed the watch.
    pub async fn watch(&mut self, key: &str) -> Result<Changes, CallError> {
        match self {
            Self::Etcd(connection) => connection.watch(key).await.map(Changes::Etcd),
            Self::Tenure(connection) => connection.watch(key).await.map(Changes::Tenure),
        }
    }
}

/// The changes of one key.
#[derive(Debug)]
pub enum Changes {
    Etcd(etcd::Changes),
    Tenure(tenure::Changes),
}

impl Changes {
    /// The number of the newest value that the next message brings.
    pub async fn next(&mut self) -> Result<u64, CallError> {
        match self {
            Self::Etcd(changes) => changes.next().await,
            Self::Tenure(changes) => changes.next().await,
        }
    }
}

/// A connection that is open when this returns.
pub async fn connect(address: &str) -> Result<Channel, BenchError> {
    let refused = |source| BenchError::Address {
        address: address.to_owned(),
        source,
    };
    Endpoint::from_shared(address.to_owned())
        .map_err(refused)?
        .connect_timeout(CONNECT_BOUND)
        .connect()
        .await
        .map_err(refused)
}

/// A connection that is opened by its first request, and again by the first one after it broke.
pub fn connect_lazily(address: &str) -> Result<Channel, BenchError> {
    let endpoint =
        Endpoint::from_shared(address.to_owned()).map_err(|source| BenchError::Address {
            address: address.to_owned(),
            source,
        })?;
    Ok(endpoint.connect_timeout(CONNECT_BOUND).connect_lazy())
}

/// A value of [`VALUE_BYTES`] printable bytes that begins with its number.
#[must_use]
pub fn value(number: u64) -> String {
    let mut value = format!("{number:0NUMBER_DIGITS$}");
    value.extend(std::iter::repeat_n('.', VALUE_BYTES - NUMBER_DIGITS));
    value
}

/// The number at the front of a value.
pub fn number_of(value: &[u8]) -> Result<u64, CallError> {
    value
        .get(..NUMBER_DIGITS)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or(CallError::WrongValue {
            got: value.len(),
            wanted: VALUE_BYTES,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_size_and_number() {
        for number in [0, 7, u64::MAX] {
            let value = value(number);
            assert_eq!(value.len(), VALUE_BYTES);
            assert_eq!(number_of(value.as_bytes()).expect("a number"), number);
        }
        assert!(number_of(b"7").is_err());
    }
}
