//! Servers that are added, removed, or not what they say.
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::{Cluster, add_node, eventually, peer};
use tenure_core::{Reject, RejectCode, ServerId};
use tenure_server::{Config, MembershipError, Peer, Server};

/// Adds a server through whoever leads.
async fn add(cluster: &Cluster, peer: &Peer, learner: bool) -> Result<bool, MembershipError> {
    eventually("a server is added", || async {
        let leader = cluster.leader().await;
        match cluster
            .consensus(leader)
            .add_server(peer.clone(), learner)
            .await
        {
            Err(
                MembershipError::NotLeader { .. }
                | MembershipError::NoLeader
                | MembershipError::Busy,
            ) => None,
            other => Some(other),
        }
    })
    .await
}

/// Removes a server through whoever leads, also when that is the server itself.
async fn remove(cluster: &Cluster, id: u64) {
    eventually("a server is removed", || async {
        let leader = cluster.leader().await;
        match cluster.consensus(leader).remove_server(ServerId(id)).await {
            Ok(()) => Some(()),
            Err(
                MembershipError::NotLeader { .. }
                | MembershipError::NoLeader
                | MembershipError::Busy,
            ) => None,
            Err(other) => panic!("{other}"),
        }
    })
    .await;
}

fn voters(cluster: &Cluster, at: u64) -> Vec<u64> {
    let servers = cluster.consensus(at).group().servers;
    servers
        .iter()
        .filter(|s| s.voter)
        .map(|s| s.peer.id.0)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_and_a_fifth_server_join() {
    let mut cluster = Cluster::formed(3).await;
    cluster.write("a").await;
    for id in [4, 5] {
        let new = cluster.start_joining(id).await;
        assert_eq!(add(&cluster, &new, false).await, Ok(true));
        assert_eq!(
            add(&cluster, &new, false).await,
            Ok(true),
            "again changes nothing"
        );
        cluster.sees(id, "a").await;
    }
    let leader = cluster.leader().await;
    assert_eq!(voters(&cluster, leader), [1, 2, 3, 4, 5]);
    cluster.write("b").await;
    cluster.sees(5, "b").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_follows_without_a_vote() {
    let mut cluster = Cluster::formed(3).await;
    let new = cluster.start_joining(4).await;
    assert_eq!(add(&cluster, &new, true).await, Ok(false));
    cluster.write("a").await;
    cluster.sees(4, "a").await;
    let leader = cluster.leader().await;
    assert_eq!(voters(&cluster, leader), [1, 2, 3]);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_id_is_never_used_again() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let gone = leader % 3 + 1;
    remove(&cluster, gone).await;
    let left = cluster.leader().await;
    assert!(!voters(&cluster, left).contains(&gone));
    cluster.write("a").await;
    let address = cluster.peers[usize::try_from(gone - 1).expect("small")].clone();
    match add(&cluster, &address, false).await {
        Err(MembershipError::Rejected(Reject { code, .. })) => {
            assert_eq!(code, RejectCode::ServerIdUsed);
        }
        other => panic!("{other:?}"),
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_leader_hands_over_and_leaves() {
    let cluster = Cluster::formed(3).await;
    let gone = cluster.leader().await;
    remove(&cluster, gone).await;
    let left = cluster.leader().await;
    assert_ne!(left, gone);
    assert!(!voters(&cluster, left).contains(&gone));
    cluster.write("a").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_others_are_refused() {
    let cluster = Cluster::formed(3).await;
    let mut twice = peer(4);
    twice.raft.clone_from(&cluster.peers[0].raft);
    let refused = add(&cluster, &twice, false).await;
    assert!(
        matches!(refused, Err(MembershipError::Invalid(_))),
        "{refused:?}"
    );
    let mut moved = peer(1);
    moved.raft.clone_from(&cluster.peers[0].raft);
    let refused = add(&cluster, &moved, false).await;
    assert!(
        matches!(refused, Err(MembershipError::Invalid(_))),
        "{refused:?}"
    );
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_data_folder_is_refused_with_what_to_do() {
    let mut cluster = Cluster::formed(3).await;
    cluster.write("a").await;
    let reader = cluster.consensus(1).reader().clone();
    eventually("server 3 is bound", || async {
        let bound = |state: &tenure_core::State| {
            let server = state.servers().get(&ServerId(3))?;
            server.store
        };
        reader.read(bound).map(|_| ())
    })
    .await;
    cluster.stop(3).await;
    std::fs::remove_dir_all(cluster.data_dir(3)).expect("lost");
    cluster.start(3).await;
    let ended = tokio::time::timeout(support::BOUND, cluster.running[&3].wait());
    let why = ended.await.expect("ends by itself").expect_err("refused");
    assert!(
        why.contains("another data folder") && why.contains("raft remove 3"),
        "{why}"
    );
    cluster.write("b").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_cluster_is_refused() {
    let mut cluster = Cluster::new(3);
    cluster.start(1).await;
    cluster.start(2).await;
    let me = cluster.peers[2].clone();
    let text = cluster.config_text(3, &me, "elsewhere");
    let config = Config::parse(Path::new("test.toml"), &text).expect("valid");
    let stranger = Server::start(config).await.expect("starts");
    cluster.write("a").await;
    let seen = stranger.consensus().group();
    assert_eq!(
        (seen.last_log, seen.leader),
        (0, None),
        "it was talked to: {seen:?}"
    );
    stranger.shutdown().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_at_an_address_is_not_taken_for_the_right_one() {
    let mut cluster = Cluster::formed(3).await;
    // Server 4 really listens where nobody was told of it; its address in the group is server 1's
    // neighbour, which is no server of Tenure at all.
    let real = cluster.start_joining(4).await;
    let mut wrong = peer(5);
    wrong.raft.clone_from(&real.raft);
    let adding = add(&cluster, &wrong, false);
    let refused = tokio::time::timeout(Duration::from_secs(25), adding)
        .await
        .expect("given up in time");
    assert!(
        matches!(refused, Err(MembershipError::TimedOut(_))),
        "{refused:?}"
    );
    assert_eq!(
        cluster.consensus(4).group().last_log,
        0,
        "the wrong server was fed"
    );
    let leader = cluster.leader().await;
    assert!(
        cluster
            .consensus(leader)
            .propose(add_node("a"))
            .await
            .is_ok()
    );
    cluster.stop_all().await;
}
