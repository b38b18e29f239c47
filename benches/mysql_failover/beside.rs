//! A writer that nobody tells anything: it stays with the old primary, on its side of a cut. What that acknowledges to
//! it while another serves is what fencing is about.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_benches::process::Process;
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::writer::Outcome;
use tenure_tests::mariadb::config::{OPERATOR, WRITER};
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::writer::{send, write_of};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BenchError;
use crate::ground::Ground;

const PACE: Duration = Duration::from_millis(1);
const START_BOUND: Duration = Duration::from_secs(10);

/// A commit that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub number: u64,
    pub sent: Moment,
    pub answered: Moment,
}

/// The writer, in a process of its own: on the node, so that a cut does not part it from it.
#[derive(Debug)]
pub struct Beside {
    process: Process,
    out: PathBuf,
    /// Its name, in every row.
    pub name: String,
}

impl Beside {
    /// Starts the writer of the mariadbd at `address` on a node, and waits until it has written.
    pub async fn start(
        ground: &Ground,
        node: usize,
        address: SocketAddr,
        label: &str,
        dir: &Path,
    ) -> Result<Self, BenchError> {
        let own = std::env::current_exe().map_err(|source| BenchError::Io {
            what: "find",
            path: "mysql-failover".into(),
            source,
        })?;
        let name = format!("{label}-beside");
        let out = dir.join(format!("{name}.json"));
        let args = [
            "beside",
            "--address",
            &address.to_string(),
            "--name",
            &name,
            "--out",
            &out.display().to_string(),
        ];
        let args = args.map(str::to_owned).to_vec();
        let mut process = ground.process(&ground.network.sites[node], &name, &own, args, dir);
        process.start()?;
        let mut beside = Self { process, out, name };
        beside.has_written(address).await?;
        Ok(beside)
    }

    async fn has_written(&mut self, address: SocketAddr) -> Result<(), BenchError> {
        let deadline = Moment::now().plus(START_BOUND);
        let query = format!(
            "SELECT number FROM app.writes WHERE writer = '{}' LIMIT 1",
            self.name
        );
        loop {
            self.process.check()?;
            let last = match link::ask::<u64>(address, OPERATOR, &query).await {
                Ok(found) if !found.is_empty() => return Ok(()),
                Ok(_) => format!("{address} has nothing of it"),
                Err(error) => error.to_string(),
            };
            if Moment::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: "the first commit of the writer beside the primary".to_owned(),
                    bound: START_BOUND,
                    last,
                });
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Ends the writer and returns what was acknowledged to it.
    pub async fn stop(mut self) -> Result<Vec<Noted>, BenchError> {
        self.process.terminate()?;
        self.process.finish().await?;
        let failed = |source| BenchError::Io {
            what: "read the account of the writer beside the old primary from",
            path: self.out.clone(),
            source,
        };
        let text = std::fs::read_to_string(&self.out).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }
}

/// The process of the writer: writes until SIGTERM, then tells in `out`.
pub async fn run(address: SocketAddr, name: &str, out: &Path) -> Result<(), BenchError> {
    let failed = |what, path: PathBuf| move |source| BenchError::Io { what, path, source };
    let mut terminate = signal(SignalKind::terminate())
        .map_err(failed("listen for signals in", "mysql-failover".into()))?;
    let mut noted = Vec::new();
    tokio::select! {
        () = write(address, name, &mut noted) => {}
        _signal = terminate.recv() => {}
    }
    let text = serde_json::to_string(&noted).unwrap_or_default();
    std::fs::write(out, text).map_err(failed("write", out.to_path_buf()))
}

/// Writes one row after the other, on one connection as long as it lasts, for ever.
async fn write(address: SocketAddr, name: &str, noted: &mut Vec<Noted>) {
    let mut number = 0;
    loop {
        let mut connection = link::connect(address, WRITER).await.ok();
        while let Some(open) = connection.take() {
            let sent = Moment::now();
            let (outcome, still) = send(open, write_of(name, number)).await;
            if outcome == Outcome::Acknowledged {
                let answered = Moment::now();
                noted.push(Noted {
                    number,
                    sent,
                    answered,
                });
                number += 1;
            }
            connection = still;
            tokio::time::sleep(PACE).await;
        }
        tokio::time::sleep(PACE).await;
    }
}
