//! A client as a service would be: it writes to the primary, waits for one replica, follows a move, and
//! remembers what was acknowledged.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tenure_client::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::site::service;

/// Whom a writer writes to.
enum Whom {
    /// Whoever is primary.
    Primary(Box<Client>),
    /// The store at a port, whatever becomes of it.
    Store(u16),
}

#[derive(Debug, Default)]
struct Log {
    acknowledged: Vec<u64>,
    last: Option<Instant>,
    longest_gap: Duration,
    /// Writes of which it is not known whether they were done.
    failed: Vec<String>,
    /// Writes that were done, and that no replica acknowledged within the time that `WAIT` was given.
    late: Vec<u64>,
    /// Writes of which the store said that it does nothing of the kind.
    refused: Vec<u64>,
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
    /// Its keys begin so.
    prefix: &'static str,
    log: Arc<Mutex<Log>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

const ANSWER_WITHIN: Duration = Duration::from_millis(300);
/// How long after something failed it is tried again.
const PAUSE: Duration = Duration::from_millis(2);

impl Writer {
    /// One that follows the primary.
    pub fn start(client: Client) -> Writer {
        Self::begin("w", Whom::Primary(Box::new(client)))
    }

    /// One that knows nothing of Tenure, and goes on writing to one store.
    pub fn beside(port: u16) -> Writer {
        Self::begin("b", Whom::Store(port))
    }

    fn begin(prefix: &'static str, whom: Whom) -> Writer {
        let log = Arc::new(Mutex::new(Log::default()));
        let stop = watch::Sender::new(false);
        let writing = Writing {
            prefix,
            log: log.clone(),
            stop: stop.subscribe(),
            number: 0,
        };
        let task = tokio::spawn(writing.run(whom));
        Writer {
            prefix,
            log,
            stop,
            task: Some(task),
        }
    }

    /// How many writes were acknowledged so far.
    pub fn count(&self) -> usize {
        self.log.lock().expect("a log").acknowledged.len()
    }

    /// Waits until so many more writes are acknowledged. Gives how many there are then.
    pub async fn acknowledged(&mut self, more: usize) -> usize {
        let wanted = self.count() + more;
        super::site::eventually("writes acknowledged", || async {
            Some(self.count()).filter(|count| *count >= wanted)
        })
        .await
    }

    /// The longest time between two acknowledgements since the last call.
    pub fn longest_gap(&mut self) -> Duration {
        std::mem::take(&mut self.log.lock().expect("a log").longest_gap)
    }

    /// Begins to look anew: a first synchronisation takes a while.
    pub fn forget(&self) {
        let mut log = self.log.lock().expect("a log");
        log.failed.clear();
        log.late.clear();
        log.refused.clear();
        log.longest_gap = Duration::ZERO;
    }

    /// What failed otherwise than by the store's word that nothing was done.
    pub fn failed(&self) -> Vec<String> {
        self.log.lock().expect("a log").failed.clone()
    }

    /// What no replica acknowledged in time. On a busy machine that may happen at any time.
    pub fn late(&self) -> Vec<u64> {
        self.log.lock().expect("a log").late.clone()
    }

    /// What the store refused, being no primary, or one without replicas.
    pub fn refused(&self) -> Vec<u64> {
        self.log.lock().expect("a log").refused.clone()
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
                pipe.cmd("EXISTS").arg(format!("{}:{number}", self.prefix));
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

struct Writing {
    prefix: &'static str,
    log: Arc<Mutex<Log>>,
    stop: watch::Receiver<bool>,
    number: u64,
}

impl Writing {
    async fn run(mut self, whom: Whom) {
        match whom {
            Whom::Primary(client) => self.follow(&client).await,
            Whom::Store(port) => {
                let endpoint = format!("127.0.0.1:{port}");
                while !self.is_over() {
                    if let Some(mut connection) = connect(&endpoint).await {
                        self.write_to(&mut connection).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        *self.stop.borrow()
    }

    async fn follow(&mut self, client: &Client) {
        let mut follow = client.follow(service()).await.expect("follows");
        while !self.is_over() {
            let Some(primary) = follow.current() else {
                let _told = tokio::time::timeout(ANSWER_WITHIN, follow.changed()).await;
                continue;
            };
            let Some(mut connection) = connect(primary.endpoint.as_str()).await else {
                let _told = tokio::time::timeout(Duration::from_millis(20), follow.changed()).await;
                continue;
            };
            self.write_to(&mut connection).await;
            let _told = tokio::time::timeout(PAUSE, follow.changed()).await;
        }
    }

    /// Writes until something fails.
    async fn write_to(&mut self, connection: &mut MultiplexedConnection) {
        while !self.is_over() {
            self.number += 1;
            let number = self.number;
            let mut pipe = redis::pipe();
            pipe.cmd("SET")
                .arg(format!("{}:{number}", self.prefix))
                .arg(number);
            pipe.cmd("WAIT").arg(1).arg(100);
            let answer = pipe.query_async::<(String, u64)>(connection);
            let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
            match answer {
                Ok(Ok((_, replicas))) if replicas >= 1 => {
                    self.log.lock().expect("a log").took(number);
                }
                other => return note(&self.log, number, other),
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
    let mut log = log.lock().expect("a log");
    match answer {
        Ok(Ok(_)) => log.late.push(number),
        Ok(Err(error)) if was_refused(&error) => log.refused.push(number),
        Ok(Err(error)) => log.failed.push(format!("{number}: {error}")),
        Err(_) => log.failed.push(format!("{number}: no answer")),
    }
}

fn was_refused(error: &redis::RedisError) -> bool {
    let text = error.to_string();
    let refusals = ["READONLY", "NOREPLICAS"];
    let first = |word: &str| text.contains(&format!("(Index 0, error: \"{word}\""));
    refusals
        .iter()
        .any(|word| error.code() == Some(word) || first(word))
}
