//! Load for its own sake: as many writes as the cluster takes, each harmless to repeat.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinSet;

use super::registers::Register;
use super::{Calls, Cluster, ClusterError, SETTLE_BOUND, until};

#[derive(Debug)]
struct Shared {
    servers: RwLock<Vec<Calls>>,
    registers: Vec<Register>,
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    stop: AtomicBool,
}

/// Writers at work.
#[derive(Debug)]
pub struct Pump {
    shared: Arc<Shared>,
    writers: JoinSet<()>,
}

impl Pump {
    /// Starts so many writers on the servers that the cluster has now.
    #[must_use]
    pub fn start(cluster: &Cluster, registers: &[Register], writers: usize) -> Self {
        let shared = Arc::new(Shared {
            servers: RwLock::new(cluster.all_calls()),
            registers: registers.to_vec(),
            acknowledged: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            tasks.spawn(run(shared.clone(), writer));
        }
        Self {
            shared,
            writers: tasks,
        }
    }

    /// Makes servers known that were added meanwhile.
    pub fn learn(&self, cluster: &Cluster) {
        let mut servers = self
            .shared
            .servers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *servers = cluster.all_calls();
    }

    /// Writes that were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Writes so far of which nobody said whether they happened.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.shared.unknown.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes were acknowledged.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`] when none comes for long.
    pub async fn progress(&self, more: u64) -> Result<(), ClusterError> {
        let wanted = self.acknowledged() + more;
        loop {
            let before = self.acknowledged();
            if before >= wanted {
                return Ok(());
            }
            until("one more acknowledged write", SETTLE_BOUND, async || {
                if self.acknowledged() > before {
                    Ok(())
                } else {
                    Err("none came".to_owned())
                }
            })
            .await?;
        }
    }

    /// Ends the writers. Answers with the number of acknowledged writes.
    ///
    /// # Panics
    /// When a writer panicked.
    pub async fn finish(self) -> u64 {
        self.shared.stop.store(true, Ordering::Relaxed);
        let shared = self.shared.clone();
        self.writers.join_all().await;
        shared.acknowledged.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn servers(&self) -> Vec<Calls> {
        self.servers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn run(shared: Arc<Shared>, writer: usize) {
    let register = &shared.registers[writer % shared.registers.len()];
    let mut servers = shared.servers();
    let mut at = writer % servers.len();
    let mut value = (writer as u64) << 32;
    while !shared.stop.load(Ordering::Relaxed) {
        value += 1;
        let error = match servers[at]
            .execute(&register.command(None, value), None)
            .await
        {
            Ok(_) => {
                shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Err(error) => error,
        };
        if error.may_have_happened() {
            shared.unknown.fetch_add(1, Ordering::Relaxed);
        }
        servers = shared.servers();
        let leads = |leader| servers.iter().position(|server| server.server == leader);
        let hint = error
            .leader_hint()
            .and_then(leads)
            .filter(|leader| *leader != at);
        at = hint.unwrap_or((at + 1) % servers.len());
        // Servers that are down say so at once: without a pause they would be asked all the time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
