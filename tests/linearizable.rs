//! Reads and conditional writes through all servers are linearizable while leaders are killed, frozen and replaced;
//! local reads tell their age and respect the bound. The checker is shown a stale read in a real history.

use std::time::Duration;

use tenure_tests::cluster::load::{Load, Recorded};
use tenure_tests::cluster::registers::Register;
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, until};
use tenure_tests::linearizability::{Op, Operation, check};
use tenure_tests::power_loss::chance::Chance;

const CLIENTS: u64 = 8;
const REGISTERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);
/// Answers between two faults, so that each falls into a busy time.
const ANSWERS_BETWEEN: u64 = 150;

/// What happens while the clients work.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillLeader,
    FreezeLeader,
    Transfer,
    KillFollower,
    FreezeFollower,
}

const FAULTS: [Fault; 8] = [
    Fault::KillLeader,
    Fault::FreezeLeader,
    Fault::Transfer,
    Fault::KillFollower,
    Fault::FreezeLeader,
    Fault::FreezeFollower,
    Fault::Transfer,
    Fault::KillLeader,
];

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_conditional_writes_are_linearizable_through_changes_of_leader() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", REGISTERS)
        .await
        .expect("registers");
    let mut chance = Chance::new(0x11_ea12);
    let before = term(&mut cluster).await;
    let load = Load::start(&cluster, &registers, CLIENTS, 7, PAUSE);
    for fault in FAULTS {
        load.progress(ANSWERS_BETWEEN)
            .await
            .expect("progress before a fault");
        inflict(&mut cluster, &load, &mut chance, fault).await;
    }
    load.progress(ANSWERS_BETWEEN)
        .await
        .expect("progress after the last fault");
    let changes = term(&mut cluster).await - before;
    let history = load.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");

    assert!(
        changes >= 4,
        "the leader should have changed at least 4 times, not {changes}"
    );
    summary(&history, changes);
    for (at, register) in registers.iter().enumerate() {
        let operations = of(&history, at);
        if let Err(error) = check(register.initial, &operations) {
            panic!("register {at}: {error}");
        }
        let planted = with_a_stale_read(register, &operations);
        check(register.initial, &planted).expect_err("the planted stale read must be caught");
    }
}

/// The term that the leader is in: it grows with each election.
async fn term(cluster: &mut Cluster) -> u64 {
    let leader = cluster.wait_for_leader().await.expect("a leader");
    cluster
        .calls(leader)
        .raft_status()
        .await
        .expect("the leader's status")
        .term
}

async fn inflict(cluster: &mut Cluster, load: &Load, chance: &mut Chance, fault: Fault) {
    let leader = cluster
        .wait_for_leader()
        .await
        .expect("a leader before the fault");
    let follower = (leader + 1 + chance.up_to(1)) % 3;
    match fault {
        Fault::KillLeader => kill(cluster, load, leader).await,
        Fault::KillFollower => kill(cluster, load, follower).await,
        Fault::FreezeLeader => freeze(cluster, load, leader).await,
        Fault::FreezeFollower => freeze(cluster, load, follower).await,
        Fault::Transfer => {
            let to = cluster.servers()[follower].listed.id;
            let told = cluster.calls(leader).transfer_leader(to).await;
            told.expect("a transfer of leadership between healthy servers");
        }
    }
}

async fn kill(cluster: &mut Cluster, load: &Load, at: usize) {
    cluster.kill(at).expect("killed");
    cluster
        .wait_for_leader()
        .await
        .expect("a leader among the two that are left");
    load.progress(ANSWERS_BETWEEN)
        .await
        .expect("progress with two servers");
    cluster.launch(at).expect("started again");
}

async fn freeze(cluster: &mut Cluster, load: &Load, at: usize) {
    cluster.freeze(at).expect("frozen");
    cluster
        .wait_for_leader()
        .await
        .expect("a leader among the two that are left");
    load.progress(ANSWERS_BETWEEN / 3)
        .await
        .expect("progress with two servers");
    cluster.thaw(at).expect("thawed");
}

fn of(history: &[Recorded], register: usize) -> Vec<Operation> {
    let own = history
        .iter()
        .filter(|recorded| recorded.register == register);
    own.map(|recorded| recorded.operation).collect()
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn summary(history: &[Recorded], changes: u64) {
    let count = |wanted: fn(&Op) -> bool| {
        history
            .iter()
            .filter(|recorded| wanted(&recorded.operation.op))
            .count()
    };
    let reads = count(|op| matches!(op, Op::Read(..)));
    let writes = count(|op| matches!(op, Op::Wrote { .. }));
    let refused = count(|op| matches!(op, Op::Refused { .. }));
    let unknown = count(|op| matches!(op, Op::Unknown { .. }));
    println!(
        "linearizable: {} operations of {CLIENTS} clients: {reads} reads, {writes} writes, {refused} refused, \
         {unknown} unknown; {changes} elections",
        history.len()
    );
    assert!(
        writes > 0 && refused > 0,
        "writes and refused writes should have happened"
    );
    for server in 0..3 {
        let reads = history.iter().filter(|recorded| {
            recorded.server == server && matches!(recorded.operation.op, Op::Read(..))
        });
        assert!(
            reads.count() > 0,
            "server {server} should have answered reads"
        );
    }
}

/// The history with one read answered by what was true before a write that had been acknowledged when it began.
fn with_a_stale_read(register: &Register, operations: &[Operation]) -> Vec<Operation> {
    let acknowledged_before = |read: &Operation| {
        operations
            .iter()
            .any(|other| other.returned < read.invoked && matches!(other.op, Op::Wrote { .. }))
    };
    let is_read = |operation: &Operation| matches!(operation.op, Op::Read(..));
    let late = operations
        .iter()
        .rposition(|op| is_read(op) && acknowledged_before(op));
    let late = late.expect("a read after an acknowledged write");
    let mut planted = operations.to_vec();
    planted[late].op = Op::Read(register.initial.0, register.initial.1);
    planted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thawed_leader_does_not_answer_with_what_was_true_before() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 1)
        .await
        .expect("a register");
    let register = &registers[0];
    let mut version = register.initial.0;
    let mut answered = 0;
    for round in 1..=4 {
        let old = cluster.wait_for_leader().await.expect("a leader");
        // The connection is open before the server freezes.
        let (read, _, _) = register
            .read(cluster.calls(old), None)
            .await
            .expect("a read");
        assert_eq!(read, version, "the leader answers with the last write");
        cluster.freeze(old).expect("frozen");
        let new = cluster.wait_for_leader().await.expect("another leader");
        let command = register.command(Some(version), round);
        let done = cluster.calls(new).execute(&command, None).await;
        version = done.expect("a write at the new leader").revision;

        // Asked while it is frozen: it finds the questions when it wakes and still takes itself for the leader.
        let ask = |_| {
            let (calls, register) = (cluster.calls(old).clone(), register.clone());
            tokio::spawn(async move { register.read(&calls, None).await })
        };
        let asked: Vec<_> = (0..100).map(ask).collect();
        tokio::task::yield_now().await;
        cluster.thaw(old).expect("thawed");
        for read in asked {
            // A refusal is a good answer; an old value is none.
            if let Ok((read, value, _)) = read.await.expect("the reader ran") {
                answered += 1;
                assert!(
                    read >= version,
                    "round {round}: the thawed leader answered with value {value} of version {read} after \
                     version {version} had been acknowledged"
                );
            }
        }
    }
    assert!(
        answered > 0,
        "thawed servers should answer some of the reads"
    );
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

mod local {
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
}
