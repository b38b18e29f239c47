//! Clients that use registers all the time and record what they asked and were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::registers::{Register, Written};
use super::{Calls, Cluster, ClusterError, SETTLE_BOUND, until};
use crate::linearizability::{Op, Operation};
use crate::power_loss::chance::Chance;

/// How long a client waits for a server that may be frozen, so that it goes on at the others.
const PATIENCE: Duration = Duration::from_millis(400);

/// An operation on one of the registers, and the server that was asked.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Which register.
    pub register: usize,
    /// Which server was asked first.
    pub server: usize,
    /// What was asked and told, in nanoseconds since the load began.
    pub operation: Operation,
}

#[derive(Debug)]
struct Shared {
    servers: Vec<Calls>,
    registers: Vec<Register>,
    origin: Instant,
    /// Between two operations of one client: keeps histories short enough to be checked.
    pause: Duration,
    answered: AtomicU64,
    stop: AtomicBool,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Vec<Recorded>>,
}

impl Load {
    /// Starts `clients` clients on all servers that the cluster has now.
    #[must_use]
    pub fn start(
        cluster: &Cluster,
        registers: &[Register],
        clients: u64,
        seed: u64,
        pause: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            servers: (cluster
                .all_calls()
                .iter()
                .map(|calls| calls.within(PATIENCE)))
            .collect(),
            registers: registers.to_vec(),
            origin: Instant::now(),
            pause,
            answered: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        for client in 1..=clients {
            tasks.spawn(run(
                shared.clone(),
                client,
                Chance::new(seed ^ (client << 32)),
            ));
        }
        Self {
            shared,
            clients: tasks,
        }
    }

    /// How many operations were answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more operations were answered.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`].
    pub async fn progress(&self, more: u64) -> Result<(), ClusterError> {
        let wanted = self.answered() + more;
        until(
            format!("{more} more answers to clients"),
            SETTLE_BOUND,
            async || {
                let now = self.answered();
                if now >= wanted {
                    Ok(())
                } else {
                    Err(format!("{} came", now + more - wanted))
                }
            },
        )
        .await
    }

    /// Ends the clients and hands over what they recorded.
    ///
    /// # Panics
    /// When a client panicked.
    pub async fn finish(self) -> Vec<Recorded> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.clients
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

async fn run(shared: Arc<Shared>, client: u64, mut chance: Chance) -> Vec<Recorded> {
    let mut recorded = vec![];
    let mut known: Vec<u64> = shared
        .registers
        .iter()
        .map(|register| register.initial.0)
        .collect();
    let mut value = client << 32;
    while !shared.stop.load(Ordering::Relaxed) {
        let at = chance.up_to(shared.registers.len() - 1);
        let server = chance.up_to(shared.servers.len() - 1);
        value += 1;
        let invoked = shared.nanos();
        let op = if chance.one_in(2) {
            shared.read(at, server, &mut known[at]).await
        } else {
            shared.write(at, server, &mut known[at], value).await
        };
        if let Some(op) = op {
            let operation = Operation {
                invoked,
                returned: shared.nanos(),
                op,
            };
            recorded.push(Recorded {
                register: at,
                server,
                operation,
            });
            if !matches!(op, Op::Unknown { .. }) {
                shared.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(shared.pause).await;
    }
    recorded
}

impl Shared {
    fn nanos(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A linearizable read. One that was not answered says nothing.
    async fn read(&self, register: usize, server: usize, known: &mut u64) -> Option<Op> {
        let read = self.registers[register]
            .read(&self.servers[server], None)
            .await;
        let (version, value, _header) = read.ok()?;
        *known = version;
        Some(Op::Read(version, value))
    }

    async fn write(
        &self,
        register: usize,
        server: usize,
        known: &mut u64,
        value: u64,
    ) -> Option<Op> {
        let expected = *known;
        let register = &self.registers[register];
        match register.write(&self.servers, server, expected, value).await {
            Written::Done(version) => {
                *known = version;
                Some(Op::Wrote {
                    expected,
                    value,
                    version,
                })
            }
            Written::Changed(actual) => {
                *known = actual;
                Some(Op::Refused { expected, actual })
            }
            Written::Nothing(_) => None,
            Written::Unknown(_) => Some(Op::Unknown { expected, value }),
        }
    }
}
