//! A writer as a real client is one: it commits where it was told that the primary is, and tries again, at the new
//! primary when there is one, until it is told that a write is committed.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};
use tokio::sync::watch;

use super::config::{Login, WRITER};
use super::link;
use crate::failover::follower::Named;
use crate::failover::trace::Shared;
use crate::failover::writer::Outcome;

/// How long a writer waits for a commit before it takes the connection for dead. Longer than any pause of a primary
/// that is moved in order.
const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// Pause after a refusal, and after a failed connection.
const RETRY: Duration = Duration::from_millis(1);

/// What MariaDB and MySQL say of a statement of which nothing was done because the server takes no writes.
const REFUSALS: [u16; 3] = [1290, 1792, 1836];

/// The statements that make what writers write to. To be told to a primary.
pub const TABLE: [&str; 2] = [
    "CREATE DATABASE IF NOT EXISTS app",
    "CREATE TABLE IF NOT EXISTS app.writes (writer VARCHAR(64) NOT NULL, number BIGINT UNSIGNED NOT NULL, \
     tries INT UNSIGNED NOT NULL DEFAULT 1, PRIMARY KEY (writer, number)) ENGINE = InnoDB",
];

/// What a writer needs.
#[derive(Debug)]
pub struct Writer {
    /// Its name, in every row.
    pub name: String,
    /// Where it writes.
    pub named: watch::Receiver<Named>,
    /// Pause after a write that was acknowledged.
    pub pace: Duration,
    /// What it sees.
    pub trace: Shared,
}

impl Writer {
    /// Writes until the task is aborted.
    pub async fn run(mut self) {
        let mut number = 0;
        let mut connection = None;
        loop {
            if self.attempt(&mut connection, number).await {
                number += 1;
                tokio::time::sleep(self.pace).await;
            }
        }
    }

    /// Tries a write once; true when it was acknowledged.
    async fn attempt(&mut self, connection: &mut Option<(SocketAddr, Conn)>, number: u64) -> bool {
        let named = self.named.borrow_and_update().address;
        if connection.as_ref().map(|(address, _)| *address) != named {
            *connection = None;
        }
        let (address, open) = match (connection.take(), named) {
            (Some(open), _) => open,
            (None, None) => {
                self.pause().await;
                return false;
            }
            (None, Some(address)) => match self.connect(address).await {
                Some(open) => (address, open),
                None => return false,
            },
        };
        let mut sent = Box::pin(send(open, write_of(&self.name, number)));
        let (outcome, open) = tokio::select! {
            biased;
            sent = &mut sent => sent,
            () = moved(&mut self.named, address) => {
                // The application goes on at once; how the write ended is still noted.
                let trace = self.trace.clone();
                tokio::spawn(async move {
                    let (outcome, _open) = sent.await;
                    trace.note(&outcome, number, address);
                });
                return false;
            }
        };
        self.trace.note(&outcome, number, address);
        *connection = open.map(|open| (address, open));
        if outcome != Outcome::Acknowledged {
            self.pause().await;
        }
        outcome == Outcome::Acknowledged
    }

    /// A connection, unless another primary is named meanwhile.
    async fn connect(&mut self, address: SocketAddr) -> Option<Conn> {
        let opened = tokio::select! {
            biased;
            () = moved(&mut self.named, address) => return None,
            opened = link::connect(address, WRITER) => opened,
        };
        if opened.is_err() {
            self.pause().await;
        }
        opened.ok()
    }

    /// Waits until there is news or it is time to try again.
    async fn pause(&mut self) {
        tokio::select! {
            _news = self.named.changed() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Waits until another primary than `address` is named. That nobody serves is no reason to leave: the old primary may
/// still answer.
async fn moved(named: &mut watch::Receiver<Named>, address: SocketAddr) {
    let elsewhere = |named: &Named| named.address.is_some_and(|other| other != address);
    if named.wait_for(elsewhere).await.is_err() {
        // Nobody tells any more: the run is over.
        std::future::pending::<()>().await;
    }
}

/// A transaction by itself, which changes something also when it is made again: what changed nothing would be answered
/// without waiting for a replica.
#[must_use]
pub fn write_of(writer: &str, number: u64) -> String {
    format!(
        "INSERT INTO app.writes (writer, number) VALUES ('{writer}', {number}) ON DUPLICATE KEY UPDATE tries = tries + 1"
    )
}

/// Commits a write and says how it ended, within a bound; with the connection where that is still fit for use.
pub async fn send(mut connection: Conn, write: String) -> (Outcome, Option<Conn>) {
    let answered = tokio::time::timeout(ANSWER_BOUND, connection.query_drop(write)).await;
    let outcome = match answered {
        Ok(Ok(())) => Outcome::Acknowledged,
        Ok(Err(Error::Server(error))) if REFUSALS.contains(&error.code) => {
            Outcome::Refused(error.code.to_string())
        }
        Ok(Err(_)) | Err(_) => Outcome::Unknown,
    };
    let is_fit = matches!(outcome, Outcome::Acknowledged | Outcome::Refused(_));
    (outcome, is_fit.then_some(connection))
}

/// Makes what writers write to.
///
/// # Errors
/// As of [`link::tell`]. A retry is safe.
pub async fn prepare(primary: SocketAddr, login: Login) -> mysql_async::Result<()> {
    link::tell(primary, login, &TABLE).await
}
