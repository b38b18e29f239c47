//! Connections to redis-server and redis-sentinel, each attempt bounded.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult};

/// How long a connection may take.
pub const CONNECT_BOUND: Duration = Duration::from_millis(250);
const ANSWER_BOUND: Duration = Duration::from_secs(1);
/// How many values are asked for at once.
const BATCH: usize = 500;

/// A client of one address, not connected yet.
///
/// # Errors
/// Never in practice: an address has no form that is refused.
pub fn client(address: SocketAddr) -> RedisResult<Client> {
    Client::open((address.ip().to_string(), address.port()))
}

/// A connection whose answers may take as long as they like.
///
/// # Errors
/// Nobody accepts within [`CONNECT_BOUND`]. A retry is safe.
pub async fn patient(address: SocketAddr) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_BOUND))
        .set_response_timeout(None);
    client(address)?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// One command on a connection of its own.
///
/// # Errors
/// It is not reached, does not answer within a second, or refuses. Whether a retry is safe depends on the command.
pub async fn ask<T: FromRedisValue>(address: SocketAddr, words: &[&str]) -> RedisResult<T> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_BOUND))
        .set_response_timeout(Some(ANSWER_BOUND));
    let mut connection = client(address)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(&mut connection).await
}

/// What `INFO` tells.
#[derive(Debug)]
pub struct Info(String);

impl Info {
    /// Asks for one section.
    ///
    /// # Errors
    /// As of [`ask`]. A retry is safe.
    pub async fn of(address: SocketAddr, section: &str) -> RedisResult<Self> {
        ask(address, &["INFO", section]).await.map(Self)
    }

    /// The value of a field; empty when there is no such field.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        let mut lines = self.0.lines();
        let found = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.unwrap_or_default().trim_end()
    }

    /// How many replicas are attached and have all there is.
    #[must_use]
    pub fn replicas_online(&self) -> usize {
        let online = |line: &&str| line.starts_with("slave") && line.contains(",state=online,");
        self.0.lines().filter(online).count()
    }
}

/// The numbers of those of these keys that do not hold their number.
///
/// # Errors
/// It is not reached, or does not answer within ten seconds, which is a time-out. A retry is safe.
pub async fn missing(address: SocketAddr, keys: &[(String, u64)]) -> RedisResult<BTreeSet<u64>> {
    let mut connection = patient(address).await?;
    let mut missing = BTreeSet::new();
    for batch in keys.chunks(BATCH) {
        let mut command = redis::cmd("MGET");
        for (key, _number) in batch {
            command.arg(key);
        }
        let answered = command.query_async::<Vec<Option<u64>>>(&mut connection);
        let values = match tokio::time::timeout(ANSWER_BOUND * 10, answered).await {
            Ok(values) => values?,
            Err(elapsed) => return Err(io::Error::from(elapsed).into()),
        };
        let lost = batch
            .iter()
            .zip(values)
            .filter(|((_key, number), value)| *value != Some(*number))
            .map(|((_key, number), _value)| *number);
        missing.extend(lost);
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_info() {
        let info = Info(
            "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=127.0.0.1,port=1,state=online,offset=1,lag=0\r\n\
             slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r\n"
                .to_owned(),
        );
        assert_eq!(info.get("role"), "master");
        assert_eq!(info.get("master_host"), "");
        assert_eq!(info.replicas_online(), 1);
    }
}
