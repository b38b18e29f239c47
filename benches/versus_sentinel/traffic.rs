//! The traffic during one fault: writers that follow the primary, and clients that stay with the old one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::follower::{Follower, Named};
use crate::ground::Ground;
use crate::moment::Moment;
use crate::options::Fault;
use crate::stack::Stack;
use crate::stale::Stale;
use crate::trace::{Ack, Shared, Trace};
use crate::writer::Writer;

/// Acknowledged writes before anything is done to the system.
const WARM_UP_ACKS: u64 = 200;
const WARM_UP_BOUND: Duration = Duration::from_secs(20);
/// How long a failover may take before it counts as one that did not happen.
const FAILOVER_BOUND: Duration = Duration::from_secs(60);

/// How a change of primary looked to the writers.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// When they were told of the new primary.
    pub noticed: Moment,
    /// When it first acknowledged a write.
    pub served: Moment,
    /// Where it is.
    pub by: SocketAddr,
}

/// Writers at work.
#[derive(Debug)]
pub struct Traffic {
    follower: Follower,
    writers: Vec<(String, Shared)>,
    acks: watch::Receiver<u64>,
    stale: Option<Stale>,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// Starts the writers, and where the fault is about an old primary also the clients that stay with it; returns
    /// when all of them are at work. All keys begin with `label`; files go to the folder.
    pub async fn start<S: Stack>(
        ground: &Ground,
        stack: &mut S,
        primary: usize,
        fault: Fault,
        (label, dir): (&str, &Path),
    ) -> Result<Self, BenchError> {
        let address = stack.nodes().address(primary);
        let follower = stack.follow().await?;
        let (count, acks) = watch::channel(0);
        let count = Arc::new(count);
        let mut traffic = Self {
            follower,
            writers: Vec::new(),
            acks,
            stale: None,
            tasks: JoinSet::new(),
        };
        for at in 0..ground.options.writers {
            let prefix = format!("{label}-{at}");
            let trace = Shared::new(count.clone());
            let writer = Writer {
                prefix: prefix.clone(),
                named: traffic.follower.named.clone(),
                doubt: traffic.follower.doubt.clone(),
                wait: ground.options.wait(),
                pace: Duration::from_millis(ground.options.pace_ms),
                trace: trace.clone(),
            };
            traffic.tasks.spawn(writer.run());
            traffic.writers.push((prefix, trace));
        }
        if matches!(fault, Fault::Stop | Fault::Cut) {
            let stale = Stale::start(ground, primary, address, label, dir).await?;
            traffic.stale = Some(stale);
        }
        traffic.warmed_up().await?;
        Ok(traffic)
    }

    async fn warmed_up(&mut self) -> Result<(), BenchError> {
        let enough = self.acks.wait_for(|count| *count >= WARM_UP_ACKS);
        let in_time = tokio::time::timeout(WARM_UP_BOUND, enough).await.is_ok();
        if in_time {
            return Ok(());
        }
        Err(BenchError::TooLate {
            what: format!("{WARM_UP_ACKS} acknowledged writes before the fault"),
            bound: WARM_UP_BOUND,
            last: self.state(),
        })
    }

    /// Waits until another than `old` was named, and has acknowledged a write, after `since`.
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
                    return Moved {
                        noticed,
                        served: first.at,
                        by: first.by,
                    };
                }
                // It fails only when all writers have ended, and the bound covers that.
                if self.acks.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let moved = tokio::time::timeout(FAILOVER_BOUND, waiting).await;
        moved.map_err(|_elapsed| BenchError::TooLate {
            what: "an acknowledged write at a new primary".to_owned(),
            bound: FAILOVER_BOUND,
            last: self.state(),
        })
    }

    /// The first acknowledgement after `since` by another than `old`.
    pub fn first_elsewhere(&self, since: Moment, old: SocketAddr) -> Option<Ack> {
        let firsts = self.writers.iter();
        firsts
            .filter_map(|(_prefix, trace)| trace.first_elsewhere(since, old))
            .min_by_key(|ack| ack.at)
    }

    /// Whom the writers take for the primary.
    pub fn named(&self) -> Named {
        *self.follower.named.borrow()
    }

    /// What the writers have seen so far.
    fn seen(&self) -> Vec<Trace> {
        self.writers.iter().map(|(_, trace)| trace.seen()).collect()
    }

    fn state(&self) -> String {
        let seen = self.seen();
        let last: Vec<_> = seen.iter().map(|trace| trace.acks.last()).collect();
        let refused: Vec<_> = seen.iter().map(|trace| trace.refused.last()).collect();
        format!(
            "{:?}; the writers' last acknowledgements: {last:?}, last refusals: {refused:?}",
            self.named()
        )
    }

    /// Ends the writers and returns what each saw, with what its keys begin with, and the clients that stayed behind.
    pub async fn stop(mut self) -> (Vec<(String, Trace)>, Option<Stale>) {
        self.tasks.shutdown().await;
        let writers = self.writers.into_iter();
        let seen = writers.map(|(prefix, trace)| (prefix, trace.seen()));
        (seen.collect(), self.stale)
    }
}
