//! What changes who may acknowledge, or how many have to: whatever was acknowledged by the earlier rule counts
//! until everybody has it.

use super::{begun, done, world};
use crate::failover::world::{Place, Setup, World, service};
use tenure_core::controller::HoldCode;
use tenure_core::{Command, Health, LossPolicy, Millis, NodeId, NodeRef, Policy, PrimaryPolicy};

fn require(world: &mut World, write_acks: u32) {
    let known = world.state.services()[&service()].clone();
    let Policy::Primary(policy) = known.policy else {
        panic!("it has a primary");
    };
    world.must(Command::UpdateService {
        name: known.name.clone(),
        expected: known.modified,
        policy: Policy::Primary(PrimaryPolicy {
            write_acks,
            ..policy
        }),
    });
}

/// With two acknowledgements any one of two replicas has everything; what needed one may be on the other.
#[test]
fn a_higher_number_of_acknowledgements_proves_nothing_about_earlier_writes() {
    let mut world = world(60);
    world.net.cut_both(Place::Node(1), Place::Node(3));
    world.run(Millis(300));
    require(&mut world, 2);
    world.kill_store(1);
    world.kill_store(2);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1, "{}", world.describe());
    assert_eq!(
        world.held().map(|hold| hold.code),
        Some(HoldCode::NotProven)
    );
    done(world);
}

/// Once everybody has what the primary had by then, the new number proves what it says.
#[test]
fn a_higher_number_of_acknowledgements_counts_when_everybody_has_caught_up() {
    let mut world = world(61);
    require(&mut world, 2);
    assert_eq!(world.assignment().in_sync.len(), 1);
    world.run_until(Millis(2_000), World::is_whole);
    world.run(Millis(300));
    world.kill_store(1);
    world.kill_store(2);
    world.run_until(Millis(2_000), |world| world.moved_to(2));
    assert_eq!(world.primary(), 3);
    done(world);
}

/// The one that was removed may have been the only one to acknowledge.
#[test]
fn a_replica_that_is_removed_takes_no_proof_along() {
    let mut world = begun(&Setup::new(62, LossPolicy::Never));
    world.net.cut_both(Place::Node(1), Place::Node(3));
    world.run(Millis(300));
    let removed = world
        .state
        .instance(&service(), NodeId(2))
        .expect("it is there");
    let expected = removed.modified;
    world.must(Command::RemoveInstance {
        service: service(),
        node: NodeRef::Id(NodeId(2)),
        expected,
    });
    world.kill_store(1);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1, "{}", world.describe());
    done(world);
}

/// One that runs and says that it fails, such as a replica whose applier has stopped, is let in by nobody: it would be left
/// out again, over and over, and hold up a failover while it is in. It holds up none, and is let in once it is well.
#[test]
fn one_that_says_that_it_fails_is_let_in_once_it_is_well() {
    let mut world = world(63);
    let counts = |world: &World| world.assignment().acknowledgers().any(|it| it == NodeId(3));
    world.kill_store(3);
    world.run_until(Millis(10_000), |world| !counts(world));
    world.store_mut(3).health = Health::Failing;
    world.restart_store(3);
    for _ in 0..300 {
        world.run(Millis(10));
        assert!(!counts(&world), "{}", world.describe());
    }
    world.kill_store(1);
    world.run_until(Millis(100), |world| world.moved_to(2));
    assert_eq!(world.primary(), 2);
    world.restart_store(1);
    world.store_mut(3).health = Health::Healthy;
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}
