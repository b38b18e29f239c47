//! A writer's connection to the primary: what it needs of a store, whichever that is.

use super::{
    Kind,
    line::{Answer, Line},
    mysql::{PASSWORD, WRITER},
};
use mysql_async::{Conn, Error, OptsBuilder, prelude::Queryable};
use std::{io, time::Duration};
use tenure_core::Endpoint;
use tokio::time::timeout;

/// How long one replica of Redis may take to have a write, in milliseconds.
const REPLICATED_WITHIN_MS: u64 = 100;
/// How long an answer may take: writes are held back for a moment while a primary is moved.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long connecting may take: it is the same machine.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// What holds the number of the last write in Redis.
const KEY: &str = "tenure-dev:writer";
/// What holds it in MariaDB.
const TABLE: &str = "tenure_dev.writer";
/// MariaDB's word that there is no such table, and no such database.
const NO_TABLE: [u16; 2] = [1146, 1049];

/// The connection.
pub enum Session {
    /// To Redis, or to the built-in service.
    Line(Line),
    /// To MariaDB.
    Mysql(Box<Conn>),
}

impl Session {
    /// Connects, within a short time.
    ///
    /// # Errors
    /// What the system or the store says; a retry is safe.
    pub async fn connect(kind: Kind, endpoint: &Endpoint) -> io::Result<Self> {
        match kind {
            Kind::Redis | Kind::BuiltIn => Line::connect(endpoint.as_str()).await.map(Self::Line),
            Kind::Mysql => mysql(endpoint).await.map(|it| Self::Mysql(Box::new(it))),
        }
    }

    /// The number of the last write that is there; 0 when there is none.
    ///
    /// # Errors
    /// What the system or the store says; a retry is safe.
    pub async fn last(&mut self) -> io::Result<u64> {
        match self {
            Self::Line(line) => match line.ask(&format!("GET {KEY}"), ANSWER_WITHIN).await? {
                Answer::Value(value) => Ok(value.and_then(|it| it.parse().ok()).unwrap_or(0)),
                other @ (Answer::Done(_) | Answer::Refused(_) | Answer::Number(_)) => {
                    Err(io::Error::other(format!("no value: {other:?}")))
                }
            },
            Self::Mysql(conn) => last(conn).await,
        }
    }

    /// Writes a number in place of the last one, and waits until a replica has it. Gives a sentence where none
    /// had it in time.
    ///
    /// # Errors
    /// What the system or the store says: it is not known whether it was written.
    pub async fn write(&mut self, number: u64) -> io::Result<Option<String>> {
        match self {
            Self::Line(line) => write(line, number).await,
            // A commit is answered once a replica has it.
            Self::Mysql(conn) => {
                let query = format!("REPLACE INTO {TABLE} (id, number) VALUES (1, {number})");
                answered(conn.query_drop(query)).await.map(|()| None)
            }
        }
    }
}

async fn write(line: &mut Line, number: u64) -> io::Result<Option<String>> {
    let write = format!("SET {KEY} {number}");
    let wait = format!("WAIT 1 {REPLICATED_WITHIN_MS}");
    line.send(&[&write, &wait]).await?;
    let written = line.answer(ANSWER_WITHIN).await?;
    let replicated = line.answer(ANSWER_WITHIN).await?;
    match (written, replicated) {
        (Answer::Done(_), Answer::Number(1..)) => Ok(None),
        (Answer::Done(_), Answer::Number(_)) => Ok(Some(format!(
            "no replica had a write within {REPLICATED_WITHIN_MS} ms"
        ))),
        (Answer::Refused(why), _) | (_, Answer::Refused(why)) => Err(io::Error::other(why)),
        (written, replicated) => Err(io::Error::other(format!(
            "no answers to a write: {written:?}, {replicated:?}"
        ))),
    }
}

async fn mysql(endpoint: &Endpoint) -> io::Result<Conn> {
    let address: std::net::SocketAddr = endpoint.as_str().parse().map_err(io::Error::other)?;
    // What is named here is not asked for: one round trip fewer.
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(WRITER))
        .pass(Some(PASSWORD))
        .prefer_socket(Some(false))
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(28_800));
    let connected = timeout(CONNECT_WITHIN, Conn::new(options)).await;
    connected?.map_err(io::Error::other)
}

/// The table is made where it is not there yet.
async fn last(conn: &mut Conn) -> io::Result<u64> {
    let query = format!("SELECT number FROM {TABLE} WHERE id = 1");
    let found = timeout(ANSWER_WITHIN, conn.query_first::<u64, _>(query)).await?;
    match found {
        Ok(found) => Ok(found.unwrap_or(0)),
        Err(Error::Server(why)) if NO_TABLE.contains(&why.code) => {
            let table = format!(
                "CREATE TABLE IF NOT EXISTS {TABLE} (id INT PRIMARY KEY, number BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB"
            );
            for statement in ["CREATE DATABASE IF NOT EXISTS tenure_dev", &table] {
                answered(conn.query_drop(statement)).await?;
            }
            Ok(0)
        }
        Err(why) => Err(io::Error::other(why)),
    }
}

async fn answered<T>(doing: impl Future<Output = mysql_async::Result<T>>) -> io::Result<T> {
    timeout(ANSWER_WITHIN, doing)
        .await?
        .map_err(io::Error::other)
}
