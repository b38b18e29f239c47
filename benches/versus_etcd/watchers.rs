//! How long a change takes to reach the last of many watchers, each on a connection of its own.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{BenchError, CallError};
use crate::system::{Changes, Cluster};

/// The key that all watchers watch.
pub const WATCHED_KEY: &str = "bench-watched";
const OPENED_AT_ONCE: usize = 32;
const CHANGE_BOUND: Duration = Duration::from_secs(30);
/// Sockets of other purposes, files and pipes of this process or of a member.
const OTHER_DESCRIPTORS: u64 = 500;

type Arrival = Result<(u64, Instant), CallError>;

/// Lets this process and the members it starts later open a socket per watcher.
pub fn raise_descriptor_limit(watchers: usize) -> Result<(), BenchError> {
    let wanted = u64::try_from(watchers)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|_refused| BenchError::Descriptors {
        wanted,
        watchers,
        limit: limit.maximum.or(limit.current).unwrap_or(u64::MAX),
    })
}

/// For each of `changes` writes the time from its sending until the last watcher has it.
pub async fn run(
    cluster: &mut Cluster,
    watchers: usize,
    changes: u64,
) -> Result<Vec<Duration>, BenchError> {
    let leader = cluster.settled().await?;
    let addresses = cluster.addresses();
    let mut writer = cluster.connect(&addresses[leader]).await?;
    let write_failed = |source| BenchError::Call {
        what: "a write to the watched key",
        source,
    };
    writer.write(WATCHED_KEY, 0).await.map_err(write_failed)?;
    let (arrivals, mut arrived) = mpsc::unbounded_channel();
    let _tasks = open(cluster, &addresses, watchers, &arrivals).await?;
    let mut durations = Vec::new();
    for number in 1..=changes {
        let sent = Instant::now();
        writer
            .write(WATCHED_KEY, number)
            .await
            .map_err(write_failed)?;
        let last = last_arrival(&mut arrived, watchers, number).await?;
        durations.push(last - sent);
    }
    Ok(durations)
}

/// Opens all watches, spread evenly over the members. The tasks end when the set is dropped.
async fn open(
    cluster: &Cluster,
    addresses: &[String],
    watchers: usize,
    arrivals: &mpsc::UnboundedSender<Arrival>,
) -> Result<JoinSet<()>, BenchError> {
    let watches: Vec<Changes> = futures::stream::iter(0..watchers)
        .map(|watcher| watch(cluster, &addresses[watcher % addresses.len()]))
        .buffer_unordered(OPENED_AT_ONCE)
        .try_collect()
        .await?;
    let mut tasks = JoinSet::new();
    for watch in watches {
        tasks.spawn(report(watch, arrivals.clone()));
    }
    Ok(tasks)
}

async fn watch(cluster: &Cluster, address: &str) -> Result<Changes, BenchError> {
    let mut connection = cluster.connect(address).await?;
    connection
        .watch(WATCHED_KEY)
        .await
        .map_err(|source| BenchError::Call {
            what: "opening a watch",
            source,
        })
}

async fn report(mut changes: Changes, arrivals: mpsc::UnboundedSender<Arrival>) {
    loop {
        let arrival = changes.next().await.map(|number| (number, Instant::now()));
        let over = arrival.is_err();
        if arrivals.send(arrival).is_err() || over {
            return;
        }
    }
}

async fn last_arrival(
    arrived: &mut mpsc::UnboundedReceiver<Arrival>,
    watchers: usize,
    wanted: u64,
) -> Result<Instant, BenchError> {
    let deadline = tokio::time::Instant::now() + CHANGE_BOUND;
    let mut have = 0;
    let mut last = None;
    while have < watchers {
        let Ok(Some(arrival)) = tokio::time::timeout_at(deadline, arrived.recv()).await else {
            return Err(BenchError::TooLate {
                what: format!("change {wanted} at all {watchers} watchers"),
                bound: CHANGE_BOUND,
                last: format!("{have} watchers have it"),
            });
        };
        let (number, at) = arrival.map_err(|source| BenchError::Call {
            what: "a watch",
            source,
        })?;
        if number == wanted {
            have += 1;
            last = last.max(Some(at));
        }
    }
    Ok(last.unwrap_or_else(Instant::now))
}
