//! Watches that go on where another one ended.

use tenure_core::Revision;
use tenure_tests::cluster::calls::local;
use tenure_tests::cluster::registers::add_node;
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, until};
use tenure_tests::watches::content::{add_nodes, execute, join, list, patient};
use tenure_tests::watches::picture::{Picture, difference};
use tenure_tests::watches::raw::{RawWatch, Seen};

use crate::{one_server, settle};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_waits_for_a_server_that_is_behind() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster.make_registers("r", 1).await.expect("a register");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let leader = cluster.wait_for_leader().await.expect("a leader");
    let behind = (leader + 1) % 3;
    cluster.kill(behind).expect("a follower is killed");
    for value in 1..=100 {
        execute(&client, registers[0].command(None, value))
            .await
            .expect("a write without it");
    }
    let (revision, records) = list(&client).await.expect("a list");
    for at in cluster.running() {
        cluster.kill(at).expect("the others are killed");
    }

    // Alone it has no quorum, and cannot learn what it missed.
    cluster.launch(behind).expect("started again");
    let calls = cluster.calls(behind).clone();
    let old = until(
        "an answer of the server that is behind",
        SETTLE_BOUND,
        async || {
            let any_age = local(std::time::Duration::MAX);
            registers[0]
                .read(&calls, any_age)
                .await
                .map_err(|error| error.to_string())
        },
    );
    let (_, old, header) = old.await.expect("a local read");
    assert!(
        old < 100 && header.revision < revision.0,
        "it is behind: {old} at {header:?}"
    );
    let api = cluster.endpoints()[behind].clone();
    let picture = Picture::of(records, revision);
    let mut watch = RawWatch::open(&api, Some(picture)).await.expect("a watch");
    for _quiet in 0..2 {
        assert_eq!(
            watch.next().await,
            Ok(Seen::Progress),
            "it has nothing new to say"
        );
        assert_eq!(watch.picture.revision, revision, "and does not go back");
    }

    for at in (0..3).filter(|at| *at != behind) {
        cluster.launch(at).expect("started again");
    }
    let written = execute(&client, add_node("news"))
        .await
        .expect("a write after all");
    watch
        .reach(written)
        .await
        .expect("the watch goes on once the server has caught up");
    settle(&mut watch, &client).await;
    assert_eq!(
        watch.picture.told.snapshots, 0,
        "it went on without a snapshot"
    );
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_away_too_long_is_told_and_starts_over() {
    let cluster = one_server(1_000).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let api = cluster.endpoints()[0].clone();
    add_nodes(&client, 200, 10).await.expect("nodes");
    let (revision, records) = list(&client).await.expect("a list");
    let away = Picture::of(records, revision);
    for last in 0..5 {
        execute(&client, join(0..200, last))
            .await
            .expect("200 events");
    }
    let mut watch = RawWatch::open(&api, Some(away.clone()))
        .await
        .expect("a watch");
    watch
        .until(&[Seen::Changes])
        .await
        .expect("1,000 events are still kept");
    settle(&mut watch, &client).await;
    assert_eq!(watch.picture.told.compacted, 0);

    execute(&client, join(0..200, 5))
        .await
        .expect("200 events more than are kept");
    let mut watch = RawWatch::open(&api, Some(away)).await.expect("a watch");
    assert_eq!(watch.next().await, Ok(Seen::Compacted));
    assert_eq!(
        watch
            .until(&[Seen::Snapshot, Seen::Changes, Seen::Progress])
            .await,
        Ok(Seen::Snapshot)
    );
    settle(&mut watch, &client).await;

    let ahead = Picture::of(watch.picture.records.clone(), Revision(u64::MAX));
    let mut future = RawWatch::open(&api, Some(ahead))
        .await
        .expect("a watch of the far future");
    assert_eq!(
        future.next().await,
        Ok(Seen::Progress),
        "it waits like any other"
    );
    drop(future);
    settle(&mut watch, &client).await;
    assert_eq!(
        difference(
            &watch.picture.records,
            &list(&client).await.expect("a list").1
        ),
        None
    );
    cluster.stop().await.expect("a clean end");
}
