//! A client as a service would be: it writes to the primary, waits for one replica, follows a move, and
//! remembers what was acknowledged.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tenure_client::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::site::service;

#[derive(Debug, Default)]
struct Log {
    acknowledged: Vec<u64>,
    last: Option<Instant>,
    longest_gap: Duration,
    /// Writes of which it is not known whether they were done.
    failed: Vec<String>,
}

impl Log {
    fn took(&mut self, number: u64) {
        let now = Instant::now();
        if let Some(last) = self.last {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.last = Some(now);
        self.acknowledged.push(number);
    }
}

pub struct Writer {
    log: Arc<Mutex<Log>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

const ANSWER_WITHIN: Duration = Duration::from_millis(300);

impl Writer {
    pub fn start(client: Client) -> Writer {
        let log = Arc::new(Mutex::new(Log::default()));
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(write(client, log.clone(), stop.subscribe()));
        Writer {
            log,
            stop,
            task: Some(task),
        }
    }

    fn count(&self) -> usize {
        self.log.lock().expect("a log").acknowledged.len()
    }

    /// Waits until so many more writes are acknowledged.
    pub async fn acknowledged(&mut self, more: usize) {
        let wanted = self.count() + more;
        super::site::eventually("writes acknowledged", || async {
            (self.count() >= wanted).then_some(())
        })
        .await;
    }

    /// The longest time between two acknowledgements since the last call.
    pub fn longest_gap(&mut self) -> Duration {
        std::mem::take(&mut self.log.lock().expect("a log").longest_gap)
    }

    /// Begins to look anew: a first synchronisation takes a while.
    pub fn forget(&self) {
        let mut log = self.log.lock().expect("a log");
        log.failed.clear();
        log.longest_gap = Duration::ZERO;
    }

    /// What failed otherwise than by the store's word that nothing was done.
    pub fn failed(&self) -> Vec<String> {
        self.log.lock().expect("a log").failed.clone()
    }

    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.await.expect("the writer ends");
        }
    }

    pub async fn missing_at(&self, port: u16) -> Vec<u64> {
        let mut connection = connect(&format!("127.0.0.1:{port}"))
            .await
            .expect("connects");
        let acknowledged = self.log.lock().expect("a log").acknowledged.clone();
        let mut missing = Vec::new();
        for part in acknowledged.chunks(1_000) {
            let mut pipe = redis::pipe();
            for number in part {
                pipe.cmd("EXISTS").arg(format!("w:{number}"));
            }
            let found: Vec<u64> = pipe.query_async(&mut connection).await.expect("answers");
            missing.extend(
                part.iter()
                    .zip(found)
                    .filter(|(_, found)| *found == 0)
                    .map(|(it, _)| *it),
            );
        }
        missing
    }
}

async fn connect(endpoint: &str) -> Option<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis://{endpoint}")).ok()?;
    let connecting = client.get_multiplexed_async_connection();
    tokio::time::timeout(ANSWER_WITHIN, connecting)
        .await
        .ok()?
        .ok()
}

async fn write(client: Client, log: Arc<Mutex<Log>>, stop: watch::Receiver<bool>) {
    let mut follow = client.follow(service()).await.expect("follows");
    let mut number = 0u64;
    while !*stop.borrow() {
        let Some(primary) = follow.current() else {
            let _told = tokio::time::timeout(ANSWER_WITHIN, follow.changed()).await;
            continue;
        };
        let Some(mut connection) = connect(primary.endpoint.as_str()).await else {
            let _told = tokio::time::timeout(Duration::from_millis(20), follow.changed()).await;
            continue;
        };
        while !*stop.borrow() {
            number += 1;
            let mut pipe = redis::pipe();
            pipe.cmd("SET").arg(format!("w:{number}")).arg(number);
            pipe.cmd("WAIT").arg(1).arg(100);
            let answer = pipe.query_async::<(String, u64)>(&mut connection);
            let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
            match answer {
                Ok(Ok((_, replicas))) if replicas >= 1 => log.lock().expect("a log").took(number),
                other => {
                    note(&log, number, other);
                    let pause = Duration::from_millis(2);
                    let _told = tokio::time::timeout(pause, follow.changed()).await;
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Remembers what failed. A store that says that it is no primary, or has too few replicas, has done
/// nothing: the client tries again elsewhere.
fn note(
    log: &Mutex<Log>,
    number: u64,
    answer: Result<redis::RedisResult<(String, u64)>, tokio::time::error::Elapsed>,
) {
    let why = match answer {
        Ok(Ok((_, replicas))) => format!("{number}: on {replicas} replicas"),
        Ok(Err(error)) if was_refused(&error) => return,
        Ok(Err(error)) => format!("{number}: {error}"),
        Err(_) => format!("{number}: no answer"),
    };
    log.lock().expect("a log").failed.push(why);
}

fn was_refused(error: &redis::RedisError) -> bool {
    let text = error.to_string();
    let refusals = ["READONLY", "NOREPLICAS"];
    let first = |word: &str| text.contains(&format!("(Index 0, error: \"{word}\""));
    refusals
        .iter()
        .any(|word| error.code() == Some(word) || first(word))
}
