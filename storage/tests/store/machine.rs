//! Applying, and reading what was applied.

use std::time::Duration;

use bytes::Bytes;
use tenure_core::{LogIndex, Revision};
use tenure_storage::types::{Entry, EntryPayload, Payload, log_id};

use crate::fixture::{Fixture, a_world, add_node, entry, envelope};

#[tokio::test]
async fn an_entry_that_cannot_be_read_stops_the_server() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(1)).await;
    let before = fixture.state();
    let index = fixture.next;
    let foreign = Entry {
        log_id: log_id(1, index),
        payload: EntryPayload::Normal(Payload(Bytes::from_static(&[9, 1, 2]))),
    };
    let after = entry(index + 1, &envelope(add_node(2)));
    let refused = fixture.apply_entries(vec![foreign, after]).await;
    let said = refused.expect_err("stopped").to_string();
    assert!(said.contains("format version 9"), "{said}");
    assert!(said.contains(&format!("{index}")), "{said}");
    assert_eq!(fixture.state(), before, "nothing after it was applied");
}

#[tokio::test]
async fn entries_out_of_order_are_refused() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(1)).await;
    let again = entry(fixture.next - 1, &envelope(add_node(2)));
    let said = fixture
        .apply_entries(vec![again])
        .await
        .expect_err("refused")
        .to_string();
    assert!(said.contains("out of order"), "{said}");
}

#[tokio::test]
async fn readers_follow_progress_and_events() {
    let mut fixture = Fixture::new();
    let reader = fixture.store().reader.clone();
    let waiting = {
        let reader = reader.clone();
        tokio::spawn(async move { reader.wait_applied(LogIndex(3)).await })
    };
    fixture.apply(a_world(1)).await;
    let progress = tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("within half a minute")
        .expect("no panic");
    assert_eq!(
        (progress.applied, progress.revision),
        (LogIndex(3), Revision(3))
    );
    let batches = reader.events_after(Revision(0), 10).expect("kept");
    let revisions: Vec<u64> = batches.iter().map(|batch| batch.revision.0).collect();
    assert_eq!(revisions, [1, 2, 3]);
    assert_eq!(reader.events_after(Revision(3), 10), Ok(vec![]));
}

#[tokio::test]
async fn digests_tell_states_apart() {
    let (mut a, mut b) = (Fixture::new(), Fixture::new());
    a.apply(a_world(5)).await;
    b.apply(a_world(5)).await;
    assert_eq!(a.store().reader.digest(), b.store().reader.digest());
    a.apply([add_node(6)]).await;
    b.apply([add_node(7)]).await;
    let (a, b) = (a.store().reader.digest(), b.store().reader.digest());
    assert_eq!((a.applied, a.revision), (b.applied, b.revision));
    assert_ne!(a.digest, b.digest);
}
