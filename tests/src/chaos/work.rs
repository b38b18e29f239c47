//! What all writers share, and how they are run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_client::{Client, Error, Options};
use tenure_core::ServiceName;
use tokio::task::JoinSet;

use super::{chains, epochs, nodes, repeats};
use crate::cluster::registers::Register;
use crate::cluster::{Calls, Cluster, ClusterError, SETTLE_BOUND, until};
use crate::power_loss::chance::Chance;

const CLIENTS: usize = 3;
/// Between two writes of one writer, so that many writers take turns.
const PAUSE: Duration = Duration::from_millis(4);

/// What happened to all writes.
#[derive(Debug, Default)]
pub struct Counts {
    /// Writes that were acknowledged.
    pub acknowledged: AtomicU64,
    /// Writes of which the outcome stayed unknown to the caller.
    pub unknown: AtomicU64,
    /// Requests sent again by their id.
    pub retries: AtomicU64,
    /// Writes that were refused: nothing happened.
    pub refused: AtomicU64,
}

/// What all writers have.
#[derive(Debug)]
pub struct Shared {
    /// When it began.
    pub origin: Instant,
    /// Sums.
    pub counts: Counts,
    /// Set when the writers are to end.
    pub stop: AtomicBool,
    violations: Mutex<Vec<String>>,
}

impl Shared {
    /// Whether the writers are to go on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Notes a promise that was broken.
    pub fn violated(&self, what: String) {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    /// The promises that were broken so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts the end of a write. True when it may have happened without anybody saying so.
    pub fn count<T>(&self, ended: &Result<T, Error>) -> bool {
        let counts = &self.counts;
        let (counter, unknown) = match ended {
            Ok(_) => (&counts.acknowledged, false),
            Err(error) if error.may_have_happened() => (&counts.unknown, true),
            Err(_) => (&counts.refused, false),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        unknown
    }

    /// Lets the others have a turn.
    pub async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// The writers at work.
#[derive(Debug)]
pub struct Work {
    /// What they share.
    pub shared: Arc<Shared>,
    nodes: JoinSet<nodes::Account>,
    repeats: JoinSet<nodes::Account>,
    chains: JoinSet<chains::Account>,
    epochs: JoinSet<epochs::Account>,
}

/// What every writer was told, to be compared with what is there in the end.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Of those that add nodes.
    pub nodes: Vec<nodes::Account>,
    /// Of those that write chains.
    pub chains: Vec<chains::Account>,
    /// Of those that change primaries.
    pub epochs: Vec<epochs::Account>,
}

/// How long the clients try: one of them outlives every election, one gives up in every one, so that outcomes stay
/// unknown.
const DEADLINES: [Duration; CLIENTS] = [
    Duration::from_secs(5),
    Duration::from_millis(400),
    Duration::from_millis(150),
];

async fn client(endpoints: Vec<String>, deadline: Duration) -> Result<Client, ClusterError> {
    let options = Options {
        deadline,
        attempt: Duration::from_millis(500),
        ..Options::default()
    };
    until("a connection to the cluster", SETTLE_BOUND, async || {
        let client = Client::connect(endpoints.clone(), options.clone()).await;
        client.map_err(|error| error.to_string())
    })
    .await
}

impl Work {
    /// Starts all writers: every client has one of each kind, and two of those that write chains.
    ///
    /// # Errors
    /// [`ClusterError`] when what they work on cannot be made.
    pub async fn start(cluster: &mut Cluster, chance: &mut Chance) -> Result<Self, ClusterError> {
        let chains = cluster.make_registers("chains", 2 * CLIENTS).await?;
        let service = epochs::prepare(cluster).await?;
        let mut work = Self {
            shared: Arc::new(Shared {
                origin: Instant::now(),
                counts: Counts::default(),
                stop: AtomicBool::new(false),
                violations: Mutex::default(),
            }),
            nodes: JoinSet::new(),
            repeats: JoinSet::new(),
            chains: JoinSet::new(),
            epochs: JoinSet::new(),
        };
        for (at, deadline) in DEADLINES.into_iter().enumerate() {
            let client = client(cluster.endpoints(), deadline).await?;
            let own = &chains[2 * at..2 * at + 2];
            work.add_client(at, &client, own, &service, chance);
            let shared = work.shared.clone();
            let servers: Vec<Calls> = cluster.all_calls();
            let chance = Chance::new(chance.number());
            work.repeats
                .spawn(repeats::run(shared, servers, at, chance));
        }
        Ok(work)
    }

    fn add_client(
        &mut self,
        at: usize,
        client: &Client,
        chains: &[Register],
        service: &ServiceName,
        chance: &mut Chance,
    ) {
        let shared = &self.shared;
        self.nodes
            .spawn(nodes::run(shared.clone(), client.clone(), at));
        for register in chains {
            let register = register.clone();
            self.chains
                .spawn(chains::run(shared.clone(), client.clone(), register));
        }
        let chance = Chance::new(chance.number());
        self.epochs.spawn(epochs::run(
            shared.clone(),
            client.clone(),
            service.clone(),
            chance,
        ));
    }

    /// Waits until so many more writes were acknowledged, and no promise was broken.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`].
    pub async fn progress(&self, more: u64) -> Result<(), ClusterError> {
        let count = || self.shared.counts.acknowledged.load(Ordering::Relaxed);
        let wanted = count() + more;
        until(
            format!("{more} more acknowledged writes"),
            SETTLE_BOUND,
            async || {
                let missing = wanted.saturating_sub(count());
                if missing == 0 {
                    Ok(())
                } else {
                    Err(format!("{missing} are missing"))
                }
            },
        )
        .await
    }

    /// Ends the writers and hands over their accounts.
    ///
    /// # Panics
    /// When a writer panicked.
    pub async fn finish(self) -> Accounts {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut nodes = self.nodes.join_all().await;
        nodes.extend(self.repeats.join_all().await);
        Accounts {
            nodes,
            chains: self.chains.join_all().await,
            epochs: self.epochs.join_all().await,
        }
    }
}
