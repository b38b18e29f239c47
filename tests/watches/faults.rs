//! Watchers of the client library while servers are killed, frozen and stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tenure_client::{Client, Options};
use tenure_core::{Filter, Key, Revision};
use tenure_tests::cluster::registers::Register;
use tenure_tests::cluster::{self, Cluster, SETTLE_BOUND, until};
use tenure_tests::watches::content::{list, patient};
use tenure_tests::watches::picture::{Picture, difference};
use tenure_tests::watches::writers::{Acknowledged, Writers, value_of};

const WATCHERS: usize = 6;
const REGISTERS: usize = 3;
/// Acknowledged writes between two faults, so that each falls into a busy time.
const WRITES_BETWEEN: u64 = 60;
/// Longer than the second after which servers give a sign of progress, and soon over.
const SILENCE: Duration = Duration::from_secs(2);

/// What happens to servers while watchers look on.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillLeader,
    FreezeLeader,
    StopLeader,
    KillFollower,
    FreezeFollower,
}

const FAULTS: [Fault; 5] = [
    Fault::KillLeader,
    Fault::FreezeFollower,
    Fault::StopLeader,
    Fault::FreezeLeader,
    Fault::KillFollower,
];

/// A watcher at work.
struct Watcher {
    revision: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Picture, String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_miss_nothing_and_never_go_back_while_servers_fail() {
    let mut cluster = Cluster::start(cluster::Options::default())
        .await
        .expect("a cluster");
    let registers = cluster
        .make_registers("watched", REGISTERS)
        .await
        .expect("registers");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let writers = Writers::start(&client, &registers);
    let watchers = watchers(&cluster, &registers, &writers.acknowledged).await;
    let mut met = BTreeSet::new();
    for fault in FAULTS {
        let before = writers.progress(WRITES_BETWEEN).await;
        before.expect("progress before a fault");
        let at = victim(&mut cluster, fault, &met).await;
        met.insert(at);
        inflict(&mut cluster, fault, at, &writers, &watchers).await;
    }
    for at in (0..cluster.servers().len()).filter(|at| !met.contains(at)) {
        inflict(&mut cluster, Fault::KillFollower, at, &writers, &watchers).await;
    }
    let acknowledged = writers.finish().await;
    cluster.wait_for_leader().await.expect("a leader");
    let (revision, expected) = list(&client).await.expect("a list");
    let mut told = vec![];
    for watcher in watchers {
        reached(&watcher.revision, revision).await;
        watcher.stop.store(true, Ordering::Release);
        let picture = watcher
            .task
            .await
            .expect("no watcher panics")
            .expect("no rule is broken");
        assert_eq!(
            picture.revision, revision,
            "nothing was written after the list"
        );
        assert_eq!(difference(&picture.records, &expected), None);
        acknowledged
            .check(&picture)
            .expect("every acknowledged write");
        told.push(picture.told);
    }
    let interrupted = told.iter().filter(|told| told.interrupted > 0).count();
    assert_eq!(
        interrupted, WATCHERS,
        "each of the servers was lost once, so each watcher went elsewhere: {told:?}"
    );
    assert!(
        acknowledged.count() > 10 * WRITES_BETWEEN,
        "{} writes",
        acknowledged.count()
    );
    cluster.stop().await.expect("a clean end");
}

async fn watchers(
    cluster: &Cluster,
    registers: &[Register],
    acknowledged: &Arc<Acknowledged>,
) -> Vec<Watcher> {
    let mut watchers = vec![];
    for at in 0..WATCHERS {
        let mut endpoints = cluster.endpoints();
        let servers = endpoints.len();
        endpoints.rotate_left(at % servers);
        let options = Options {
            watch_silence: SILENCE,
            ..Options::default()
        };
        let client = Client::connect(endpoints, options)
            .await
            .expect("a client for a watcher");
        let (revision, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let keys = registers
            .iter()
            .map(|register| Key::Instance(register.service.clone(), register.node));
        let work = look_on(
            client,
            keys.collect(),
            acknowledged.clone(),
            revision.clone(),
            stop.clone(),
        );
        watchers.push(Watcher {
            revision,
            stop,
            task: tokio::spawn(work),
        });
    }
    watchers
}

/// Watches until told to stop, and checks after each event that the picture shows all it should and did not go back.
async fn look_on(
    client: Client,
    keys: Vec<Key>,
    acknowledged: Arc<Acknowledged>,
    revision: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<Picture, String> {
    let mut watch = client.watch(&Filter::default());
    let mut picture = Picture::blank();
    while !stop.load(Ordering::Acquire) {
        // Something comes every second, so that the loop ends soon after it is told to.
        let event = watch.next().await.map_err(|error| error.to_string())?;
        let before: Vec<Option<u64>> = keys
            .iter()
            .map(|key| value_of(picture.records.get(key)))
            .collect();
        picture.take(event)?;
        for (key, before) in keys.iter().zip(before) {
            let now = value_of(picture.records.get(key));
            if now < before {
                return Err(format!(
                    "{key} went from {before:?} back to {now:?} at {}",
                    picture.revision
                ));
            }
        }
        acknowledged.check(&picture)?;
        revision.store(picture.revision.0, Ordering::Release);
    }
    Ok(picture)
}

async fn reached(revision: &AtomicU64, wanted: Revision) {
    let what = format!("revision {wanted} at a watcher");
    let look = async || match revision.load(Ordering::Acquire) {
        now if now >= wanted.0 => Ok(()),
        now => Err(format!("it is at {now}")),
    };
    until(what, SETTLE_BOUND, look)
        .await
        .expect("every watcher goes on");
}

/// Whom a fault meets: the leader, or a follower that none has met so far.
async fn victim(cluster: &mut Cluster, fault: Fault, met: &BTreeSet<usize>) -> usize {
    let leader = cluster
        .wait_for_leader()
        .await
        .expect("a leader before a fault");
    match fault {
        Fault::KillLeader | Fault::FreezeLeader | Fault::StopLeader => leader,
        Fault::KillFollower | Fault::FreezeFollower => {
            let mut followers = cluster.running().into_iter().filter(|at| *at != leader);
            let fresh = followers.clone().find(|at| !met.contains(at));
            fresh.or_else(|| followers.next()).expect("a follower")
        }
    }
}

/// Whoever watched the server that failed must have gone on elsewhere before it comes back.
async fn inflict(
    cluster: &mut Cluster,
    fault: Fault,
    at: usize,
    writers: &Writers,
    watchers: &[Watcher],
) {
    match fault {
        Fault::KillLeader | Fault::KillFollower => cluster.kill(at).expect("killed"),
        Fault::FreezeLeader | Fault::FreezeFollower => cluster.freeze(at).expect("frozen"),
        Fault::StopLeader => {
            cluster.terminate(at).expect("asked to stop");
            cluster.wait_for_end(at).await.expect("it stops");
        }
    }
    let proceeded = writers.progress(WRITES_BETWEEN).await;
    proceeded.expect("writes go on without one server");
    let latest = writers.acknowledged.latest();
    for watcher in watchers {
        reached(&watcher.revision, latest).await;
    }
    match fault {
        Fault::FreezeLeader | Fault::FreezeFollower => cluster.thaw(at).expect("thawed"),
        Fault::KillLeader | Fault::KillFollower | Fault::StopLeader => {
            cluster.launch(at).expect("started again");
        }
    }
    let leader = cluster.wait_for_leader().await;
    leader.expect("all three agree on a leader");
}
