//! What operators ask for, and what they forbid.

use super::{done, note, pin, seamless, world};
use crate::failover::world::{Place, Setup, World, policy};
use tenure_core::{
    Cause, Command, Completeness, Epoch, FenceProof, Lifecycle, LossPolicy, Millis, NodeId,
    NodeRef, PinKind, Policy, PrimaryPolicy, agent::Input, controller::HoldCode,
};

fn hold_code(world: &World) -> Option<HoldCode> {
    world.held().map(|hold| hold.code)
}

#[test]
fn a_switchover_moves_the_primary_and_fails_no_write() {
    let mut world = world(15);
    let ask = world.switchover(Some(3));
    let took = world.run_until(Millis(200), |world| world.moved_to(2));
    println!(
        "switchover: {took}, longest gap {}",
        world.checks.longest_gap
    );
    assert_eq!(world.primary(), 3);
    assert!(world.answers[&ask].is_ok());
    assert_eq!(world.receipt().account.completeness, Completeness::Equal);
    world.run_until(Millis(3_000), World::is_whole);
    let gap = world.checks.longest_gap;
    assert!(gap <= Millis(50), "{gap}");
    done(world);
}

#[test]
fn a_switchover_is_taken_back_when_the_candidate_stalls() {
    let mut world = world(16);
    let ask = world.switchover(Some(2));
    world.stall_node(2, Millis(1_900));
    let hold = world.answer(ask, Millis(1_500)).unwrap_err();
    assert_eq!(hold.code, HoldCode::Aborted, "{hold}");
    world.run(Millis(200));
    assert!(world.moved_to(1));
    done(world);
}

#[test]
fn a_switchover_to_who_cannot_take_over_is_refused_with_the_reason() {
    let mut world = world(20);
    let mut refused = |to: Option<u64>| {
        let ask = world.switchover(to);
        world.answer(ask, Millis(10)).unwrap_err().to_string()
    };
    let itself = refused(Some(1));
    assert!(itself.contains("n1 has no other instance"), "{itself}");
    let unknown = refused(Some(9));
    assert!(unknown.contains("there is no node 9"), "{unknown}");
    seamless(&world);
    done(world);
}

#[test]
fn one_change_at_a_time() {
    let mut world = world(21);
    let first = world.switchover(Some(2));
    let second = world.switchover(Some(3));
    let hold = world.answer(second, Millis(10)).unwrap_err();
    assert_eq!(hold.code, HoldCode::Busy, "{hold}");
    assert_eq!(world.answer(first, Millis(300)).unwrap().to, NodeId(2));
    done(world);
}

#[test]
fn a_node_that_leaves_hands_over_first() {
    let mut world = world(18);
    world.tell_agent(1, Input::Leave);
    let left = |world: &World| world.notes.iter().any(|it| it.ends_with("n1 left"));
    world.run_until(Millis(500), |world| left(world) && world.moved_to(2));
    assert_eq!(world.cause(), Cause::Drain);
    done(world);
}

#[test]
fn a_node_that_is_drained_or_maintained_hands_over_and_is_given_nothing() {
    for lifecycle in [Lifecycle::Draining, Lifecycle::Maintenance] {
        let mut world = world(22);
        world.must(set_lifecycle(&world, Lifecycle::Draining));
        world.run_until(Millis(500), |world| world.moved_to(2));
        assert_eq!(world.cause(), Cause::Drain);
        let gap = world.checks.longest_gap;
        assert!(gap <= Millis(50), "{gap}");
        if lifecycle != Lifecycle::Draining {
            world.must(set_lifecycle(&world, lifecycle));
        }
        // The others die: it is not turned to, though it is complete.
        let (second, third) = (world.primary(), 5 - world.primary());
        world.run_until(Millis(2_000), World::is_whole);
        world.kill_store(third);
        world.kill_store(second);
        world.run(Millis(1_000));
        assert_eq!(world.epoch(), 2);
        let held = world.held().unwrap().to_string();
        assert!(
            held.contains(&format!("n1: its node is {lifecycle}")),
            "{held}"
        );
    }
}

fn set_lifecycle(world: &World, to: Lifecycle) -> Command {
    Command::SetLifecycle {
        node: NodeRef::Id(NodeId(1)),
        expected: world.revision_of(1),
        to,
        reason: note("new disks"),
        accept_loss: false,
    }
}

#[test]
fn two_failovers_in_quick_succession_lose_nothing() {
    let mut world = world(29);
    world.kill_store(1);
    world.run_until(Millis(100), |world| world.moved_to(2));
    let second = world.primary();
    world.restart_store(1);
    world.run_until(Millis(3_000), World::is_whole);
    world.kill_store(second);
    world.run_until(Millis(100), |world| world.moved_to(3));
    done(world);
}

/// Nobody follows the second primary yet when it dies, so nothing can have been acknowledged by it.
#[test]
fn a_primary_that_dies_before_anybody_follows_it_is_replaced() {
    let mut world = world(30);
    world.kill_store(1);
    world.run_until(Millis(100), |world| world.epoch() == 2);
    let second = world.primary();
    world.run_until(Millis(20), |world| world.store(second).writable);
    world.kill_store(second);
    world.run_until(Millis(1_000), |world| world.moved_to(3));
    let completeness = world.receipt().account.completeness;
    assert!(completeness.is_lossless(), "{completeness}");
    done(world);
}

#[test]
fn an_operator_replaces_a_primary_that_is_held() {
    let mut world = world(31);
    let ask = world.failover(Some(3), false, false);
    let moved = world.answer(ask, Millis(500)).unwrap();
    assert_eq!((moved.to, moved.epoch), (NodeId(3), Epoch(2)));
    let receipt = world.receipt();
    assert_eq!(receipt.account.cause, Cause::Operator);
    assert_eq!(receipt.account.fence, FenceProof::Confirmed);
    world.run_until(Millis(2_000), World::is_whole);
    done(world);
}

#[test]
fn an_operator_is_refused_before_anybody_is_fenced() {
    let mut world = world(32);
    let itself = world.failover(Some(1), false, false);
    let hold = world.answer(itself, Millis(10)).unwrap_err();
    assert_eq!(
        (hold.code, hold.why.as_str()),
        (HoldCode::NotThatOne, "n1 is the primary")
    );
    world.must(pin(2, PinKind::Down));
    let pinned = world.failover(Some(2), false, false);
    let hold = world.answer(pinned, Millis(10)).unwrap_err();
    assert_eq!(hold.why, "n2: its node is pinned down: bad fan");
    seamless(&world);
    done(world);
}

/// A node that is off, with a replica that went with it: nobody can say that it pledges nothing.
#[test]
fn an_operator_vouches_for_a_node_that_is_off() {
    let two = PrimaryPolicy {
        replicas: 1,
        loss: LossPolicy::Available,
        ..policy(LossPolicy::Never)
    };
    let mut world = World::new(&Setup::of(33, 3, two));
    world.run_until(Millis(3_000), World::is_whole);
    world.writing = true;
    world.kill_store(3);
    world.run_until(Millis(10_000), |world| {
        world.assignment().in_sync.len() == 2
    });
    world.power_off(2);
    world.power_off(1);
    world.restart_store(3);
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1);
    assert_eq!(
        hold_code(&world),
        Some(HoldCode::NotFenced),
        "{}",
        world.describe()
    );
    let ask = world.failover(Some(3), true, false);
    let hold = world.answer(ask, Millis(5_000)).unwrap_err();
    assert_eq!(hold.code, HoldCode::NotFenced, "{hold}");
    let ask = world.failover(Some(3), true, true);
    assert_eq!(world.answer(ask, Millis(5_000)).unwrap().epoch, Epoch(2));
    assert_eq!(world.receipt().account.fence, FenceProof::Operator);
    assert!(world.assignment().loss.0 == 1, "it was not in sync");
    world.run_until(Millis(500), World::serves);
    assert_eq!(world.checks.broken, Vec::<String>::new());
}

/// An operator who is wrong costs a lease: the successor is granted nothing while the old primary may
/// hold, though its driver takes its time to fence it.
#[test]
fn an_operator_who_vouches_wrongly_makes_no_second_primary() {
    let mut world = world(34);
    for server in 1..=3 {
        world.net.cut(Place::Server(server), Place::Node(1));
    }
    let ask = world.failover(Some(2), false, true);
    assert_eq!(world.answer(ask, Millis(100)).unwrap().epoch, Epoch(2));
    assert_eq!(world.believes(1, 0), Some(Epoch(1)));
    let took = world.run_until(Millis(2_000), |world| world.moved_to(2));
    assert!(took > Millis(700), "{took}");
    world.mend();
    done(world);
}

#[test]
fn the_first_primary_is_named_by_an_operator() {
    let setup = Setup::new(35, LossPolicy::Never).unassigned();
    let mut world = World::new(&setup);
    world.run(Millis(500));
    assert_eq!(hold_code(&world), Some(HoldCode::NoPrimary));
    let nameless = world.failover(None, false, false);
    let hold = world.answer(nameless, Millis(10)).unwrap_err();
    assert_eq!(hold.code, HoldCode::NoPrimary, "{hold}");
    let ask = world.failover(Some(2), false, false);
    assert_eq!(world.answer(ask, Millis(100)).unwrap().to, NodeId(2));
    world.run_until(Millis(3_000), World::is_whole);
    let account = world.receipt().account;
    assert_eq!(account.fence, FenceProof::Nobody);
    assert_eq!(account.completeness, Completeness::First);
    assert!(matches!(
        world.state.services()[&world.services[0]].policy,
        Policy::Primary(_)
    ));
    done(world);
}
