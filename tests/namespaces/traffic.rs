//! The clients of a trial: a writer that follows the primary, and one that stays beside the old one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tenure_core::ServiceName;
use tenure_tests::failover::follower::{Follower, Named};
use tenure_tests::failover::link;
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::trace::{Shared, Trace};
use tenure_tests::failover::writer::{Writer, key_of};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

use super::trial::{BOUND, SERVERS, Trial};

/// In milliseconds: no writer may notice anything.
pub const NO_GAP_MS: f64 = 500.0;
const WAIT: Duration = Duration::from_millis(100);
const PACE: Duration = Duration::from_millis(2);

/// A writer beside the bridge, that goes where Tenure says that the primary is.
pub struct Traffic {
    prefix: String,
    trace: Shared,
    acks: watch::Receiver<u64>,
    _follower: Follower,
    tasks: JoinSet<()>,
}

impl Traffic {
    /// Starts it, and returns when it is at work.
    pub async fn start(trial: &Trial, service: &ServiceName) -> Self {
        let follower = Follower::of(&trial.client, service).await.expect("follows");
        let (count, acks) = watch::channel(0);
        let trace = Shared::new(Arc::new(count));
        let prefix = format!("far-{service}");
        let writer = Writer {
            prefix: prefix.clone(),
            named: follower.named.clone(),
            doubt: follower.doubt.clone(),
            wait: WAIT,
            pace: PACE,
            trace: trace.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        let mut traffic = Self {
            prefix,
            trace,
            acks,
            _follower: follower,
            tasks,
        };
        traffic.acknowledged(200).await;
        traffic
    }

    /// Waits for so many more acknowledged writes.
    pub async fn acknowledged(&mut self, more: u64) {
        let wanted = *self.acks.borrow() + more;
        let enough = self.acks.wait_for(|count| *count >= wanted);
        let in_time = tokio::time::timeout(BOUND, enough).await.is_ok();
        assert!(
            in_time,
            "fewer than {more} writes acknowledged: {}",
            self.told()
        );
    }

    /// Waits for the first acknowledgement after `since` by another than `old`; when it came, and by whom.
    pub async fn moved(&mut self, old: SocketAddr, since: Moment) -> (Moment, SocketAddr) {
        let trace = self.trace.clone();
        let elsewhere = self
            .acks
            .wait_for(|_| trace.first_elsewhere(since, old).is_some());
        let in_time = tokio::time::timeout(BOUND, elsewhere).await.is_ok();
        assert!(in_time, "nobody took over from {old}: {}", self.told());
        let first = self.trace.first_elsewhere(since, old).expect("seen before");
        (first.at, first.by)
    }

    /// What it saw so far.
    pub fn seen(&self) -> Trace {
        self.trace.seen()
    }

    fn told(&self) -> String {
        let seen = self.seen();
        let last = (seen.acks.last(), seen.refused.last(), seen.unknown.last());
        format!("last acknowledged, refused, unknown: {last:?}")
    }

    /// Ends it, and reads everything back from the primary: what was acknowledged must be there.
    pub async fn stop(mut self, trial: &Trial, service: &ServiceName) -> Trace {
        self.tasks.shutdown().await;
        let trace = self.seen();
        nothing_is_lost(trial, service, &self.prefix, &trace).await;
        trace
    }
}

/// A client beside a redis-server, in its namespace, that nobody tells anything.
pub struct Beside {
    prefix: String,
    trace: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// Starts it, and returns when it is at work.
    pub async fn start(trial: &Trial, node: usize, service: &ServiceName) -> Self {
        let address = trial.address(node, service);
        let site = trial.network.sites[SERVERS + node].clone();
        let (count, mut acks) = watch::channel(0);
        let trace = Shared::new(Arc::new(count));
        let (teller, named) = watch::channel(Named {
            address: Some(address),
            at: Moment::now(),
        });
        let prefix = format!("near-{service}");
        let writer = Writer {
            prefix: prefix.clone(),
            named,
            doubt: Arc::new(Notify::new()),
            wait: WAIT,
            pace: PACE,
            trace: trace.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            site.enter().expect("entered");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = writer.run() => {}
                    _asked = stopped => {}
                }
            });
            drop(teller);
        });
        let at_work = tokio::time::timeout(BOUND, acks.wait_for(|count| *count > 50)).await;
        at_work.expect("in time").expect("it runs");
        Self {
            prefix,
            trace,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What it saw so far.
    pub fn seen(&self) -> Trace {
        self.trace.seen()
    }

    /// When a write was last acknowledged to it.
    pub fn last(&self) -> Moment {
        let seen = self.seen();
        seen.acks.last().expect("it was at work").at
    }

    /// Ends it, and reads everything back from the primary. Nothing must have been acknowledged to it from `deposed` on,
    /// when another primary served, if there was one.
    pub async fn stop(
        mut self,
        trial: &Trial,
        service: &ServiceName,
        deposed: Option<Moment>,
    ) -> Trace {
        self.end();
        let trace = self.seen();
        let late = trace
            .acks
            .iter()
            .filter(|ack| deposed.is_some_and(|at| ack.at >= at));
        assert_eq!(
            late.count(),
            0,
            "the old primary acknowledged while another served"
        );
        nothing_is_lost(trial, service, &self.prefix, &trace).await;
        trace
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by a panic, which is told when it is joined.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the client beside the old primary");
        }
    }
}

async fn nothing_is_lost(trial: &Trial, service: &ServiceName, prefix: &str, trace: &Trace) {
    let (primary, _) = trial.settled(service).await;
    let keys = trace
        .acks
        .iter()
        .map(|ack| (key_of(prefix, ack.number), ack.number));
    let keys: Vec<(String, u64)> = keys.collect();
    let missing = link::missing(trial.address(primary, service), &keys).await;
    let missing = missing.expect("the primary answers");
    let first = trace.acks.first().map_or_else(Moment::now, |ack| ack.at);
    let account = trace.account_of(&missing, first);
    assert_eq!(missing, BTreeSet::new(), "{account:?}");
    println!(
        "{service}: {} acknowledged to {prefix}, all are there",
        keys.len()
    );
}

/// A number that the environment names, if it does.
pub fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse().ok();
    assert!(number.is_some(), "{name} = {text:?} is no number");
    number
}
