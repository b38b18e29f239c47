//! A server that was away for longer than the log is kept.
#![allow(missing_docs)]

mod support;

use support::{Cluster, add_node, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_catches_up_by_snapshot() {
    let mut cluster = Cluster::new(3);
    cluster.extra = "[storage]\ncheckpoint_entries = 100\nlog_keep_entries = 10\n".into();
    for id in 1..=3 {
        cluster.start(id).await;
    }
    cluster.write("first").await;
    let leader = cluster.leader().await;
    let away = leader % 3 + 1;
    cluster.sees(away, "first").await;
    cluster.stop(away).await;
    let behind = {
        let group = cluster.consensus(leader).group();
        group.last_log
    };
    for n in 0..600 {
        cluster.write(&format!("n{n}")).await;
    }
    let leader = cluster.leader().await;
    let purged = eventually("the log was purged past what server lacks", || async {
        let purged = cluster.consensus(leader).group().purged;
        (purged > behind).then_some(purged)
    })
    .await;
    cluster.start(away).await;
    cluster.sees(away, "n599").await;
    let digests = async |id: u64| {
        let reader = cluster.consensus(id).reader().clone();
        tokio::task::spawn_blocking(move || reader.digest())
            .await
            .expect("digest")
    };
    eventually("the states are equal", || async {
        (digests(away).await == digests(leader).await).then_some(())
    })
    .await;
    assert!(
        cluster.consensus(away).group().snapshot >= purged,
        "it came by log, not by snapshot"
    );
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_on_demand_covers_what_was_applied() {
    let cluster = Cluster::formed(1).await;
    for n in 0..10 {
        let done = cluster
            .consensus(1)
            .propose(add_node(&format!("n{n}")))
            .await;
        assert!(done.is_ok(), "{done:?}");
    }
    let before = cluster.consensus(1).group().applied;
    let covered = cluster.consensus(1).checkpoint().await.expect("written");
    assert!(covered.0 >= before, "{covered} covers less than {before}");
    cluster.stop_all().await;
}
