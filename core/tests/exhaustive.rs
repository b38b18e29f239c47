//! Every sequence of a few commands in a small world: two nodes and one service with a primary.

use crate::{
    fixture::*,
    promotions::{account, heard, nodes},
    walk::claims,
};
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    Cause, Command, Completeness, Epoch, FenceProof, Key, Lifecycle, LossPolicy, Member, NodeId,
    PinKind, Policy, PrimaryPolicy, Revision, Scope, State, invariants,
};

/// Commands in each sequence when every sequence is tried.
const LENGTH: usize = 3;
/// Commands in each sequence when those that lead to the same state are followed once.
const DEPTH: usize = 9;
/// The same, of decisions: each of them makes an epoch, so that hardly any two states are alike.
const DECISIONS_DEPTH: usize = 6;

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

/// What leaders decide, on evidence that fits and that does not, and what operators do meanwhile.
const DECISIONS: &[Letter] = &[
    |state| decided(state, 1, FenceProof::Exited, heard(&[1])),
    |state| decided(state, 2, FenceProof::Exited, heard(&[2])),
    |state| decided(state, 2, FenceProof::Confirmed, Completeness::Equal),
    |state| decided(state, 1, FenceProof::Confirmed, Completeness::Unknown),
    |state| decided(state, 2, FenceProof::Nobody, Completeness::First),
    |state| members(state, &[1], &[2]),
    |state| members(state, &[1, 2], &[]),
    |state| members(state, &[2], &[1]),
    |state| in_sync(state, &[1, 2]),
    |state| promote(state, 2),
    |_| add_instance("db", 1, 100),
    |state| remove_instance(state, 1),
    |state| remove_instance(state, 2),
    |state| join(1, incarnation(state, 1)),
    |state| Command::SetPause {
        scope: Scope::Service(db()),
        expected: state
            .pauses()
            .get(&Scope::Service(db()))
            .map(|it| it.modified),
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
    |_| add_service("db", policy(LossPolicy::Available)),
    |state| {
        Command::Batch(vec![
            decided(state, 2, FenceProof::Exited, heard(&[2])),
            Command::Acknowledge {
                service: db(),
                epoch: Epoch(epoch(state) + 1),
            },
        ])
    },
];

fn incarnation(state: &State, node: u64) -> u64 {
    let node = state.nodes().get(&NodeId(node));
    node.map_or(0, |node| node.incarnation.0)
}

fn decided(state: &State, to: u64, fence: FenceProof, completeness: Completeness) -> Command {
    Command::Promote {
        service: db(),
        to: member(to, incarnation(state, to)),
        succeeds: Epoch(epoch(state)),
        in_sync: nodes(&[to]),
        syncing: nodes(&[3 - to]),
        account: account(Cause::Exited, fence, completeness),
        reason: note(""),
    }
}

fn members(state: &State, in_sync: &[u64], syncing: &[u64]) -> Command {
    Command::SetMembers {
        service: db(),
        epoch: Epoch(epoch(state)),
        expected: at(state, &Key::Assignment(db())),
        in_sync: nodes(in_sync),
        syncing: nodes(syncing),
    }
}

/// What a state says, without when it came to say so.
fn shape(state: &State) -> String {
    let nodes = state.nodes().values();
    let nodes: Vec<_> = nodes.map(|n| (n.id, n.incarnation, n.lifecycle)).collect();
    let services: Vec<_> = state.services().values().map(|s| s.policy).collect();
    let instances: Vec<_> = state.instances(&db()).map(|i| i.node).collect();
    let now = state.assignment(&db());
    let now = now.map(|now| (now.primary, now.epoch, now.loss, &now.in_sync, &now.syncing));
    let pins: Vec<_> = state.pins().keys().collect();
    let pauses: Vec<_> = state.pauses().keys().collect();
    let receipts: Vec<_> = state
        .receipts(&db())
        .map(|it| (it.epoch, it.from, it.to))
        .collect();
    format!("{nodes:?} {services:?} {instances:?} {now:?} {pins:?} {pauses:?} {receipts:?}")
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

/// The same, where every server understands commands of level 2.
fn raised(state: &State) -> State {
    let mut world = World {
        state: state.clone(),
    };
    world.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
    world.state
}

/// Tries every sequence. `holders` says who was primary by which epoch on the way here.
fn explore(
    letters: &[Letter],
    state: &State,
    left: usize,
    holders: &BTreeMap<Epoch, Member>,
) -> usize {
    if left == 0 {
        return 1;
    }
    let mut sequences = 0;
    for letter in letters {
        let (after, _) = apply(state, *letter);
        let mut holders = holders.clone();
        let now = after.assignment(&db());
        if let Some((epoch, primary)) = now.and_then(|now| Some((now.epoch, now.primary?))) {
            let known = *holders.entry(epoch).or_insert(primary);
            assert_eq!(known, primary, "two primaries by epoch {epoch}: {after:?}");
        }
        sequences += explore(letters, &after, left - 1, &holders);
    }
    sequences
}

#[test]
fn every_short_sequence_gives_an_epoch_to_one_primary() {
    let [empty, served] = beginnings();
    let raised = raised(&served);
    for (beginning, letters) in [(empty, LETTERS), (served, LETTERS), (raised, DECISIONS)] {
        let sequences = explore(letters, &beginning, LENGTH, &BTreeMap::new());
        println!("{sequences} sequences of {LENGTH} commands");
        assert_eq!(sequences, letters.len().pow(3));
    }
}

/// Two states of one shape answer every letter alike, as every letter takes its revisions from the state.
/// Follows every state once; says how many there are, how many entries were tried, and rejected.
fn reach(letters: &[Letter], beginnings: Vec<State>, depth: usize) -> (usize, usize, usize) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut frontier = beginnings;
    let (mut entries, mut rejected) = (0_usize, 0_usize);
    for step in 0..=depth {
        frontier.retain(|state| seen.insert(shape(state)));
        println!("{} states after {step} commands", seen.len());
        if step == depth {
            break;
        }
        let mut next = Vec::new();
        for (state, letter) in frontier
            .iter()
            .flat_map(|s| letters.iter().map(move |l| (s, l)))
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
    (seen.len(), entries, rejected)
}

#[test]
fn every_state_within_reach_keeps_the_invariants() {
    let (states, entries, rejected) = reach(LETTERS, beginnings().into(), DEPTH);
    assert!(states > 1_000, "so few states show little: {states}");
    assert!(rejected > 0 && rejected < entries);
}

#[test]
fn every_state_that_decisions_reach_keeps_the_invariants() {
    let [_, served] = beginnings();
    let (states, entries, rejected) = reach(DECISIONS, vec![raised(&served)], DECISIONS_DEPTH);
    assert!(states > 1_000, "so few states show little: {states}");
    assert!(rejected > 0 && rejected < entries);
}
