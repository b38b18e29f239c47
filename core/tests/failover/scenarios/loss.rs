//! Policies that allow loss: what is moved all the same, and what the receipt says of it.

use super::begun;
use crate::failover::world::{Place, Setup, World};
use tenure_core::{Completeness, LossPolicy, Millis, NodeId, controller::HoldCode};

/// The primary and the replica that had everything are lost; the other lags behind.
fn behind(loss: LossPolicy, seed: u64) -> World {
    let mut world = begun(&Setup::new(seed, loss));
    world.net.cut_both(Place::Node(1), Place::Node(3));
    world.run(Millis(1_000));
    world.power_off(1);
    world.power_off(2);
    world.mend();
    world
}

/// How many acknowledged writes are not with the primary.
fn lost(world: &World) -> u64 {
    world.lost().len() as u64
}

#[test]
fn never_holds_what_is_not_proven() {
    let mut world = behind(LossPolicy::Never, 60);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    let held = world.held().unwrap();
    assert_eq!(held.code, HoldCode::NotProven, "{held}");
    assert!(held.why.contains("missing: n2"), "{held}");
    // While nothing changes nobody is asked again, and nothing is written down.
    let committed = world.committed();
    world.run(Millis(20_000));
    assert_eq!(world.committed(), committed);
    assert_eq!(world.held(), Some(held));
}

#[test]
fn a_bound_is_kept_and_the_receipt_says_how_much() {
    let mut world = behind(LossPolicy::Bounded(1_000), 61);
    world.run_until(Millis(3_000), |world| world.moved_to(2));
    assert_eq!(world.primary(), 3);
    let Completeness::Bounded { lacks } = world.receipt().account.completeness else {
        panic!("{:?}", world.receipt());
    };
    // What was written after what the old primary's last heartbeat said is in nobody's count.
    let unreported = (100 + 40) / 5 + 2;
    let really = lost(&world);
    assert!(
        really > 100 && really <= lacks + unreported,
        "{really} of {lacks}"
    );
    assert_eq!(world.assignment().loss.0, 1);
    assert_eq!(world.assignment().in_sync, [NodeId(3)].into());
    assert_eq!(world.checks.broken, Vec::<String>::new());
}

#[test]
fn over_the_bound_it_is_held() {
    let mut world = behind(LossPolicy::Bounded(50), 62);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    assert_eq!(world.held().unwrap().code, HoldCode::NotProven);
}

#[test]
fn what_the_old_primary_had_is_unknown_to_a_new_leader() {
    for (loss, moves) in [
        (LossPolicy::Bounded(1_000_000), false),
        (LossPolicy::Available, true),
    ] {
        let mut world = behind(loss, 63);
        world.kill_server(1);
        let moved = world.comes(Millis(6_000), |world| world.moved_to(2));
        assert_eq!(moved, moves, "{loss}\n{}", world.describe());
        if moved {
            assert_eq!(world.receipt().account.completeness, Completeness::Unknown);
            assert_eq!(world.assignment().loss.0, 1);
        }
    }
}

#[test]
fn what_can_be_proven_is_lossless_under_every_policy() {
    for loss in [
        LossPolicy::Never,
        LossPolicy::Bounded(5),
        LossPolicy::Available,
    ] {
        let mut world = begun(&Setup::new(64, loss));
        world.kill_store(1);
        world.run_until(Millis(100), |world| world.moved_to(2));
        let completeness = world.receipt().account.completeness;
        assert!(completeness.is_lossless(), "{loss}: {completeness}");
        assert_eq!(world.assignment().loss.0, 0);
        assert_eq!(lost(&world), 0);
    }
}

/// The most advanced is taken, not the most preferred.
#[test]
fn data_come_before_preference() {
    let mut setup = Setup::new(65, LossPolicy::Available);
    setup.services[0].2 = vec![(1, 100), (2, 10), (3, 1_000)];
    let mut world = begun(&setup);
    world.net.cut_both(Place::Node(1), Place::Node(3));
    world.run(Millis(500));
    world.mend();
    world.kill_store(1);
    world.run_until(Millis(500), |world| world.moved_to(2));
    assert_eq!(world.primary(), 2);
    assert_eq!(lost(&world), 0);
}

/// A process that was started anew with nothing, as Redis without its file would be, does not wipe the
/// replicas, also where loss is allowed.
#[test]
fn a_primary_that_comes_back_empty_does_not_wipe_the_others() {
    for loss in [
        LossPolicy::Never,
        LossPolicy::Bounded(5),
        LossPolicy::Available,
    ] {
        let mut world = begun(&Setup::new(66, loss));
        world.store_mut(1).restart(usize::MAX);
        world.run_until(Millis(1_000), |world| world.moved_to(2));
        world.run_until(Millis(3_000), World::is_whole);
        assert_eq!(lost(&world), 0, "{loss}");
        assert_eq!(world.checks.broken, Vec::<String>::new());
    }
}

/// Alone, with loss allowed, it goes on with what it has.
#[test]
fn a_primary_that_comes_back_with_less_goes_on_when_nobody_has_more() {
    let mut world = begun(&Setup::new(67, LossPolicy::Available));
    world.power_off(2);
    world.power_off(3);
    world.run(Millis(500));
    world.restart_store(1);
    world.run_until(Millis(3_000), World::serves);
    assert_eq!(world.primary(), 1);
    assert_eq!(world.checks.broken, Vec::<String>::new());
}
