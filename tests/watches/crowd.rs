//! Many watchers at once, each on a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tenure_client::{Client, Options};
use tenure_core::{Filter, Revision};
use tenure_tests::cluster::{self, Cluster, SETTLE_BOUND};
use tenure_tests::watches::content::{execute, patient};
use tenure_tests::watches::picture::Picture;
use tenure_tests::watches::writers::{Acknowledged, Writers};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many watchers there are; the gate has fewer than the promise is about.
const COUNT: &str = "TENURE_WATCHERS";
const COUNT_IN_GATE: usize = 200;
const WRITES: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_watchers_is_served_while_writes_go_on() {
    let count = std::env::var(COUNT).ok().map_or(COUNT_IN_GATE, |text| {
        text.parse().expect("TENURE_WATCHERS is a number")
    });
    allow_connections(count);
    let mut cluster = Cluster::start(cluster::Options::default())
        .await
        .expect("a cluster");
    let registers = cluster.make_registers("crowd", 4).await.expect("registers");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let watching = watchers_client(&cluster).await;
    let writers = Writers::start(&client, &registers);
    let (tell, last) = watch::channel(Revision(u64::MAX));
    let (begun, mut begins) = tokio::sync::mpsc::channel(count);
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        let work = look_on(
            watching.clone(),
            writers.acknowledged.clone(),
            last.clone(),
            begun.clone(),
        );
        crowd.spawn(work);
    }
    for at in 0..count {
        let begins = tokio::time::timeout(2 * SETTLE_BOUND, begins.recv()).await;
        begins
            .unwrap_or_else(|_| panic!("watcher {at} of {count} has no snapshot"))
            .expect("watchers go on");
    }
    writers
        .progress(WRITES)
        .await
        .expect("writes go on beside the watchers");
    let acknowledged = writers.finish().await;
    let value = acknowledged.count() + 1_000_000;
    let end = execute(&client, registers[0].command(None, value))
        .await
        .expect("the last write");
    let written = Instant::now();
    tell.send_replace(end);
    let seen = tokio::time::timeout(2 * SETTLE_BOUND, crowd.join_all())
        .await
        .expect("all watchers see the last write");
    let delays = seen.into_iter().map(|seen| {
        seen.expect("no rule is broken")
            .saturating_duration_since(written)
    });
    summary(count, acknowledged.count(), delays.collect());
    cluster.stop().await.expect("a clean end");
}

async fn watchers_client(cluster: &Cluster) -> Client {
    // A thousand connections at once on a busy machine take their time.
    let options = Options {
        connect: Duration::from_secs(10),
        attempt: Duration::from_secs(10),
        ..Options::default()
    };
    Client::connect(cluster.endpoints(), options)
        .await
        .expect("a client for the watchers")
}

/// Watches until the last revision, and answers when that was there.
async fn look_on(
    client: Client,
    acknowledged: Arc<Acknowledged>,
    mut last: watch::Receiver<Revision>,
    begun: tokio::sync::mpsc::Sender<()>,
) -> Result<Instant, String> {
    let mut watch = client.watch(&Filter::default());
    let mut picture = Picture::blank();
    let mut begun = Some(begun);
    let mut advanced = Instant::now();
    loop {
        tokio::select! {
            event = watch.next() => {
                let before = picture.revision;
                picture.take(event.map_err(|error| error.to_string())?)?;
                if picture.revision > before {
                    advanced = Instant::now();
                }
            }
            told = last.changed() => told.map_err(|error| error.to_string())?,
        }
        if picture.told.snapshots > 0
            && let Some(begun) = begun.take()
        {
            begun.send(()).await.map_err(|error| error.to_string())?;
        }
        if picture.revision >= *last.borrow() {
            acknowledged.check(&picture)?;
            return Ok(advanced);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures of a long run")]
fn summary(count: usize, writes: u64, mut delays: Vec<Duration>) {
    delays.sort_unstable();
    let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
    let last = delays.last().copied().unwrap_or_default();
    println!(
        "{count} watchers, {writes} writes meanwhile; the last write was seen after {median:?} (median), {last:?} (last)"
    );
}

/// Lets this process and the servers that it starts have a connection per watcher.
fn allow_connections(count: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .saturating_mul(4)
        .saturating_add(1_000);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current,
                maximum: limit.maximum,
            },
        )
        .expect("more open files");
    }
}
