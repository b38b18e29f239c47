//! One failover: the primary's redis-server is killed while a writer follows it, with a node that holds copies lost at the same
//! moment or not. What was acknowledged is read back.

use std::sync::Arc;
use std::time::Duration;

use tenure_client::core::{Automation, Phase, lease};
use tenure_proto::v1;
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::trace::{Ack, Shared, Trace};
use tenure_tests::failover::writer::{Writer, key_of};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::site::Site;
use super::stores::Stores;
use crate::cluster::{Cluster, status};
use crate::error::BenchError;

/// What `WAIT 1` may take, and the pause after a write, as in the comparison with Sentinel.
const WAIT: Duration = Duration::from_millis(100);
const PACE: Duration = Duration::from_millis(1);
/// Acknowledged writes before anything is done.
const WARM_UP_ACKS: u64 = 200;
const WARM_UP_BOUND: Duration = Duration::from_secs(20);
/// How long before a loss is due the writer begins.
const WRITES_BEFORE: Duration = Duration::from_secs(3);
const FAILOVER_BOUND: Duration = Duration::from_secs(60);
/// How long the leader may take to find a loss that is due, and to have so much ordered.
const FOUND_BOUND: Duration = Duration::from_secs(5);
/// How long all copies may take to be as they should be.
const REPAIR_BOUND: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
const POLL_ORDERS: Duration = Duration::from_millis(1);
/// How many orders to fetch have reached nodes before a primary is killed amid a repair.
const ORDERS_BEFORE: usize = 500;

/// When the primary is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// While all nodes are there.
    Quiet,
    /// When the lease of a node is over: that the leader finds the loss may fall into the failover.
    Due,
    /// Amid the repair that follows on a loss.
    Amid,
}

/// What one failover showed.
#[derive(Debug)]
pub struct Sample {
    /// From the signal to the first write that the new primary acknowledged, in milliseconds.
    pub served_ms: f64,
    /// Items that lacked copies when the new primary had served, as the leader says.
    pub lacking_after: u64,
    /// Orders to fetch an item that reached nodes from the signal until the new primary had served.
    pub orders_within: usize,
    /// When the first of them came, in milliseconds after the signal.
    pub first_order_ms: Option<f64>,
    /// Whether the same server led all the time.
    pub led: bool,
    /// How the servers account for the failover.
    pub timeline: Vec<(Phase, u64)>,
    pub acknowledged: usize,
    /// Of these, how many the last primary does not have.
    pub lost: usize,
}

impl Sample {
    /// Whether it is a failover under the condition.
    pub fn counts(&self, when: When) -> bool {
        self.led
            && match when {
                When::Quiet => self.lacking_after == 0,
                // What is over before the loss is found counts too: without it only the slow ones would.
                When::Due => true,
                When::Amid => self.lacking_after > 0,
            }
    }

    /// The milliseconds between two phases, where both were reached.
    pub fn between(&self, from: Phase, to: Phase) -> Option<f64> {
        let at = |phase| {
            let mut phases = self.timeline.iter();
            phases.find(|(it, _)| *it == phase).map(|(_, at)| *at)
        };
        let (from, to) = (at(from)?, at(to)?);
        Some(Duration::from_millis(to.saturating_sub(from)).as_secs_f64() * 1e3)
    }
}

/// All that a round needs.
pub struct Scene {
    pub cluster: Cluster,
    pub site: Site,
    pub stores: Stores,
    pub items: u64,
}

struct Writing {
    trace: Shared,
    acks: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

impl Scene {
    /// Fails the service over once. `label` is unique in the run; `node` is the one that is lost, if one is to be. None when
    /// the loss was not found in time, as when another server has come to lead, which waits anew.
    pub async fn fail_over(
        &mut self,
        when: When,
        node: u64,
        label: &str,
    ) -> Result<Option<Sample>, BenchError> {
        self.cluster.check()?;
        let leader = self.whole().await?;
        let old = self.site.settled().await?;
        self.stores.fetches();
        let due = match when {
            When::Quiet => None,
            When::Due | When::Amid => Some(self.lose(node).await?),
        };
        let follower = self.site.follow().await?;
        let mut writing = Writing::start(&follower, label);
        writing.warmed_up().await?;
        if !self.wait(when, due).await {
            self.stores.speak(node).await?;
            return Ok(None);
        }
        let address = self.site.address(old);
        let signal = Moment::now();
        self.site.kill(old)?;
        let first = writing.moved(address, signal).await?;
        let after = self.status(leader).await?;
        let orders = self.stores.fetches();
        let led = self.cluster.leader().await? == leader;
        self.stores.speak(node).await?;
        self.site.readmit(old)?;
        let last = self.site.settled().await?;
        let acks = writing.stop().await;
        let keys: Vec<(String, u64)> = acks
            .iter()
            .map(|ack| (key_of(label, ack.number), ack.number))
            .collect();
        let lost = self.site.missing(last, &keys).await?;
        let within = |at: &&Moment| **at > signal && **at <= first.at;
        let first_order = orders.iter().find(within);
        Ok(Some(Sample {
            served_ms: first.at.ms_since(signal),
            lacking_after: after.under_replicated,
            orders_within: orders.iter().filter(within).count(),
            first_order_ms: first_order.map(|at| at.ms_since(signal)),
            led,
            timeline: self.site.timeline().await?,
            acknowledged: keys.len(),
            lost,
        }))
    }

    /// Silences a node, and waits until shortly before the leader must find that; says when that is due.
    async fn lose(&self, node: u64) -> Result<Moment, BenchError> {
        let automation = Automation::default();
        let patience = lease::cautious(automation.slow_lease, automation.drift_permille);
        let last = self.stores.silence(node).await?;
        let due = last.plus(Duration::from_millis(patience.0));
        sleep_until(due.minus(WRITES_BEFORE)).await;
        Ok(due)
    }

    /// Waits for the moment of the signal; false when it does not come.
    async fn wait(&self, when: When, due: Option<Moment>) -> bool {
        let Some(due) = due else {
            return true;
        };
        if when == When::Due {
            sleep_until(due).await;
            return true;
        }
        sleep_until(due.minus(POLL)).await;
        let latest = due.plus(FOUND_BOUND);
        while Moment::now() < latest {
            if self.stores.fetched() >= ORDERS_BEFORE {
                return true;
            }
            tokio::time::sleep(POLL_ORDERS).await;
        }
        false
    }

    /// Stops all processes.
    pub async fn stop(self) -> Result<(), BenchError> {
        self.site.stop().await?;
        drop(self.stores);
        self.cluster.stop().await
    }

    async fn status(&self, server: usize) -> Result<v1::CopiesStatusResponse, BenchError> {
        status(&mut self.cluster.copies(server)?).await
    }

    /// Waits until all nodes are heard, and no item lacks a copy or has one too many; says who leads.
    pub async fn whole(&self) -> Result<usize, BenchError> {
        let deadline = Moment::now().plus(REPAIR_BOUND);
        loop {
            let leader = self.cluster.leader().await?;
            let told = self.status(leader).await?;
            let heard = |it: &v1::StoreStatus| !it.lost && it.free_bytes.is_some();
            let repair = told.repair.unwrap_or_default();
            let is_whole = told.stores.iter().all(heard)
                && told.items == self.items
                && told.under_replicated + told.spare == 0
                && repair.running == 0;
            if is_whole {
                return Ok(leader);
            }
            if Moment::now() >= deadline {
                let (lacking, spare) = (told.under_replicated, told.spare);
                return Err(BenchError::TooLate {
                    what: format!("repair ({lacking} items lack copies, {spare} have too many)"),
                    bound: REPAIR_BOUND,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn sleep_until(at: Moment) {
    let left = at.ms_since(Moment::now()).max(0.0);
    tokio::time::sleep(Duration::from_secs_f64(left / 1e3)).await;
}

impl Writing {
    fn start(follower: &tenure_tests::failover::follower::Follower, label: &str) -> Self {
        let (count, acks) = watch::channel(0);
        let trace = Shared::new(Arc::new(count));
        let writer = Writer {
            prefix: label.to_owned(),
            named: follower.named.clone(),
            doubt: follower.doubt.clone(),
            wait: WAIT,
            pace: PACE,
            trace: trace.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        Self { trace, acks, tasks }
    }

    async fn warmed_up(&mut self) -> Result<(), BenchError> {
        let enough = self.acks.wait_for(|count| *count >= WARM_UP_ACKS);
        let in_time = tokio::time::timeout(WARM_UP_BOUND, enough).await.is_ok();
        if in_time {
            return Ok(());
        }
        Err(BenchError::TooLate {
            what: format!("{WARM_UP_ACKS} acknowledged writes before the signal"),
            bound: WARM_UP_BOUND,
        })
    }

    /// Waits for the first acknowledgement by another than `old`.
    async fn moved(&mut self, old: std::net::SocketAddr, since: Moment) -> Result<Ack, BenchError> {
        let trace = self.trace.clone();
        let waiting = async {
            loop {
                if let Some(first) = trace.first_elsewhere(since, old) {
                    return first;
                }
                // It fails only when the writer has ended, and the bound covers that.
                if self.acks.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let moved = tokio::time::timeout(FAILOVER_BOUND, waiting).await;
        moved.map_err(|_elapsed| BenchError::TooLate {
            what: "an acknowledged write at a new primary".to_owned(),
            bound: FAILOVER_BOUND,
        })
    }

    /// Ends the writer; what was acknowledged to it.
    async fn stop(mut self) -> Vec<Ack> {
        self.tasks.shutdown().await;
        let Trace { acks, .. } = self.trace.seen();
        acks
    }
}
