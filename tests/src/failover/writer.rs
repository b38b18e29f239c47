//! A writer as a real client is one: it writes where it was told that the primary is, waits until a replica has the
//! write, and tries again, at the new primary when there is one, until it has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Pipeline, RedisResult, Value};
use tokio::sync::{Notify, watch};

use super::follower::Named;
use super::link;
use super::moment::Moment;
use super::trace::{Ack, Shared};

/// How long a writer waits for an answer beyond what it allows `WAIT`, before it takes the connection for dead.
const ANSWER_BOUND: Duration = Duration::from_secs(1);
/// Pause after a refusal, and after a failed connection.
const RETRY: Duration = Duration::from_millis(1);

/// How a write ended, as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The primary and a replica have it.
    Acknowledged,
    /// The primary has it, no replica said so in time.
    Unreplicated,
    /// Not executed: the error that was answered.
    Refused(String),
    /// The connection ended, or nothing was answered: it may or may not have been executed.
    Unknown,
}

/// What a writer needs.
#[derive(Clone, Debug)]
pub struct Writer {
    /// What its keys begin with; the number of the write follows.
    pub prefix: String,
    /// Where it writes.
    pub named: watch::Receiver<Named>,
    /// Told when it could not write there.
    pub doubt: Arc<Notify>,
    /// What `WAIT` allows a replica.
    pub wait: Duration,
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
    async fn attempt(
        &mut self,
        connection: &mut Option<(SocketAddr, MultiplexedConnection)>,
        number: u64,
    ) -> bool {
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
        let write = write_of(&self.prefix, number, self.wait);
        let bound = self.wait + ANSWER_BOUND;
        let mut sent = Box::pin(send(open.clone(), write, bound));
        let outcome = tokio::select! {
            biased;
            outcome = &mut sent => outcome,
            () = moved(&mut self.named, address) => {
                // The application goes on at once; how the write ended is still noted.
                let trace = self.trace.clone();
                tokio::spawn(async move { trace.note(&sent.await, number, address) });
                return false;
            }
        };
        self.trace.note(&outcome, number, address);
        match outcome {
            Outcome::Acknowledged => {
                *connection = Some((address, open));
                return true;
            }
            Outcome::Unreplicated => *connection = Some((address, open)),
            Outcome::Refused(_) => {
                *connection = Some((address, open));
                self.pause().await;
            }
            Outcome::Unknown => self.doubt.notify_one(),
        }
        false
    }

    /// A connection, unless another primary is named meanwhile.
    async fn connect(&mut self, address: SocketAddr) -> Option<MultiplexedConnection> {
        let opened = tokio::select! {
            biased;
            () = moved(&mut self.named, address) => return None,
            opened = link::patient(address) => opened,
        };
        if opened.is_err() {
            self.pause().await;
        }
        opened.ok()
    }

    /// Asks who is primary, and waits until there is news or it is time to try again.
    async fn pause(&mut self) {
        self.doubt.notify_one();
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

/// The write with this number, and the wait for one replica.
#[must_use]
pub fn write_of(prefix: &str, number: u64, wait: Duration) -> Pipeline {
    let mut write = redis::pipe();
    write.cmd("SET").arg(key_of(prefix, number)).arg(number);
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    write.cmd("WAIT").arg(1).arg(millis);
    write
}

/// The key of a write.
#[must_use]
pub fn key_of(prefix: &str, number: u64) -> String {
    format!("{prefix}:{number}")
}

/// Sends a write and says how it ended, within a bound.
pub async fn send(
    mut connection: MultiplexedConnection,
    write: Pipeline,
    bound: Duration,
) -> Outcome {
    let answered = connection.req_packed_commands(&write, 0, 2);
    match tokio::time::timeout(bound, answered).await {
        Ok(answer) => outcome_of(answer),
        Err(_elapsed) => Outcome::Unknown,
    }
}

fn outcome_of(answer: RedisResult<Vec<Value>>) -> Outcome {
    let values = match answer {
        Ok(values) => values,
        Err(error) => {
            return match error.code() {
                Some(code) => Outcome::Refused(code.to_owned()),
                None => Outcome::Unknown,
            };
        }
    };
    match values.as_slice() {
        [Value::ServerError(error), ..] => Outcome::Refused(error.code().to_owned()),
        [Value::Okay, Value::Int(replicas)] if *replicas >= 1 => Outcome::Acknowledged,
        [Value::Okay, ..] => Outcome::Unreplicated,
        _other => Outcome::Unknown,
    }
}

/// An acknowledgement seen now.
#[must_use]
pub fn acknowledged(number: u64, by: SocketAddr) -> Ack {
    Ack {
        number,
        at: Moment::now(),
        by,
    }
}
