//! Three servers and more in one process: formation, proposals, leader changes, shutdown.
#![allow(missing_docs)]

mod support;

use support::{Cluster, add_node, eventually};
use tenure_core::ServerId;
use tenure_server::{MembershipError, ProposeError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_form_in_any_order_and_commit() {
    for order in [[1, 2, 3], [3, 1, 2]] {
        let mut cluster = Cluster::new(3);
        for id in order {
            cluster.start(id).await;
        }
        cluster.write("a").await;
        for id in 1..=3 {
            cluster.sees(id, "a").await;
        }
        cluster.stop_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_names_the_leader_and_reads_through_it() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    cluster.write("a").await;
    for id in (1..=3).filter(|id| *id != leader) {
        let consensus = cluster.consensus(id);
        let index = eventually("a read index", || async {
            consensus.read_index().await.ok()
        })
        .await;
        consensus.reader().wait_applied(index).await;
        let seen = consensus.reader().read(|state| state.nodes().len());
        assert_eq!(seen, 1, "server {id} read an old state");
        match consensus.propose(add_node("b")).await {
            Err(ProposeError::NotLeader { leader: Some(hint) }) => {
                assert_eq!(hint.id, ServerId(leader));
            }
            other => panic!("server {id} answered {other:?}"),
        }
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_leader_is_replaced_and_comes_back() {
    let mut cluster = Cluster::formed(3).await;
    let old = cluster.leader().await;
    cluster.write("a").await;
    drop(cluster.running.remove(&old));
    cluster.write("b").await;
    eventually("the folder is free again", || async {
        let me = &cluster.peers[usize::try_from(old - 1).expect("small")];
        tenure_server::Server::start(cluster.config(old, me))
            .await
            .ok()
    })
    .await
    .shutdown()
    .await;
    cluster.start(old).await;
    cluster.sees(old, "b").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_where_it_is_sent() {
    let cluster = Cluster::formed(3).await;
    let from = cluster.leader().await;
    let to = from % 3 + 1;
    let now = cluster
        .consensus(from)
        .transfer_leader(Some(ServerId(to)))
        .await
        .expect("handed over");
    assert_eq!(now, ServerId(to));
    assert_eq!(cluster.leader().await, to);
    cluster.write("a").await;
    let refused = cluster
        .consensus(to)
        .transfer_leader(Some(ServerId(9)))
        .await;
    assert!(
        matches!(refused, Err(MembershipError::Invalid(_))),
        "{refused:?}"
    );
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_shut_down_hands_over_first() {
    let mut cluster = Cluster::formed(3).await;
    let old = cluster.leader().await;
    cluster.write("a").await;
    let other = old % 3 + 1;
    let term = cluster.consensus(other).group().term;
    cluster.stop(old).await;
    let new = cluster.leader().await;
    assert_ne!(new, old);
    assert_eq!(
        cluster.consensus(new).group().term,
        term + 1,
        "an election was lost on the way"
    );
    cluster.write("b").await;
    cluster.start(old).await;
    cluster.sees(old, "b").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_formation_every_server_is_bound_to_its_data_folder() {
    let cluster = Cluster::formed(3).await;
    let reader = cluster.consensus(1).reader();
    eventually("three servers are bound", || async {
        let bound = reader.read(|state| {
            let servers = state.servers().values();
            servers.filter(|server| server.store.is_some()).count()
        });
        (bound == 3).then_some(())
    })
    .await;
    cluster.stop_all().await;
}
