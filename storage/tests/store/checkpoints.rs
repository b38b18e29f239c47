//! What was checkpointed is there after a restart, and nothing else.

use tenure_core::{Command, Revision};
use tenure_storage::types::{Entry, EntryPayload, Membership, ServerAddr, log_id};

use crate::fixture::{Fixture, a_world, add_node, entry, remove_instance, request, service};

#[tokio::test]
async fn a_checkpoint_is_what_a_restart_finds() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(50)).await;
    let (state, digest) = (fixture.state(), fixture.store().reader.digest());
    fixture.checkpoint().await;
    fixture.reopen();
    assert_eq!(fixture.state(), state);
    assert_eq!(fixture.store().reader.digest(), digest);
    assert_eq!(state.instance_count(), 50);
}

#[tokio::test]
async fn what_was_not_checkpointed_is_left_to_the_log() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(3)).await;
    fixture.checkpoint().await;
    let state = fixture.state();
    fixture.apply([add_node(4)]).await;
    assert_ne!(fixture.state(), state);
    fixture.reopen();
    assert_eq!(fixture.state(), state);
}

#[tokio::test]
async fn checkpoints_follow_each_other_with_changes_and_deletions() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(40)).await;
    fixture.checkpoint().await;
    for round in 1..=10 {
        let modified = |state: &tenure_core::State, node| {
            let instance = state.instance(&service(), tenure_core::NodeId(node));
            instance.map_or(Revision(0), |instance| instance.modified)
        };
        let expected = fixture.store().reader.read(|state| modified(state, round));
        let change = [
            remove_instance(round, expected),
            add_node(100 + round),
            Command::OpenClient,
        ];
        fixture.apply(change).await;
        fixture.checkpoint().await;
        let state = fixture.state();
        fixture.reopen();
        assert_eq!(fixture.state(), state, "round {round}");
    }
    assert_eq!(fixture.state().instance_count(), 30);
}

/// A client with many answers is longer than one stored part, and becomes shorter again.
#[tokio::test]
async fn rows_of_several_parts_grow_and_shrink() {
    let mut fixture = Fixture::new();
    fixture.apply([Command::OpenClient]).await;
    let long = tenure_core::Note::new(&"x".repeat(500)).expect("note");
    let refused = Command::RemoveNode {
        node: tenure_core::NodeRef::Id(tenure_core::NodeId(999)),
        expected: Revision(0),
        reason: long,
    };
    let mut entries = Vec::new();
    for sequence in 1..=500 {
        let mut envelope = request(1, sequence, refused.clone());
        envelope.command = Command::BindServer {
            id: tenure_core::ServerId(u64::MAX - sequence),
            store: 7,
        };
        entries.push(entry(fixture.next, &envelope));
        fixture.next += 1;
    }
    fixture.apply_entries(entries).await.expect("apply");
    let answers = |fixture: &mut Fixture| {
        let clients = |state: &tenure_core::State| {
            state
                .clients()
                .values()
                .map(|c| c.answers.len())
                .sum::<usize>()
        };
        fixture.store().reader.read(clients)
    };
    assert_eq!(answers(&mut fixture), 500);
    fixture.checkpoint().await;
    let state = fixture.state();
    fixture.reopen();
    assert_eq!(fixture.state(), state);

    let mut settled = request(1, 501, add_node(1));
    settled.request.as_mut().expect("request").first_incomplete = 501;
    let settle = entry(fixture.next, &settled);
    fixture.next += 1;
    fixture.apply_entries(vec![settle]).await.expect("apply");
    assert_eq!(answers(&mut fixture), 1);
    fixture.checkpoint().await;
    let state = fixture.state();
    fixture.reopen();
    assert_eq!(fixture.state(), state);
}

#[tokio::test]
async fn membership_and_empty_entries_are_kept_too() {
    let mut fixture = Fixture::new();
    fixture.apply([]).await;
    let servers: std::collections::BTreeMap<u64, ServerAddr> =
        [(1, ServerAddr::default()), (2, ServerAddr::default())].into();
    let membership = Membership::new(vec![[1].into()], servers).expect("membership");
    let entries = vec![
        Entry {
            log_id: log_id(2, 1),
            payload: EntryPayload::Membership(membership),
        },
        Entry {
            log_id: log_id(2, 2),
            payload: EntryPayload::Blank,
        },
    ];
    fixture.apply_entries(entries).await.expect("apply");
    fixture.checkpoint().await;
    let stored = fixture.store().reader.membership();
    assert_eq!(stored.log_id(), &Some(log_id(2, 1)));
    fixture.reopen();
    assert_eq!(fixture.store().reader.membership(), stored);
    assert_eq!(fixture.state().applied().0, 2);
    let (meta, _snapshot) = fixture.current().await;
    assert_eq!(meta.last_log_id, Some(log_id(2, 2)));
}
