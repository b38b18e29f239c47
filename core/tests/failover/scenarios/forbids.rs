//! What operators forbid: pins, pauses, and the window after a failover.

use super::{begun, done, note, pin, world};
use crate::failover::world::{Setup, World, policy, service};
use tenure_core::{
    Command, Epoch, LossPolicy, Millis, NodeId, PinKind, PrimaryPolicy, Scope, controller::HoldCode,
};

fn hold_code(world: &World) -> Option<HoldCode> {
    world.held().map(|hold| hold.code)
}

#[test]
fn a_node_that_is_pinned_down_is_passed_over() {
    let mut world = world(23);
    world.must(pin(2, PinKind::Down));
    world.run(Millis(100));
    world.kill_store(1);
    world.run_until(Millis(100), |world| world.moved_to(2));
    assert_eq!(world.primary(), 3, "n2 comes first by its name");
    let receipt = world.receipt();
    let second = receipt
        .account
        .considered
        .iter()
        .find(|it| it.node == NodeId(2));
    let verdict = second.unwrap().verdict.as_str();
    assert_eq!(verdict, "its node is pinned down: bad fan");
    done(world);
}

#[test]
fn nothing_is_taken_from_a_node_that_is_pinned_up() {
    let mut world = world(24);
    world.must(pin(1, PinKind::Up));
    world.kill_store(1);
    world.run(Millis(2_000));
    assert_eq!(world.epoch(), 1);
    assert_eq!(hold_code(&world), Some(HoldCode::Pinned));
    // An operator may.
    let ask = world.failover(None, false, false);
    assert_eq!(world.answer(ask, Millis(500)).unwrap().epoch, Epoch(2));
    done(world);
}

#[test]
fn a_pin_that_is_over_counts_no_more() {
    let mut world = world(25);
    let until = Some(tenure_core::Timestamp(world.wall().0 + 1_000));
    let Command::SetPin {
        node,
        expected,
        kind,
        reason,
        ..
    } = pin(1, PinKind::Up)
    else {
        unreachable!("it is a pin");
    };
    world.must(Command::SetPin {
        node,
        expected,
        kind,
        until,
        reason,
    });
    world.kill_store(1);
    world.run(Millis(900));
    assert_eq!(world.epoch(), 1);
    world.run_until(Millis(700), |world| world.moved_to(2));
    done(world);
}

#[test]
fn nothing_happens_by_itself_while_automation_is_paused() {
    for scope in [
        Scope::Cluster,
        Scope::Service(service()),
        Scope::Node(NodeId(1)),
    ] {
        let mut world = world(26);
        world.must(Command::SetPause {
            scope: scope.clone(),
            expected: None,
            until: None,
            reason: note("a test"),
        });
        world.kill_store(1);
        world.run(Millis(2_000));
        assert_eq!(world.epoch(), 1, "{scope}");
        let held = world.held().unwrap();
        assert_eq!(held.code, HoldCode::Paused, "{held}");
        assert!(
            held.why.starts_with(&format!("for {scope}: a test")),
            "{held}"
        );
        let expected = world.state.pauses()[&scope].modified;
        world.must(Command::RemovePause { scope, expected });
        world.run_until(Millis(700), |world| world.moved_to(2));
        done(world);
    }
}

#[test]
fn a_node_that_automation_is_paused_for_is_given_nothing() {
    let mut world = world(27);
    world.must(Command::SetPause {
        scope: Scope::Node(NodeId(2)),
        expected: None,
        until: None,
        reason: note("a test"),
    });
    world.kill_store(1);
    world.run_until(Millis(100), |world| world.moved_to(2));
    assert_eq!(world.primary(), 3);
    done(world);
}

#[test]
fn a_second_failover_waits_for_the_window_or_for_an_operator() {
    let careful = PrimaryPolicy {
        anti_flap_ms: Millis(60_000),
        ..policy(LossPolicy::Never)
    };
    for acknowledged in [true, false] {
        let mut world = begun(&Setup::of(28, 3, careful));
        world.kill_store(1);
        world.run_until(Millis(100), |world| world.moved_to(2));
        world.restart_store(1);
        world.run_until(Millis(3_000), World::is_whole);
        world.kill_store(2);
        world.run(Millis(5_000));
        assert_eq!(world.epoch(), 2);
        let held = world.held().unwrap();
        assert_eq!(held.code, HoldCode::AntiFlap, "{held}");
        assert!(held.why.contains("tenure ack redis-server"), "{held}");
        if acknowledged {
            world.must(Command::Acknowledge {
                service: world.services[0].clone(),
                epoch: Epoch(2),
            });
            world.run_until(Millis(700), |world| world.moved_to(3));
        } else {
            world.run(Millis(50_000));
            assert_eq!(world.epoch(), 2);
            world.run_until(Millis(6_000), |world| world.moved_to(3));
        }
        done(world);
    }
}
