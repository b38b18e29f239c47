//! The traffic during one fault: writers that follow the primary, and one that stays with the old one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenure_tests::failover::follower::{Follower, Named};
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::trace::{Ack, Shared, Trace};
use tenure_tests::mariadb::writer::Writer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::beside::Beside;
use crate::error::BenchError;
use crate::ground::Ground;
use crate::options::Fault;
use crate::stack::Stack;

/// Acknowledged commits before anything is done.
const WARM_UP_ACKS: u64 = 200;
const WARM_UP_BOUND: Duration = Duration::from_secs(20);
/// How long a failover may take before it counts as one that did not happen.
const FAILOVER_BOUND: Duration = Duration::from_secs(60);

/// How a change of primary looked to the writers.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// When they were told of the new primary.
    pub noticed: Moment,
    /// When it first acknowledged a commit.
    pub served: Moment,
}

/// Writers at work.
#[derive(Debug)]
pub struct Traffic {
    follower: Follower,
    writers: Vec<(String, Shared)>,
    acks: watch::Receiver<u64>,
    beside: Option<Beside>,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// Starts the writers, and where the fault is about an old primary also the one that stays with it; returns when
    /// all of them are at work. All names begin with `label`; files go to the folder.
    pub async fn start(
        ground: &Ground,
        stack: &Stack,
        primary: usize,
        fault: Fault,
        (label, dir): (&str, &Path),
    ) -> Result<Self, BenchError> {
        let follower = stack.follow().await?;
        let (count, acks) = watch::channel(0);
        let count = Arc::new(count);
        let mut traffic = Self {
            follower,
            writers: Vec::new(),
            acks,
            beside: None,
            tasks: JoinSet::new(),
        };
        for at in 0..ground.options.writers {
            let name = format!("{label}-{at}");
            let trace = Shared::new(count.clone());
            let writer = Writer {
                name: name.clone(),
                named: traffic.follower.named.clone(),
                pace: Duration::from_millis(ground.options.pace_ms),
                trace: trace.clone(),
            };
            traffic.tasks.spawn(writer.run());
            traffic.writers.push((name, trace));
        }
        if matches!(fault, Fault::Stop | Fault::Cut) {
            let address = stack.nodes.address(primary);
            let beside = Beside::start(ground, primary, address, label, dir).await?;
            traffic.beside = Some(beside);
        }
        let enough = traffic.acks.wait_for(|count| *count >= WARM_UP_ACKS);
        if tokio::time::timeout(WARM_UP_BOUND, enough).await.is_err() {
            return Err(BenchError::TooLate {
                what: format!("{WARM_UP_ACKS} acknowledged commits before the fault"),
                bound: WARM_UP_BOUND,
                last: traffic.state(),
            });
        }
        Ok(traffic)
    }

    /// Waits until another than `old` was named, and has acknowledged a commit, after `since`.
    pub async fn moved(&mut self, old: SocketAddr, since: Moment) -> Result<Moved, BenchError> {
        let mut named = self.follower.named.clone();
        let elsewhere =
            |named: &Named| named.at >= since && named.address.is_some_and(|other| other != old);
        let waiting = async {
            let noticed = match named.wait_for(elsewhere).await {
                Ok(named) => named.at,
                Err(_over) => since,
            };
            loop {
                if let Some(first) = self.first_elsewhere(since, old) {
                    let served = first.at;
                    return Moved { noticed, served };
                }
                // It fails only when all writers have ended, and the bound covers that.
                if self.acks.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let moved = tokio::time::timeout(FAILOVER_BOUND, waiting).await;
        moved.map_err(|_elapsed| BenchError::TooLate {
            what: "an acknowledged commit at a new primary".to_owned(),
            bound: FAILOVER_BOUND,
            last: self.state(),
        })
    }

    fn first_elsewhere(&self, since: Moment, old: SocketAddr) -> Option<Ack> {
        let firsts = self.writers.iter();
        firsts
            .filter_map(|(_name, trace)| trace.first_elsewhere(since, old))
            .min_by_key(|ack| ack.at)
    }

    fn state(&self) -> String {
        let seen: Vec<Trace> = self.writers.iter().map(|(_, it)| it.seen()).collect();
        let last: Vec<_> = seen.iter().map(|trace| trace.acks.last()).collect();
        let refused: Vec<_> = seen.iter().map(|trace| trace.refused.last()).collect();
        let named = *self.follower.named.borrow();
        format!("{named:?}; last acknowledgements: {last:?}, last refusals: {refused:?}")
    }

    /// Ends the writers and returns what each saw, by name, and the one that stayed behind.
    pub async fn stop(mut self) -> (Vec<(String, Trace)>, Option<Beside>) {
        self.tasks.shutdown().await;
        let writers = self.writers.into_iter();
        let seen = writers.map(|(name, trace)| (name, trace.seen()));
        (seen.collect(), self.beside)
    }
}
