//! Every sequence of a few commands in a small world: two nodes and one service with a primary.

use crate::{fixture::*, walk::claims};
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    Command, Epoch, Key, Lifecycle, LossPolicy, Member, NodeId, PinKind, Policy, PrimaryPolicy,
    Revision, State, invariants,
};

/// Commands in each sequence when every sequence is tried.
const LENGTH: usize = 3;
/// Commands in each sequence when those that lead to the same state are followed once.
const DEPTH: usize = 9;

/// A command as whoever knows the state would send it; a stale one knows an earlier state.
type Letter = fn(&State) -> Command;

fn at(state: &State, key: &Key) -> Revision {
    let world = World {
        state: state.clone(),
    };
    match state.get(key) {
        Some(_) => world.at(key),
        None => Revision(0),
    }
}

fn db() -> tenure_core::ServiceName {
    service("db")
}

fn of_node(state: &State, node: u64) -> Revision {
    at(state, &Key::Node(NodeId(node)))
}

fn epoch(state: &State) -> u64 {
    state.assignment(&db()).map_or(0, |now| now.epoch.0)
}

fn promote(state: &State, node: u64) -> Command {
    Command::SetPrimary {
        service: db(),
        to: id(node),
        succeeds: Epoch(epoch(state)),
        accept_loss: true,
        reason: note(""),
    }
}

fn in_sync(state: &State, nodes: &[u64]) -> Command {
    let known = at(state, &Key::Assignment(db()));
    set_in_sync("db", epoch(state), known, nodes)
}

fn remove_instance(state: &State, node: u64) -> Command {
    Command::RemoveInstance {
        service: db(),
        node: id(node),
        expected: at(state, &Key::Instance(db(), NodeId(node))),
    }
}

fn policy(loss: LossPolicy) -> Policy {
    Policy::Primary(PrimaryPolicy {
        loss,
        ..PrimaryPolicy::default()
    })
}

const LETTERS: &[Letter] = &[
    |_| add_node("a"),
    |_| add_service("db", policy(LossPolicy::Available)),
    |_| add_instance("db", 1, 100),
    |_| add_instance("db", 2, 100),
    |state| promote(state, 1),
    |state| promote(state, 2),
    |_| set_primary("db", 2, 1),
    |state| in_sync(state, &[1]),
    |state| in_sync(state, &[1, 2]),
    |state| remove_instance(state, 1),
    |state| remove_instance(state, 2),
    |state| remove_node(1, of_node(state, 1)),
    |_| join(1, 0),
    |state| set_lifecycle(2, of_node(state, 2), Lifecycle::Maintenance),
    |state| Command::SetPin {
        node: id(1),
        expected: state.pins().get(&NodeId(1)).map(|pin| pin.modified),
        kind: PinKind::Down,
        until: None,
        reason: note(""),
    },
    |state| Command::UpdateService {
        name: db(),
        expected: at(state, &Key::Service(db())),
        policy: policy(LossPolicy::Never),
    },
    |state| Command::RemoveService {
        name: db(),
        expected: at(state, &Key::Service(db())),
    },
    |state| {
        Command::Batch(vec![
            remove_node(1, of_node(state, 1)),
            add_node("a"),
            join(1, 9),
        ])
    },
];

/// What a state says, without when it came to say so.
fn shape(state: &State) -> String {
    let nodes = state.nodes().values();
    let nodes: Vec<_> = nodes.map(|n| (n.id, n.incarnation, n.lifecycle)).collect();
    let services: Vec<_> = state.services().values().map(|s| s.policy).collect();
    let instances: Vec<_> = state.instances(&db()).map(|i| i.node).collect();
    let now = state.assignment(&db());
    let now = now.map(|now| (now.primary, now.epoch, now.loss, &now.in_sync));
    let pins: Vec<_> = state.pins().keys().collect();
    format!("{nodes:?} {services:?} {instances:?} {now:?} {pins:?}")
}

/// Applies a letter and checks what came of it. Says whether it was rejected.
fn apply(state: &State, letter: Letter) -> (State, bool) {
    let mut after = state.clone();
    let envelope = envelope(None, letter(state));
    let applied = after.apply(state.applied().next(), &envelope);
    let broken = invariants::check_step(state, &after, &applied);
    assert_eq!(broken, [], "{envelope:?} on {state:?}");
    claims::check(state, &after, &envelope, &applied, "exhaustive");
    (after, applied.outcome.into_result().is_err())
}

/// Nothing; and two nodes with an instance each, of which the first is primary.
fn beginnings() -> [State; 2] {
    let mut world = World::empty();
    world.must(add_node("a"));
    world.must(add_node("b"));
    world.must(add_service("db", policy(LossPolicy::Available)));
    world.must(add_instance("db", 1, 100));
    world.must(add_instance("db", 2, 100));
    world.must(set_primary("db", 1, 0));
    [World::empty().state, world.state]
}

/// Tries every sequence. `holders` says who was primary by which epoch on the way here.
fn explore(state: &State, left: usize, holders: &BTreeMap<Epoch, Member>) -> usize {
    if left == 0 {
        return 1;
    }
    let mut sequences = 0;
    for letter in LETTERS {
        let (after, _) = apply(state, *letter);
        let mut holders = holders.clone();
        let now = after.assignment(&db());
        if let Some((epoch, primary)) = now.and_then(|now| Some((now.epoch, now.primary?))) {
            let known = *holders.entry(epoch).or_insert(primary);
            assert_eq!(known, primary, "two primaries by epoch {epoch}: {after:?}");
        }
        sequences += explore(&after, left - 1, &holders);
    }
    sequences
}

#[test]
fn every_short_sequence_gives_an_epoch_to_one_primary() {
    for beginning in beginnings() {
        let sequences = explore(&beginning, LENGTH, &BTreeMap::new());
        println!("{sequences} sequences of {LENGTH} commands");
        assert_eq!(sequences, LETTERS.len().pow(3));
    }
}

/// Two states of one shape answer every letter alike, as every letter takes its revisions from the state.
#[test]
fn every_state_within_reach_keeps_the_invariants() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut frontier: Vec<State> = beginnings().into();
    let (mut entries, mut rejected) = (0_usize, 0_usize);
    for depth in 0..=DEPTH {
        frontier.retain(|state| seen.insert(shape(state)));
        println!("{} states after {depth} commands", seen.len());
        if depth == DEPTH {
            break;
        }
        let mut next = Vec::new();
        for (state, letter) in frontier
            .iter()
            .flat_map(|s| LETTERS.iter().map(move |l| (s, l)))
        {
            let (after, refused) = apply(state, *letter);
            entries += 1;
            rejected += usize::from(refused);
            if !refused {
                next.push(after);
            }
        }
        frontier = next;
    }
    println!("{entries} entries, {rejected} of them rejected");
    assert!(
        seen.len() > 1_000,
        "so few states show little: {}",
        seen.len()
    );
    assert!(rejected > 0 && rejected < entries);
}
