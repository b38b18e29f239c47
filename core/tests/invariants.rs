//! Each invariant is shown to fail: a violation is planted, and found under its number and no other.

use crate::{
    fixture::*,
    plants::{
        ASSIGNMENTS, BOUNDS, DECISIONS, HONEST, THINGS, change, client, edited, instance_of, sql,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tenure_core::{
    Applied, Command, Done, Epoch, Event, Key, LogIndex, Node, NodeId, Outcome, Record, Reject,
    RejectCode, Revision, State, invariants::check_step, limits::IN_SYNC_MAX,
};

/// What differs, as `apply` would report it.
fn difference(before: &State, after: &State) -> (Vec<Event>, Vec<Key>) {
    let rows = |state: &State| -> BTreeMap<Key, Record> {
        state.records().map(|r| (r.key(), r)).collect()
    };
    let (before, after) = (rows(before), rows(after));
    let keys: BTreeSet<Key> = before.keys().chain(after.keys()).cloned().collect();
    let other = keys
        .into_iter()
        .filter(|key| before.get(key) != after.get(key));
    let (seen, unseen): (Vec<Key>, Vec<Key>) = other.partition(Key::is_visible);
    let event = |key: Key| Event {
        after: after.get(&key).cloned(),
        key,
    };
    (seen.into_iter().map(event).collect(), unseen)
}

/// An entry that makes of `before` what `plant` says, and reports it truly.
fn entry(before: &State, plant: impl FnOnce(&mut State)) -> (State, Applied) {
    let mut after = before.clone();
    plant(&mut after);
    let (events, hidden) = difference(before, &after);
    let index = before.applied().next();
    let revision = if events.is_empty() {
        before.revision()
    } else {
        Revision(index.0)
    };
    after.resume_at(index, revision);
    let created = None;
    let outcome = Outcome::Done(Done { revision, created });
    let applied = Applied {
        outcome,
        events,
        hidden,
    };
    (after, applied)
}

fn numbers(before: &State, after: &State, applied: &Applied) -> Vec<u32> {
    let found = check_step(before, after, applied).into_iter();
    let numbers: BTreeSet<u32> = found.map(|violation| violation.number).collect();
    numbers.into_iter().collect()
}

fn planted(before: &State, plant: impl FnOnce(&mut State)) -> Vec<u32> {
    let (after, applied) = entry(before, plant);
    numbers(before, &after, &applied)
}

#[test]
fn an_honest_entry_breaks_nothing() {
    let before = World::small().state;
    assert_eq!(planted(&before, |_| ()), [] as [u32; 0]);
    let honest = |state: &mut State| {
        sql(state, |it| it.reason = note("other"));
        client(state, 1, 1, 1, 3);
    };
    assert_eq!(planted(&before, honest), [] as [u32; 0]);
}

/// The small world, and a service `left` that was removed after a loss.
fn before() -> State {
    let mut world = World::small();
    world.must(add_service("left", bounded()));
    for node in [1, 2] {
        world.must(add_instance("left", node, 100));
    }
    world.must(set_primary("left", 1, 0));
    world.must(Command::SetPrimary {
        service: service("left"),
        to: id(2),
        succeeds: Epoch(1),
        accept_loss: true,
        reason: note(""),
    });
    world.must(Command::RemoveInstance {
        service: service("left"),
        node: id(1),
        expected: world.at_instance("left", 1),
    });
    world.must(Command::RemoveService {
        name: service("left"),
        expected: world.at_service("left"),
    });
    world.state
}

#[test]
fn a_planted_violation_is_found_under_its_number() {
    let before = before();
    let tables = [ASSIGNMENTS, THINGS, BOUNDS, DECISIONS, HONEST];
    for (wanted, label, plant) in tables.into_iter().flatten() {
        assert_eq!(planted(&before, plant), *wanted, "{label}");
    }
}

/// What no single state shows: an entry that is reported falsely, or does not move on.
#[test]
fn a_false_report_of_an_entry_is_found() {
    let before = before();
    let honest = |state: &mut State| {
        sql(state, |it| it.reason = note("other"));
        client(state, 1, 1, 1, 3);
    };
    let (after, truth) = entry(&before, honest);
    let lie = |edit: fn(&mut Applied)| {
        let mut applied = truth.clone();
        edit(&mut applied);
        numbers(&before, &after, &applied)
    };
    assert_eq!(lie(|_| ()), [] as [u32; 0]);
    assert_eq!(lie(|it| it.events.clear()), [10], "an event is missing");
    assert_eq!(lie(|it| it.hidden.clear()), [10], "a client is not named");
    let doubled = lie(|it| it.events.push(it.events[0].clone()));
    assert_eq!(doubled, [10], "an event is told twice");
    let refused = lie(|it| {
        let reject = Reject {
            code: RejectCode::NotFound,
            subject: note("it"),
            expected: None,
            actual: None,
            detail: note(""),
        };
        it.outcome = Outcome::Rejected(reject);
    });
    assert_eq!(refused, [13], "rejected, and changed all the same");
}

#[test]
fn positions_that_do_not_move_as_they_should_are_found() {
    let before = before();
    let (applied, revision) = (before.applied(), before.revision());
    let (_, quiet) = entry(&before, |_| ());
    let moved = |applied: LogIndex, revision: Revision| {
        let mut after = before.clone();
        after.resume_at(applied, revision);
        numbers(&before, &after, &quiet)
    };
    let next = applied.next();
    assert_eq!(moved(next, revision), [] as [u32; 0]);
    assert_eq!(moved(applied, revision), [9], "the entry was not counted");
    assert_eq!(moved(next, Revision(next.0)), [10], "a revision of nothing");
    let ahead = moved(next, Revision(next.0 + 1));
    assert_eq!(ahead, [9, 10], "a revision after the log");
    assert_eq!(moved(next, Revision(1)), [9, 10], "a revision that falls");
}

#[test]
fn an_in_sync_set_over_its_bound_is_found() {
    let most = IN_SYNC_MAX as u64;
    let mut before = World::empty().state;
    let Some(Record::Node(a)) = World::small().state.get(&Key::Node(NodeId(1))) else {
        panic!("node 1 is there");
    };
    let sql = World::small().state;
    for key in [
        Key::Service(service("sql")),
        Key::Assignment(service("sql")),
    ] {
        before.put(sql.get(&key).expect("the small world has it"));
    }
    for id in 1..=most + 1 {
        let name = node_name(&format!("n{id}"));
        let id = NodeId(id);
        before.put(Record::Node(Arc::new(Node {
            id,
            name,
            ..(*a).clone()
        })));
        before.put(instance_of("sql", id.0));
    }
    before.resume_at(LogIndex(1_000), Revision(1_000));
    let set = |state: &mut State, size: u64| {
        change!(state, Assignment, Key::Assignment(service("sql")), |it| {
            it.in_sync = (1..=size).map(NodeId).collect();
        });
    };
    assert_eq!(planted(&before, |state| set(state, most)), [] as [u32; 0]);
    assert_eq!(planted(&before, |state| set(state, most + 1)), [4]);
}

#[test]
fn every_invariant_was_shown_to_fail() {
    let tables = [ASSIGNMENTS, THINGS, BOUNDS, DECISIONS]
        .into_iter()
        .flatten();
    let mut shown: BTreeSet<u32> = tables.flat_map(|(numbers, ..)| *numbers).copied().collect();
    shown.extend([10, 13]);
    assert_eq!(shown, (1..=20).collect());
}
