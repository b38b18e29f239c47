//! Watchers that open a watch and do not read it.

use tenure_client::Client;
use tenure_core::Revision;
use tenure_tests::watches::content::{add_nodes, execute, join, patient};
use tenure_tests::watches::raw::{RawWatch, Seen};
use tokio::runtime::Runtime;

use crate::{one_server, settle};

/// Events kept for watchers; the load passes ten times as many.
const EVENTS_MAX: u64 = 20_000;
const NODES: usize = 1_024;
const LABEL_BYTES: usize = 1_000;
/// 204,800 events of more than 1,000 bytes each.
const ROUNDS: u64 = 200;
const IDLE_EACH: usize = 8;
/// What a dozen watchers that do not read may cost altogether, with all that an allocator wastes.
const GROWTH_MAX_KIB: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_never_read_cost_bounded_memory_and_start_over_when_they_do() {
    let cluster = one_server(EVENTS_MAX).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let api = cluster.endpoints()[0].clone();
    let pid = cluster.servers()[0].pid().expect("a process");
    add_nodes(&client, NODES, LABEL_BYTES).await.expect("nodes");

    rounds(&client, 0..ROUNDS).await;
    let without = resident_kib(pid);
    let mut deaf = vec![];
    let mut tired = vec![];
    for _ in 0..IDLE_EACH {
        deaf.push(
            RawWatch::open(&api, None)
                .await
                .expect("a watch that nobody reads"),
        );
        let mut watch = RawWatch::open(&api, None).await.expect("a watch");
        watch.until(&[Seen::Snapshot]).await.expect("its snapshot");
        tired.push(watch);
    }
    let (frozen, threads) = frozen_programs(&api);
    let last = rounds(&client, ROUNDS..2 * ROUNDS).await;
    let with = resident_kib(pid);
    println!(
        "server's memory after {ROUNDS} rounds without watchers {without} KiB, after as many with them {with} KiB"
    );
    assert!(
        with < without + GROWTH_MAX_KIB,
        "{} watchers that do not read cost {} KiB",
        3 * IDLE_EACH,
        with.saturating_sub(without)
    );

    for watch in deaf.iter_mut().chain(&mut tired) {
        watch
            .until(&[Seen::Compacted])
            .await
            .expect("it is told that it fell behind");
        watch
            .until(&[Seen::Snapshot])
            .await
            .expect("and starts over");
        assert!(watch.picture.revision >= last);
        settle(watch, &client).await;
    }
    drop((deaf, tired, frozen));
    threads.shutdown_background();
    cluster.stop().await.expect("a clean end");
}

/// Watches of a program that was stopped: nothing reads its sockets.
fn frozen_programs(api: &str) -> (Vec<RawWatch>, Runtime) {
    let open = |api: String| async move {
        let mut watches = vec![];
        for _ in 0..IDLE_EACH {
            watches.push(
                RawWatch::open(&api, None)
                    .await
                    .expect("a watch of a program that stops"),
            );
        }
        watches
    };
    let api = api.to_owned();
    // A runtime of one thread runs only while something is waited for on it.
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let watches = runtime.block_on(open(api));
        (watches, runtime)
    });
    thread.join().expect("the watches are open")
}

/// Changes every node once per round, and answers with the last revision.
async fn rounds(client: &Client, rounds: std::ops::Range<u64>) -> Revision {
    let mut revision = Revision::default();
    for last in rounds {
        revision = execute(client, join(0..NODES, last))
            .await
            .expect("a round");
    }
    revision
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    number
        .and_then(|kib| kib.trim().parse().ok())
        .expect("VmRSS has a number")
}
