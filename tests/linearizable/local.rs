//! Local reads, checked against the times at which writes were acknowledged.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tenure_proto::v1::refusal::Reason;
use tenure_tests::cluster::Calls;
use tenure_tests::cluster::calls::local;
use tenure_tests::cluster::registers::Written;

/// How long the writer waits for a server that may be frozen.
const PATIENCE: Duration = Duration::from_millis(300);
const BOUNDS_MS: [u64; 4] = [150, 400, 1_000, 60_000];

/// A local read that was answered.
#[derive(Clone, Copy, Debug)]
struct Answered {
    invoked: Duration,
    bound_ms: u64,
    age_ms: u64,
    version: u64,
}

#[derive(Debug, Default)]
struct Seen {
    answered: Mutex<Vec<Answered>>,
    too_old: AtomicU64,
}

struct Run {
    origin: Instant,
    stop: AtomicBool,
    /// When each version was acknowledged.
    acknowledged: Mutex<Vec<(Duration, u64)>>,
    servers: Vec<Seen>,
}

impl Run {
    fn writes(&self) -> usize {
        self.acknowledged.lock().expect("no writer panicked").len()
    }

    async fn progress(&self, more: usize) {
        let wanted = self.writes() + more;
        let what = format!("{more} more acknowledged writes");
        let came = until(what, SETTLE_BOUND, async || {
            let now = self.writes();
            if now >= wanted {
                Ok(())
            } else {
                Err(format!("{now} of {wanted} came"))
            }
        });
        came.await.expect("writes go on");
    }
}

async fn write(run: Arc<Run>, register: Register, servers: Vec<Calls>) {
    let servers: Vec<Calls> = servers.iter().map(|calls| calls.within(PATIENCE)).collect();
    let (mut at, mut version, mut value) = (0, register.initial.0, 0);
    while !run.stop.load(Ordering::Relaxed) {
        value += 1;
        match register.write(&servers, at, version, value).await {
            Written::Done(done) => {
                version = done;
                let now = run.origin.elapsed();
                run.acknowledged
                    .lock()
                    .expect("nobody panicked")
                    .push((now, version));
            }
            Written::Changed(actual) => version = actual,
            Written::Nothing(_) | Written::Unknown(_) => at = (at + 1) % servers.len(),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn read(run: Arc<Run>, register: Register, calls: Calls, at: usize) {
    let mut turn = 0;
    while !run.stop.load(Ordering::Relaxed) {
        turn += 1;
        let bound_ms = BOUNDS_MS[turn % BOUNDS_MS.len()];
        let invoked = run.origin.elapsed();
        match register
            .read(&calls, local(Duration::from_millis(bound_ms)))
            .await
        {
            Ok((version, _value, header)) => {
                let answered = Answered {
                    invoked,
                    bound_ms,
                    age_ms: header.age_ms,
                    version,
                };
                run.servers[at]
                    .answered
                    .lock()
                    .expect("nobody panicked")
                    .push(answered);
            }
            Err(error) if error.reason() == Some(Reason::TooStale) => {
                run.servers[at].too_old.fetch_add(1, Ordering::Relaxed);
            }
            // A frozen server does not answer: that is no matter of age.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn faults(cluster: &mut Cluster, run: &Run) {
    for round in 0..3 {
        let leader = cluster.wait_for_leader().await.expect("a leader");
        let follower = (leader + 1 + round % 2) % 3;
        for frozen in [follower, leader] {
            run.progress(30).await;
            cluster.freeze(frozen).expect("frozen");
            cluster
                .wait_for_leader()
                .await
                .expect("a leader among the two");
            run.progress(30).await;
            cluster.thaw(frozen).expect("thawed");
        }
    }
    let leader = cluster.wait_for_leader().await.expect("a leader");
    isolate(cluster, run, leader).await;
}

/// A leader that hears nobody: its state grows old, and it says so.
async fn isolate(cluster: &mut Cluster, run: &Run, leader: usize) {
    run.progress(30).await;
    let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    for other in &others {
        cluster.freeze(*other).expect("frozen");
    }
    let seen = &run.servers[leader];
    let refused = seen.too_old.load(Ordering::Relaxed);
    let came = until(
        "refusals of a leader without followers",
        SETTLE_BOUND,
        async || {
            let old = seen
                .answered
                .lock()
                .expect("nobody panicked")
                .last()
                .map(|a| a.age_ms);
            let more = seen.too_old.load(Ordering::Relaxed) > refused + 5;
            // It still answers who allows more, with an age that grows.
            let aged = old.is_some_and(|age| age > 400);
            if more && aged {
                Ok(())
            } else {
                Err(format!("last age {old:?} ms"))
            }
        },
    );
    came.await.expect("an isolated leader tells its age");
    for other in others {
        cluster.thaw(other).expect("thawed");
    }
    run.progress(30).await;
}

/// No answer lacks a write that was acknowledged more than its age before the read began.
fn check_ages(run: &Run) {
    let acknowledged = run.acknowledged.lock().expect("nobody panicked");
    for (at, seen) in run.servers.iter().enumerate() {
        let answered = seen.answered.lock().expect("nobody panicked");
        assert!(
            !answered.is_empty(),
            "server {at} should have answered local reads"
        );
        for read in answered.iter() {
            assert!(
                read.age_ms <= read.bound_ms,
                "server {at} passed the bound: {read:?}"
            );
            let horizon = read
                .invoked
                .saturating_sub(Duration::from_millis(read.age_ms));
            let before = acknowledged.partition_point(|(when, _)| *when < horizon);
            let newest = acknowledged[..before]
                .iter()
                .map(|(_, version)| *version)
                .max();
            assert!(
                newest.is_none_or(|newest| read.version >= newest),
                "server {at}: {read:?} misses version {newest:?}, which was acknowledged before {horizon:?}"
            );
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn summary(run: &Run) {
    let all = |seen: &Seen| seen.answered.lock().expect("nobody panicked").clone();
    let answered: Vec<Answered> = run.servers.iter().flat_map(all).collect();
    let too_old: u64 = run
        .servers
        .iter()
        .map(|seen| seen.too_old.load(Ordering::Relaxed))
        .sum();
    let oldest = answered.iter().map(|read| read.age_ms).max().unwrap_or(0);
    println!(
        "local reads: {} answered, the oldest {oldest} ms old, {too_old} refused as too old, beside {} writes",
        answered.len(),
        run.writes()
    );
    assert!(too_old > 0, "some reads should be refused as too old");
    assert!(oldest > 400, "some answers should be old and say so");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_reads_tell_their_age_and_respect_the_bound() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 1)
        .await
        .expect("a register");
    let run = Arc::new(Run {
        origin: Instant::now(),
        stop: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        servers: (0..3).map(|_| Seen::default()).collect(),
    });
    let register = &registers[0];
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(write(run.clone(), register.clone(), cluster.all_calls()));
    for at in 0..3 {
        tasks.spawn(read(
            run.clone(),
            register.clone(),
            cluster.calls(at).clone(),
            at,
        ));
    }
    faults(&mut cluster, &run).await;
    run.stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    summary(&run);
    check_ages(&run);
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}
