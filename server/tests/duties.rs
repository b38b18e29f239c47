//! What the leader does on its own, apart from roles.
#![allow(missing_docs)]

mod support;

use support::{Cluster, eventually, payload};
use tenure_core::{Command, Note, Outcome, Scope, Settings, Timestamp};

async fn newest_level(cluster: &Cluster, server: u64) {
    let reader = cluster.consensus(server).reader();
    eventually("the newest feature level", || async {
        let level = reader.read(|state| state.settings().feature_level);
        (level == Settings::FEATURE_LEVEL_SUPPORTED).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_servers_allow_the_newest_commands_by_themselves() {
    let cluster = Cluster::formed(3).await;
    for id in 1..=3 {
        newest_level(&cluster, id).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_commands_wait_for_a_server_that_has_not_said_what_it_understands() {
    let mut cluster = Cluster::new(3);
    cluster.start(1).await;
    cluster.start(2).await;
    cluster.write("a").await;
    let reader = cluster.consensus(1).reader();
    eventually("two servers are bound", || async {
        let bound = reader.read(|state| {
            let servers = state.servers().values();
            servers.filter(|server| server.store.is_some()).count()
        });
        (bound == 2).then_some(())
    })
    .await;
    let level = reader.read(|state| state.settings().feature_level);
    assert_eq!(level, 1, "server 3 was never heard of");
    cluster.start(3).await;
    newest_level(&cluster, 1).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_is_over_is_taken_away_and_one_that_is_not_stays() {
    let cluster = Cluster::formed(1).await;
    newest_level(&cluster, 1).await;
    let pause = |scope, until| Command::SetPause {
        scope,
        expected: None,
        until,
        reason: Note::new("moving racks").expect("short"),
    };
    let node = Scope::Node(tenure_core::NodeId(1));
    cluster.write("a").await;
    let over = pause(Scope::Cluster, Some(Timestamp(1)));
    let standing = pause(node.clone(), Some(Timestamp(u64::MAX)));
    let reader = cluster.consensus(1).reader();
    for command in [over, standing] {
        let set = cluster.consensus(1).propose(payload(command)).await;
        assert!(matches!(set, Ok(Outcome::Done(_))), "{set:?}");
    }
    eventually("the pause is gone", || async {
        let scopes: Vec<Scope> = reader.read(|state| state.pauses().keys().cloned().collect());
        (scopes == [node.clone()]).then_some(())
    })
    .await;
    cluster.stop_all().await;
}
