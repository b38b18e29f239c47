//! Many clients at once, each a task with one request in flight.

use std::time::{Duration, Instant};

use tenure_benches::load::{Tally, Window};
use tokio::task::JoinSet;

use crate::echo::EchoConnection;
use crate::error::CallError;
use crate::system::Connection;

/// How long after the window a request may stay unanswered before it counts as an error.
const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// A client that was refused waits this long, so that a member in trouble is not flooded with refusals.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(1);

/// What a client does again and again, on its own key where there is one.
#[derive(Clone, Debug)]
pub enum Call {
    Write(Connection),
    Read(Connection),
    Echo(EchoConnection),
}

impl Call {
    async fn once(&mut self, key: &str, number: u64) -> Result<(), CallError> {
        match self {
            Self::Write(connection) => connection.write(key, number).await,
            Self::Read(connection) => connection.read(key).await,
            Self::Echo(connection) => connection.echo().await,
        }
    }
}

/// The key that belongs to a client.
#[must_use]
pub fn key_of(client: usize) -> String {
    format!("bench-{client:04}")
}

/// Runs one client per element of `calls` and adds up what they saw in the window.
pub async fn run(calls: Vec<Call>, window: Window) -> Tally {
    let mut clients = JoinSet::new();
    let started = calls.len();
    for (client, call) in calls.into_iter().enumerate() {
        clients.spawn(one_client(call, key_of(client), window));
    }
    let mut all = Tally::new(window);
    let mut ended = 0;
    let until = tokio::time::Instant::from_std(window.closes() + ANSWER_BOUND);
    while let Ok(Some(joined)) = tokio::time::timeout_at(until, clients.join_next()).await {
        if let Ok(tally) = joined {
            ended += 1;
            all.absorb(&tally);
        }
    }
    all.unanswered(started - ended, &CallError::NoAnswer(ANSWER_BOUND));
    all
}

async fn one_client(mut call: Call, key: String, window: Window) -> Tally {
    let mut tally = Tally::new(window);
    let mut number = 0;
    while window.is_open_or_ahead() {
        number += 1;
        let sent = Instant::now();
        let answer = call.once(&key, number).await;
        tally.record(sent, &answer);
        if answer.is_err() {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }
    tally
}
