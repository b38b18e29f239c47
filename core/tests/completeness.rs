//! What proves that nothing acknowledged is missing: the rule of the assignment against every way in
//! which a write can have been acknowledged.

use crate::{
    fixture::*,
    promotions::{account, heard, nodes},
};
use std::collections::BTreeSet;
use tenure_core::{
    Assignment, Cause, Command, Completeness, Epoch, FenceProof, LossPolicy, NodeId, Outcome,
    Policy, PrimaryPolicy, Revision,
};

fn subsets(of: &BTreeSet<NodeId>) -> Vec<BTreeSet<NodeId>> {
    let mut all = vec![BTreeSet::new()];
    for node in of {
        let with: Vec<_> = all
            .iter()
            .map(|set: &BTreeSet<NodeId>| set.iter().copied().chain([*node]).collect())
            .collect();
        all.extend(with);
    }
    all
}

fn assignment(in_sync: &BTreeSet<NodeId>, syncing: &BTreeSet<NodeId>) -> Assignment {
    Assignment {
        primary: Some(member(1, 1)),
        epoch: Epoch(1),
        in_sync: in_sync.iter().copied().chain([NodeId(1)]).collect(),
        syncing: syncing.clone(),
        ..Assignment::vacant(service("sql"), Revision(1))
    }
}

/// A write that was acknowledged before the in-sync set was stated is on all of it; one that was since
/// is on some of those who may acknowledge, as many as are asked for. Is each on somebody heard from?
fn is_covered(now: &Assignment, heard: &BTreeSet<NodeId>, write_acks: usize) -> bool {
    let others: BTreeSet<NodeId> = now.acknowledgers().collect();
    let older = now
        .in_sync
        .iter()
        .any(|node| *node != NodeId(1) && heard.contains(node));
    let newer = subsets(&others)
        .into_iter()
        .filter(|holders| holders.len() == write_acks)
        .all(|holders| !holders.is_disjoint(heard));
    older && newer
}

#[test]
fn proven_is_what_no_acknowledged_write_can_escape() {
    let others = nodes(&[2, 3, 4, 5]);
    let (mut proven, mut cases) = (0, 0);
    for in_sync in subsets(&others) {
        for syncing in subsets(&others.difference(&in_sync).copied().collect()) {
            let now = assignment(&in_sync, &syncing);
            for heard in subsets(&others) {
                for write_acks in 0..=4 {
                    let is = now.proves_complete(&heard, write_acks);
                    let acks = usize::try_from(write_acks).unwrap();
                    assert_eq!(
                        is,
                        is_covered(&now, &heard, acks),
                        "{now:?} {heard:?} {acks}"
                    );
                    cases += 1;
                    proven += u32::from(is);
                }
            }
        }
    }
    println!("{cases} cases, {proven} of them proven");
    assert!(proven > 100 && proven < cases / 2);
}

#[test]
fn what_the_old_primary_says_of_itself_proves_nothing() {
    let now = assignment(&nodes(&[2]), &nodes(&[]));
    assert!(!now.proves_complete(&nodes(&[1]), 1));
    assert!(now.proves_complete(&nodes(&[1, 2]), 1));
}

/// `db` on a to d, of which a is primary.
fn world(write_acks: u32, in_sync: &[u64], syncing: &[u64]) -> World {
    let mut world = World::empty();
    world.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
    let policy = PrimaryPolicy {
        loss: LossPolicy::Never,
        replicas: 3,
        write_acks,
        ..PrimaryPolicy::default()
    };
    world.must(add_service("db", Policy::Primary(policy)));
    for (node, name) in (1..).zip(["a", "b", "c", "d"]) {
        world.must(add_node(name));
        world.must(join(node, 0));
        world.must(add_instance("db", node, 100));
    }
    world.must(set_primary("db", 1, 0));
    let expected = world.at_assignment("db");
    world.must(Command::SetMembers {
        service: service("db"),
        epoch: Epoch(1),
        expected,
        in_sync: nodes(in_sync),
        syncing: nodes(syncing),
    });
    world
}

fn takes_over(mut world: World, of: &[u64]) -> bool {
    let to = of.first().copied().unwrap_or(2);
    let command = Command::Promote {
        service: service("db"),
        to: member(to, 1),
        succeeds: Epoch(1),
        in_sync: nodes(&[to]),
        syncing: nodes(&[]),
        account: account(Cause::Exited, FenceProof::Exited, heard(of)),
        reason: note(""),
    };
    matches!(world.apply(command).outcome, Outcome::Done(_))
}

/// Promise 3, under `never`: who acknowledges, in sync and syncing; of whom was heard; what is decided.
#[test]
fn apply_counts_who_was_heard_from() {
    type Case = (u32, &'static [u64], &'static [u64], &'static [u64], bool);
    let cases: [Case; 17] = [
        (0, &[1, 2, 3], &[], &[2, 3], false),
        (1, &[1, 2], &[], &[2], true),
        (1, &[1, 2, 3], &[], &[2], false),
        (1, &[1, 2, 3], &[], &[2, 3], true),
        (1, &[1, 2], &[3], &[2], false),
        (1, &[1, 2], &[3], &[2, 3], true),
        (1, &[1], &[2, 3], &[2, 3], false),
        (1, &[1], &[], &[2, 3, 4], false),
        (1, &[1, 2, 3], &[], &[2, 4], false),
        (2, &[1, 2, 3], &[], &[2], true),
        (2, &[1, 2, 3, 4], &[], &[2], false),
        (2, &[1, 2, 3, 4], &[], &[2, 3], true),
        (2, &[1, 2], &[3, 4], &[2, 3], true),
        (2, &[1, 2], &[3, 4], &[3, 4], false),
        (2, &[1, 2, 3], &[4], &[4, 3], true),
        (3, &[1, 2, 3, 4], &[], &[4], true),
        (3, &[1, 2], &[3, 4], &[4], false),
    ];
    for (write_acks, in_sync, syncing, heard, wanted) in cases {
        let decided = takes_over(world(write_acks, in_sync, syncing), heard);
        let case = format!("{write_acks} acks, {in_sync:?} and {syncing:?}, heard {heard:?}");
        assert_eq!(decided, wanted, "{case}");
    }
}

#[test]
fn what_is_lossless_and_what_is_not() {
    let lossless = [Completeness::First, Completeness::Equal, heard(&[2])];
    assert!(lossless.iter().all(Completeness::is_lossless));
    let lossy = [Completeness::Bounded { lacks: 0 }, Completeness::Unknown];
    assert!(!lossy.iter().any(Completeness::is_lossless));
}
