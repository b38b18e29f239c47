//! Strangers on the port that is for servers.

use futures::stream;
use tenure_core::Record;
use tenure_proto::raft as pb;
use tenure_proto::raft::link_request::Body;
use tenure_proto::raft::raft_client::RaftClient;
use tenure_proto::raft::snapshot_chunk::{Body as Chunk, Start};
use tenure_tests::cluster::registers::add_node;
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, until};
use tenure_tests::watches::content::{list, patient};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::wire::connect;

const CONNECTIONS: usize = 500;
const STREAMS: usize = 2_000;

fn identity(cluster: &str, from: u64, to: u64, store: usize) -> Option<pb::Identity> {
    Some(pb::Identity {
        cluster: cluster.to_owned(),
        from,
        to,
        store: vec![7; store].into(),
    })
}

/// What a server says to a caller with this identity.
async fn link(client: &mut RaftClient<Channel>, identity: Option<pb::Identity>) -> Status {
    let first = pb::LinkRequest {
        identity,
        call: 1,
        body: Some(Body::Vote(pb::VoteRequest::default())),
    };
    client
        .link(stream::iter([first]))
        .await
        .expect_err("a stranger is not let in")
}

/// A cluster whose servers know each other by their data folders, which takes a moment after they have formed.
async fn start() -> Cluster {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let bound =
        |record: &Record| matches!(record, Record::Server(server) if server.store.is_some());
    let known = until(
        "all servers known by their folders",
        SETTLE_BOUND,
        async || {
            let (_, records) = list(&client).await?;
            match records.values().filter(|record| bound(record)).count() {
                3 => Ok(()),
                some => Err(format!("{some} are")),
            }
        },
    );
    known.await.expect("the leader binds each to its folder");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("all servers know");
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_no_server_of_the_cluster_is_told_why() {
    let mut cluster = start().await;
    let before = cluster.calls(0).raft_status().await.expect("a status");
    let mut client = RaftClient::new(connect(&cluster.forming()[0].raft).await);
    let wrong = [
        (None, "did not say which server it is"),
        (identity("other", 2, 1, 16), "belongs to cluster \"other\""),
        (
            identity("test", 2, 3, 16),
            "looked for server 3 here, but this is server 1",
        ),
        (identity("test", 1, 1, 16), "this server's own id 1"),
        (identity("test", 2, 1, 16), "another data folder"),
        (identity("test", 2, 1, 3), "did not say which server it is"),
        (
            identity(&"x\u{1b}".repeat(1_000), 2, 1, 16),
            "belongs to cluster",
        ),
    ];
    for (identity, text) in wrong {
        let status = link(&mut client, identity).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(
            status.message().contains(text),
            "{text:?} is not in {status}"
        );
        assert!(!status.message().contains('\u{1b}'), "{status}");
    }
    let nobody = client
        .hello(pb::HelloRequest { identity: None })
        .await
        .expect_err("nobody");
    assert_eq!(nobody.code(), Code::PermissionDenied, "{nobody}");
    let after = cluster.calls(0).raft_status().await.expect("a status");
    assert_eq!(
        (after.term, after.leader),
        (before.term, before.leader),
        "nobody was disturbed"
    );
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_strangers_are_not_taken_in() {
    let mut cluster = start().await;
    let before = cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    let mut client = RaftClient::new(connect(&cluster.forming()[0].raft).await);
    let data = |bytes: Vec<u8>| pb::SnapshotChunk {
        body: Some(Chunk::Data(bytes.into())),
    };
    let begin = |identity| pb::SnapshotChunk {
        body: Some(Chunk::Start(Start {
            identity,
            vote: Some(pb::Vote {
                term: 1,
                server: 9,
                committed: true,
            }),
            last_log: Some(pb::LogId {
                term: 1,
                index: 1_000,
            }),
            membership_log: None,
            membership: Some(pb::Membership::default()),
        })),
    };
    let other = || begin(identity("test", 2, 1, 16));
    let unknown = || begin(identity("test", 9, 1, 16));
    let sent = [
        (vec![], "description"),
        (vec![data(vec![1])], "description"),
        (vec![other(), data(vec![1; 100])], "another data folder"),
        (vec![unknown(), data(vec![0xa5; 100_000])], ""),
        (vec![unknown(), unknown()], ""),
        (vec![unknown(), data(vec![0; 64 << 20])], ""),
    ];
    for (chunks, text) in sent {
        let status = client
            .install_snapshot(stream::iter(chunks))
            .await
            .expect_err("not taken in");
        assert!(
            status.message().contains(text),
            "{text:?} is not in {status}"
        );
        cluster.check().expect("the server goes on");
    }
    cluster
        .execute(&add_node("fine"))
        .await
        .expect("the cluster goes on");
    let after = cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    assert!(after.revision > before.revision);
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_does_not_stop_the_cluster() {
    let mut cluster = start().await;
    let leader = cluster.wait_for_leader().await.expect("a leader");
    let mut held = vec![];
    for listed in cluster.forming() {
        for _ in 0..CONNECTIONS {
            held.push(
                TcpStream::connect(&listed.raft)
                    .await
                    .expect("a connection that says nothing"),
            );
        }
    }
    let mut client = RaftClient::new(connect(&cluster.forming()[leader].raft).await);
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let mut client = client.clone();
        // It never says who it is, and never ends by itself.
        streams.spawn(async move { client.link(stream::pending()).await.map(drop) });
    }
    for at in 0..20 {
        cluster
            .execute(&add_node(&format!("n-{at}")))
            .await
            .expect("writes go on");
    }
    for outcome in streams.join_all().await {
        let status = outcome.expect_err("nobody is let in");
        assert_ne!(status.code(), Code::Ok, "{status}");
    }
    let status = link(&mut client, None).await;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    drop(held);
    cluster.stop().await.expect("a clean end");
}
