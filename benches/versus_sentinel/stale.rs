//! Clients that nobody tells anything: they stay with the old primary, on its side of a cut. What it acknowledges to
//! them while another serves is what fencing is about.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_benches::process::Process;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BenchError;
use crate::ground::Ground;
use crate::link;
use crate::moment::Moment;
use crate::writer::{Outcome, key_of, send, write_of};

/// Longer than any stop or cut lasts: a stopped server answers when it goes on.
const ANSWER_BOUND: Duration = Duration::from_secs(120);
const PACE: Duration = Duration::from_millis(1);
const START_BOUND: Duration = Duration::from_secs(10);

/// A write that was acknowledged, as the clients note it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    number: u64,
    sent: Moment,
    answered: Moment,
}

/// The same with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: String,
    pub number: u64,
    pub sent: Moment,
    pub answered: Moment,
}

/// What was acknowledged to the clients.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    plain: Vec<Noted>,
    waited: Vec<Noted>,
}

impl Account {
    /// The writes that the primary alone had answered.
    pub fn plain(&self, prefix: &str) -> Vec<Write> {
        with_keys(&self.plain, &plain(prefix))
    }

    /// The writes that `WAIT 1` said a replica had.
    pub fn waited(&self, prefix: &str) -> Vec<Write> {
        with_keys(&self.waited, &waited(prefix))
    }
}

fn with_keys(writes: &[Noted], prefix: &str) -> Vec<Write> {
    let with_key = |noted: &Noted| Write {
        key: key_of(prefix, noted.number),
        number: noted.number,
        sent: noted.sent,
        answered: noted.answered,
    };
    writes.iter().map(with_key).collect()
}

fn plain(prefix: &str) -> String {
    format!("{prefix}-plain")
}

fn waited(prefix: &str) -> String {
    format!("{prefix}-waited")
}

/// The clients, in a process of their own: on the node, so that a cut does not part them from it.
#[derive(Debug)]
pub struct Stale {
    process: Process,
    out: PathBuf,
    prefix: String,
}

impl Stale {
    /// Starts the clients of the redis-server at `address` on a node.
    pub async fn start(
        ground: &Ground,
        node: usize,
        address: SocketAddr,
        prefix: &str,
        dir: &Path,
    ) -> Result<Self, BenchError> {
        let own = std::env::current_exe().map_err(|source| BenchError::Io {
            what: "find",
            path: "versus-sentinel".into(),
            source,
        })?;
        let out = dir.join(format!("{prefix}.json"));
        let args = [
            "stale-client",
            "--address",
            &address.to_string(),
            "--prefix",
            prefix,
            "--wait-ms",
            &ground.options.wait_ms.to_string(),
            "--out",
            &out.display().to_string(),
        ];
        let args = args.map(str::to_owned).to_vec();
        let name = format!("stale-{prefix}");
        let mut process = ground.process(&ground.network.sites[node], &name, &own, args, dir);
        process.start()?;
        let stale = Self {
            process,
            out,
            prefix: prefix.to_owned(),
        };
        stale.at_work(address).await
    }

    /// Waits until the clients have written.
    async fn at_work(mut self, address: SocketAddr) -> Result<Self, BenchError> {
        let deadline = Moment::now().plus(START_BOUND);
        let key = key_of(&waited(&self.prefix), 0);
        loop {
            self.process.check()?;
            let last = match link::ask::<Option<u64>>(address, &["GET", &key]).await {
                Ok(Some(_zero)) => return Ok(self),
                Ok(None) => format!("{address} has nothing of them"),
                Err(error) => error.to_string(),
            };
            if Moment::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: "the first write of the clients beside the primary".to_owned(),
                    bound: START_BOUND,
                    last,
                });
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Ends the clients and returns what was acknowledged to them.
    pub async fn stop(mut self) -> Result<Account, BenchError> {
        self.process.terminate()?;
        self.process.finish().await?;
        let failed = |source| BenchError::Io {
            what: "read the account of the clients beside the old primary from",
            path: self.out.clone(),
            source,
        };
        let text = std::fs::read_to_string(&self.out).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }

    /// What the keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// The process of the clients: writes until SIGTERM, then tells in `out`.
pub async fn run(
    address: SocketAddr,
    prefix: &str,
    wait: Duration,
    out: &Path,
) -> Result<(), BenchError> {
    let failed = |what, path: PathBuf| move |source| BenchError::Io { what, path, source };
    let mut terminate = signal(SignalKind::terminate())
        .map_err(failed("listen for signals in", "versus-sentinel".into()))?;
    let mut account = Account::default();
    let (plain, waited) = (plain(prefix), waited(prefix));
    let writing = async {
        tokio::join!(
            write(address, &plain, None, &mut account.plain),
            write(address, &waited, Some(wait), &mut account.waited)
        )
    };
    tokio::select! {
        _never = writing => {}
        _signal = terminate.recv() => {}
    }
    let text = serde_json::to_string(&account).unwrap_or_default();
    std::fs::write(out, text).map_err(failed("write", out.to_path_buf()))
}

/// Writes one key after the other, on one connection as long as it lasts, for ever.
async fn write(address: SocketAddr, prefix: &str, wait: Option<Duration>, acks: &mut Vec<Noted>) {
    let mut number = 0;
    loop {
        let Ok(connection) = link::patient(address).await else {
            tokio::time::sleep(PACE).await;
            continue;
        };
        loop {
            let sent = Moment::now();
            let outcome = match wait {
                Some(wait) => {
                    let write = write_of(prefix, number, wait);
                    send(connection.clone(), write, ANSWER_BOUND).await
                }
                None => write_plain(connection.clone(), prefix, number).await,
            };
            match outcome {
                Outcome::Acknowledged => {
                    let answered = Moment::now();
                    acks.push(Noted {
                        number,
                        sent,
                        answered,
                    });
                    number += 1;
                }
                Outcome::Unknown => break,
                Outcome::Refused(_) | Outcome::Unreplicated => {}
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

async fn write_plain(
    mut connection: redis::aio::MultiplexedConnection,
    prefix: &str,
    number: u64,
) -> Outcome {
    let mut set = redis::cmd("SET");
    set.arg(key_of(prefix, number)).arg(number);
    let answered = set.query_async::<String>(&mut connection);
    match tokio::time::timeout(ANSWER_BOUND, answered).await {
        Ok(Ok(_ok)) => Outcome::Acknowledged,
        Ok(Err(error)) => match error.code() {
            Some(code) => Outcome::Refused(code.to_owned()),
            None => Outcome::Unknown,
        },
        Err(_elapsed) => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_account_survives_its_file() {
        let (sent, answered) = (Moment::now(), Moment::now());
        let noted = Noted {
            number: 7,
            sent,
            answered,
        };
        let account = Account {
            plain: vec![noted],
            waited: vec![],
        };
        let text = serde_json::to_string(&account).expect("it can be written");
        let read: Account = serde_json::from_str(&text).expect("it can be read");
        let wanted = Write {
            key: "a-plain:7".to_owned(),
            number: 7,
            sent,
            answered,
        };
        assert_eq!(read.plain("a"), [wanted]);
        assert!(read.waited("a").is_empty());
    }
}
