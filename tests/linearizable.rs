//! Reads and conditional writes through all servers are linearizable while leaders are killed, frozen and replaced;
//! local reads tell their age and respect the bound. The checker is shown a stale read in a real history.

use std::time::Duration;

use tenure_tests::cluster::load::{Load, Recorded};
use tenure_tests::cluster::registers::Register;
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, until};
use tenure_tests::linearizability::{Op, Operation, check};
use tenure_tests::power_loss::chance::Chance;

#[path = "linearizable/local.rs"]
mod local;

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
