//! Snapshots from one store to another.

use bytes::Bytes;
use futures::StreamExt;
use openraft::storage::RaftStateMachine;
use tenure_core::Revision;
use tenure_storage::image::ImageError;
use tenure_storage::snapshot::{SnapshotData, SnapshotError};

use crate::fixture::{Fixture, a_world, add_node};

async fn all_chunks(snapshot: SnapshotData) -> Vec<Bytes> {
    let chunks: Vec<_> = snapshot.chunks().collect().await;
    chunks.into_iter().map(|c| c.expect("chunk")).collect()
}

async fn receive(to: &mut Fixture, chunks: &[Bytes]) -> Result<SnapshotData, SnapshotError> {
    let mut receiver = to.store().inbox.begin();
    for chunk in chunks {
        receiver.write(chunk.clone()).await?;
    }
    receiver.finish().await
}

#[tokio::test]
async fn a_follower_becomes_what_the_leader_was() {
    let (mut leader, mut follower) = (Fixture::new(), Fixture::new());
    leader.apply(a_world(3_000)).await;
    follower.apply(a_world(3)).await;
    follower.checkpoint().await;
    leader.checkpoint().await;
    let (meta, snapshot) = leader.current().await;
    let chunks = all_chunks(snapshot).await;
    assert!(chunks.len() >= 4, "{} chunks", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.len() < 300 * 1024));

    let received = receive(&mut follower, &chunks).await.expect("received");
    let machine = &mut follower.store().machine;
    machine
        .install_snapshot(&meta, received)
        .await
        .expect("installed");
    let digest = leader.store().reader.digest();
    assert_eq!(follower.store().reader.digest(), digest);
    let compacted = follower.store().reader.events_after(Revision(1), 10);
    assert_eq!(compacted.expect_err("compacted").oldest, digest.revision);
    follower.reopen();
    assert_eq!(follower.store().reader.digest(), digest);
    assert_eq!(follower.state(), leader.state());

    follower.next = leader.next;
    leader.apply([add_node(9_999)]).await;
    follower.apply([add_node(9_999)]).await;
    follower.checkpoint().await;
    follower.reopen();
    assert_eq!(follower.state(), leader.state());
}

#[tokio::test]
async fn a_snapshot_stays_what_it_was_while_it_is_sent() {
    let (mut leader, mut follower) = (Fixture::new(), Fixture::new());
    leader.apply(a_world(2_000)).await;
    leader.checkpoint().await;
    let then = leader.store().reader.digest();
    let (meta, snapshot) = leader.current().await;
    let mut chunks = snapshot.chunks();
    let first = chunks.next().await.expect("first").expect("chunk");

    leader.apply((1..100).map(|n| add_node(10_000 + n))).await;
    let later = {
        let checkpoints = leader.store().checkpoints.clone();
        tokio::spawn(async move { checkpoints.make().await })
    };
    let mut receiver = follower.store().inbox.begin();
    receiver.write(first).await.expect("first");
    assert!(!later.is_finished(), "the checkpoint waits for the reader");
    while let Some(chunk) = chunks.next().await {
        receiver.write(chunk.expect("chunk")).await.expect("write");
    }
    let received = receiver.finish().await.expect("whole");
    let machine = &mut follower.store().machine;
    machine
        .install_snapshot(&meta, received)
        .await
        .expect("installed");
    assert_eq!(follower.store().reader.digest(), then);
    let made = later.await.expect("no panic").expect("checkpoint");
    assert_eq!(made.map(|id| id.index), Some(leader.next - 1));
    let (meta, _snapshot) = leader.current().await;
    assert_eq!(meta.last_log_id, made);
}

#[tokio::test]
async fn a_handle_of_an_old_checkpoint_is_refused_not_mixed_up() {
    let mut leader = Fixture::new();
    leader.apply(a_world(5)).await;
    let (_, old) = leader.build().await;
    leader.apply([add_node(6)]).await;
    leader.checkpoint().await;
    let first = old.chunks().next().await.expect("an answer");
    assert!(
        matches!(
            first,
            Err(SnapshotError::Image(ImageError::Superseded {
                asked: 1,
                current: 2
            }))
        ),
        "{first:?}"
    );
}

#[tokio::test]
async fn a_reader_that_gives_up_lets_checkpoints_go_on() {
    let mut leader = Fixture::new();
    leader.apply(a_world(3_000)).await;
    leader.checkpoint().await;
    let (_, snapshot) = leader.current().await;
    let mut chunks = snapshot.chunks();
    drop(chunks.next().await);
    drop(chunks);
    leader.apply([add_node(9_999)]).await;
    leader.checkpoint().await;
}

#[tokio::test]
async fn a_snapshot_with_anything_wrong_is_refused_and_leaves_the_state_alone() {
    let (mut leader, mut follower) = (Fixture::new(), Fixture::new());
    leader.apply(a_world(2_000)).await;
    leader.checkpoint().await;
    follower.apply(a_world(2)).await;
    let before = follower.state();
    let (meta, snapshot) = leader.current().await;
    let good = all_chunks(snapshot).await;

    let mut cases: Vec<(&str, Vec<Bytes>)> = vec![
        ("nothing", Vec::new()),
        ("cut off", good[..good.len() - 1].to_vec()),
    ];
    let without = |at: usize| {
        let mut chunks = good.clone();
        chunks.remove(at);
        chunks
    };
    cases.push(("without meta", without(0)));
    cases.push(("with a gap", without(2)));
    let mut twice = good.clone();
    twice.insert(2, good[1].clone());
    cases.push(("a chunk twice", twice));
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    cases.push(("out of order", swapped));
    for at in [0, 1, 5, 9, 10, 100] {
        let mut flipped = good.clone();
        let mut bytes = flipped[1].to_vec();
        bytes[at] ^= 0x10;
        flipped[1] = bytes.into();
        cases.push(("a flipped bit", flipped));
    }
    for (name, chunks) in cases {
        let refused = receive(&mut follower, &chunks).await;
        assert!(refused.is_err(), "{name}");
    }
    assert_eq!(follower.state(), before);

    let received = receive(&mut follower, &good).await.expect("whole");
    let mut other = meta.clone();
    other.last_log_id = Some(tenure_storage::types::log_id(1, 1));
    let machine = &mut follower.store().machine;
    let refused = machine.install_snapshot(&other, received).await;
    assert!(refused.is_err());
    assert_eq!(follower.state(), before);
    follower.checkpoint().await;
    follower.reopen();
    assert_eq!(follower.state(), before);
}
