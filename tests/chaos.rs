//! Nothing acknowledged is lost and nothing is applied twice while servers are killed, frozen and restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenure_client::{Client, Consistency, Error, Options as ClientOptions};
use tenure_core::{LogIndex, NodeName, State};
use tenure_tests::chaos::schedule::{Done, Schedule, heal};
use tenure_tests::chaos::{Counts, Work, verdict};
use tenure_tests::cluster::{Cluster, Keeping, Options, SETTLE_BOUND, until};
use tenure_tests::power_loss::chance::Chance;
use tokio::task::JoinSet;

const ROUNDS: &str = "TENURE_CHAOS_ROUNDS";
const SEED: &str = "TENURE_CHAOS_SEED";
const ROUNDS_IN_GATE: u32 = 10;

/// Checkpoints and purges all the time, so that servers that come back need snapshots now and then.
const KEEPING: Keeping = Keeping {
    checkpoint_entries: 500,
    log_keep_entries: 100,
    events_max: 10_000,
};

fn from_env<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let number = text.parse().ok();
    assert!(
        number.is_some(),
        "{name} = {text:?} is no number of the right size"
    );
    number
}

fn any_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() << 20 | u64::from(now.subsec_micros())
}

/// Says how to repeat a run that fails.
struct Repeat {
    rounds: u32,
    seed: u64,
}

impl Drop for Repeat {
    #[expect(clippy::print_stderr, reason = "how to repeat the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { rounds, seed } = self;
            eprintln!("to repeat: cargo xtask chaos --rounds {rounds} --seed {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_applied_twice() {
    let rounds = from_env(ROUNDS).unwrap_or(ROUNDS_IN_GATE);
    let seed = from_env(SEED).unwrap_or_else(any_seed);
    let _repeat = Repeat { rounds, seed };
    let options = Options {
        keeping: Some(KEEPING),
        ..Options::default()
    };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let mut schedule = Schedule::new(seed);
    let work = Work::start(&mut cluster, &mut Chance::new(!seed))
        .await
        .expect("writers");
    for round in 1..=rounds {
        let fault = schedule.next_fault();
        let ended = schedule.round(&mut cluster, &work, fault).await;
        ended.unwrap_or_else(|error| panic!("round {round} of seed {seed}, {fault:?}: {error}"));
        let broken = work.shared.violations();
        assert!(
            broken.is_empty(),
            "round {round} of seed {seed}, {fault:?}:\n{}",
            broken.join("\n")
        );
    }
    heal(&mut cluster).expect("every server runs");
    cluster
        .wait_for_leader()
        .await
        .expect("a leader after all faults");
    work.progress(20).await.expect("writes after all faults");

    let shared = work.shared.clone();
    let mut accounts = work.finish().await;
    let digest = cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    let mut broken = shared.violations();
    broken.extend(verdict::broken(
        &everything(&cluster, digest.applied).await,
        &mut accounts,
    ));
    assert!(broken.is_empty(), "seed {seed}:\n{}", broken.join("\n"));
    let steps: u64 = accounts.chains.iter().map(|chain| chain.steps).sum();
    let nodes: usize = accounts
        .nodes
        .iter()
        .map(|account| account.acknowledged.len())
        .sum();
    let epochs: usize = accounts
        .epochs
        .iter()
        .map(|account| account.given.len())
        .sum();
    report(rounds, seed, &schedule.done, &shared.counts);
    println!(
        "chaos: {nodes} nodes, {steps} steps of chains and {epochs} epochs are all there, once; three servers have \
         digest {} at revision {}, entry {}",
        digest.digest, digest.revision, digest.applied
    );
    assert!(
        nodes > 0 && steps > 0 && epochs > 0,
        "every kind of writer should have written"
    );
    cluster.stop().await.expect("a clean end");
}

/// What a client can list of the state.
async fn everything(cluster: &Cluster, applied: u64) -> State {
    let options = ClientOptions {
        deadline: Duration::from_secs(60),
        ..ClientOptions::default()
    };
    let client = Client::connect(cluster.endpoints(), options)
        .await
        .expect("a client");
    let listed = client
        .discovery()
        .list(&verdict::everything(), Consistency::Linearizable)
        .await;
    let listed = listed.expect("a list of everything");
    verdict::state(listed.records, listed.header.revision, LogIndex(applied))
}

/// Prints the figures. A run in which nothing happened proves nothing.
#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn report(rounds: u32, seed: u64, done: &Done, counts: &Counts) {
    let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    let (acknowledged, unknown) = (count(&counts.acknowledged), count(&counts.unknown));
    let (retries, refused) = (count(&counts.retries), count(&counts.refused));
    println!(
        "chaos: {rounds} rounds of seed {seed}; {done}; writes: {acknowledged} acknowledged, {unknown} unknown, \
         {refused} refused, {retries} requests sent again"
    );
    if rounds >= 2 {
        assert!(done.leaders_killed > 0, "no leader was killed");
        assert!(done.leaders_frozen > 0, "no leader was frozen");
        assert!(retries > 0, "no request was sent again");
    }
    if rounds >= ROUNDS_IN_GATE {
        assert!(unknown > 0, "no write had an unknown outcome");
    }
}

/// A server that wakes up to many cancelled calls closes the connection ("enhance your calm"). Other calls on it may have
/// been carried out.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_told_that_nothing_happened_when_it_may_have() {
    let one = Options {
        servers: 1,
        ..Options::default()
    };
    let mut cluster = Cluster::start(one).await.expect("a server");
    let client = Client::connect(cluster.endpoints(), ClientOptions::default()).await;
    let client = client.expect("a client");
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        writers.spawn(write_nodes(client.clone(), writer, stop.clone()));
    }
    for round in 0..40 {
        cluster.freeze(0).expect("frozen");
        be_impatient(&client, round).await;
        cluster.thaw(0).expect("thawed");
        let name = node_name("between", round, 0);
        let added = until(
            "a write after the pause",
            SETTLE_BOUND,
            async || match client.admin().add_node(name.clone(), None).await {
                Err(Error::Rejected(_)) | Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        );
        added.await.expect("the server goes on");
    }
    stop.store(true, Ordering::Relaxed);
    let denied: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    // Every write was sent to a server that takes writes: whoever was not answered cannot know.
    assert!(
        denied.is_empty(),
        "{} writes were said not to have happened: {}",
        denied.len(),
        denied[0]
    );
    let log = cluster.servers()[0].log().expect("its log");
    assert!(
        log.contains("pending-accept streams reached limit"),
        "no connection was closed:\n{log}"
    );
    cluster.stop().await.expect("a clean end");
}

/// Many calls that are given up before they can be answered.
async fn be_impatient(client: &Client, round: u64) {
    let calls =
        (0..60).map(|at| {
            let name = node_name("impatient", round, at);
            let admin = client.admin();
            async move {
                tokio::time::timeout(Duration::from_millis(20), admin.add_node(name, None)).await
            }
        });
    futures::future::join_all(calls).await;
}

/// Adds nodes until told to stop. Answers with what it was told of those that were said not to have been added.
async fn write_nodes(client: Client, writer: u64, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut denied = vec![];
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let name = node_name("writer", writer, number);
        if let Err(error) = client.admin().add_node(name.clone(), None).await
            && !error.may_have_happened()
        {
            denied.push(format!("node {name}: {error:?}"));
        }
    }
    denied
}

fn node_name(kind: &str, writer: u64, number: u64) -> NodeName {
    NodeName::new(&format!("{kind}-{writer}-{number}")).expect("letters, digits and hyphens")
}
