//! What comes back: agents, processes, machines.

use super::{done, seamless, world};
use crate::failover::{
    store::Process,
    world::{Place, Setup, World, policy},
};
use tenure_core::controller::HoldCode;
use tenure_core::{Cause, FenceProof, LossPolicy, Millis, PrimaryPolicy};

/// Its lease ended while nobody was there to fence: that is the first thing that the new agent does.
#[test]
fn an_agent_that_is_started_after_its_lease_is_over_fences_first() {
    let mut world = world(90);
    world.kill_agent(1);
    world.run(Millis(3_000));
    assert!(
        world.store(1).takes_writes(world.now),
        "nobody has fenced it"
    );
    world.start_agent(1);
    world.run_until(Millis(5), |world| world.store(1).fenced);
    assert_eq!(world.believes(1, 0), None);
    world.run_until(Millis(500), |world| world.moved_to(1));
    done(world);
}

/// The same, cut off from everybody: it stays fenced.
#[test]
fn an_agent_that_is_started_in_the_dark_does_not_serve() {
    let mut world = world(91);
    world.kill_agent(1);
    world.isolate(1);
    world.run_until(Millis(3_000), |world| world.moved_to(2));
    world.start_agent(1);
    world.run_until(Millis(5), |world| world.store(1).fenced);
    world.run(Millis(5_000));
    assert!(!world.store(1).takes_writes(world.now));
    world.mend();
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

/// Stopped in the middle of anything that it did, it finds its way.
#[test]
fn an_agent_may_be_killed_at_any_moment() {
    for after in 0..60 {
        let mut world = world(100 + after);
        world.switchover(Some(2));
        world.run(Millis(after / 4));
        for node in [1, 2] {
            world.kill_agent(node);
        }
        world.run(Millis(20));
        for node in [1, 2] {
            world.start_agent(node);
        }
        world.run_until(Millis(5_000), World::is_whole);
        done(world);
    }
}

#[test]
fn a_machine_that_is_rebooted_at_once_is_replaced_at_once() {
    let mut world = world(92);
    world.power_off(1);
    world.run(Millis(300));
    world.power_on(1).unwrap();
    let took = world.run_until(Millis(200), |world| world.moved_to(2));
    println!("rebooted to serving: {took}");
    let account = world.receipt().account;
    assert_eq!(
        (account.cause, account.fence),
        (Cause::Exited, FenceProof::Exited)
    );
    let evidence = account.evidence[0].as_str();
    assert!(
        evidence.contains("incarnation 2, and was primary in 1"),
        "{evidence}"
    );
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

/// It has no other: what came back with its machine is taken where loss is allowed, and held where it is not.
#[test]
fn the_only_instance_serves_again_after_its_machine_was_rebooted() {
    for (loss, serves) in [(LossPolicy::Available, true), (LossPolicy::Never, false)] {
        let policy = PrimaryPolicy {
            write_acks: 0,
            ..policy(loss)
        };
        let mut world = World::new(&Setup::of(94, 1, policy));
        world.run_until(Millis(3_000), |world| world.moved_to(1));
        world.power_off(1);
        world.run(Millis(3_000));
        world.power_on(1).unwrap();
        assert_eq!(
            world.comes(Millis(5_000), |world| world.moved_to(2)),
            serves,
            "{}",
            world.describe()
        );
        if !serves {
            assert_eq!(world.held().map(|it| it.code), Some(HoldCode::NotProven));
        }
        done(world);
    }
}

#[test]
fn a_machine_that_is_off_comes_back_as_a_replica() {
    let mut world = world(93);
    world.power_off(1);
    world.run_until(Millis(2_000), |world| world.moved_to(2));
    assert_eq!(world.cause(), Cause::NodeLost);
    world.run(Millis(10_000));
    world.power_on(1).unwrap();
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

/// The old primary had writes that nobody acknowledged. The receipt says so.
#[test]
fn a_return_is_noted_in_the_receipt() {
    let mut world = world(94);
    for node in [2, 3] {
        world.net.cut_both(Place::Node(1), Place::Node(node));
    }
    world.run(Millis(200));
    world.isolate(1);
    world.run_until(Millis(3_000), |world| world.moved_to(2));
    world.mend();
    world.run_until(Millis(3_000), World::is_whole);
    assert_eq!(world.receipt_of(2).returned.as_str(), "diverged");
    done(world);
}

/// A replica that never got as far as the history of the last primary is not the most advanced of an older
/// one, though the last primary's machine has come back with that, and a new leader knows no better.
#[test]
fn the_history_of_a_primary_is_what_it_wrote_as_primary() {
    for seed in 130..134 {
        let mut world = world(seed);
        for node in [2, 3] {
            world.net.cut_both(Place::Node(1), Place::Node(node));
        }
        world.run(Millis(200));
        world.isolate(1);
        world.run_until(Millis(3_000), |world| world.moved_to(2));
        let (second, third) = (world.primary(), 5 - world.primary());
        world.mend();
        world.net.cut_both(Place::Node(1), Place::Node(second));
        world.run_until(Millis(2_000), |world| {
            world.store(third).linked && world.store(1).follows.is_some()
        });
        world.run(Millis(500));
        world.power_off(second);
        world.kill_server(world.leader().unwrap());
        world.run_until(Millis(1_000), |world| world.leader().is_some());
        world.run(Millis(100));
        world.power_on(second).unwrap();
        world.store_mut(second).restart(usize::MAX);
        world.run(Millis(3_000));
        assert_eq!(
            world.checks.broken,
            Vec::<String>::new(),
            "{}",
            world.describe()
        );
        assert_ne!(world.primary(), 1, "{}", world.describe());
    }
}

/// It was chosen for what it had, and lost some of it before it took the role up.
#[test]
fn a_candidate_that_is_started_anew_before_it_serves_does_not() {
    let mut world = world(95);
    world.net.weather.slow_driver = (100, 80);
    world.kill_store(1);
    world.run_until(Millis(300), |world| world.epoch() == 2);
    let chosen = world.primary();
    world.net.weather.slow_driver = (0, 0);
    world.store_mut(chosen).restart(30);
    world.run_until(Millis(5_000), |world| world.moved_to(3));
    assert_ne!(world.primary(), chosen);
    done(world);
}

/// The same, with nobody to take its place: it is held, and serves when an operator says so.
#[test]
fn a_candidate_that_is_started_anew_waits_for_an_operator_when_it_is_the_last() {
    let mut tried = 0;
    for seed in 140..150 {
        let mut world = world(seed);
        world.power_off(3);
        world.run_until(Millis(8_000), |world| world.assignment().in_sync.len() == 2);
        world.net.weather.slow_log = (100, 300);
        world.kill_store(1);
        // It has said how far it has got, and what rests on that is with the log.
        world.run(Millis(40));
        if world.epoch() == 2 {
            continue;
        }
        tried += 1;
        world.store_mut(2).restart(30);
        world.run_until(Millis(1_000), |world| world.epoch() == 2);
        world.net.weather.slow_log = (0, 0);
        world.run(Millis(5_000));
        assert!(!world.serves(), "{}", world.describe());
        assert_eq!(world.checks.broken, Vec::<String>::new());
        world.set_loss(LossPolicy::Available);
        world.run_until(Millis(2_000), World::serves);
    }
    assert!(tried > 0);
}

/// A replica is started anew with less, and the primary dies before it has caught up: it proves nothing.
#[test]
fn a_replica_that_has_not_caught_up_again_does_not_count() {
    for seed in 96..100 {
        let mut world = world(seed);
        world.net.cut_both(Place::Node(1), Place::Node(3));
        world.run(Millis(400));
        // What only n2 has acknowledged, n2 loses.
        world.store_mut(2).restart(60);
        world.net.weather.lag = 100;
        world.run_until(Millis(2_000), |world| world.store(2).linked);
        world.run(Millis(60));
        world.mend();
        world.kill_store(1);
        world.run(Millis(3_000));
        assert_eq!(world.checks.broken, Vec::<String>::new());
        assert_eq!(world.epoch(), 1, "{}", world.describe());
        let held = world.held().unwrap().to_string();
        assert!(
            held.contains("n2 (started anew, not caught up since)"),
            "{held}"
        );
    }
}

/// Late heartbeats of an agent's earlier process, which a new leader hears after those of the later one.
#[test]
fn an_earlier_session_is_not_mistaken_for_a_later_one() {
    let mut world = world(110);
    world.net.weather.late = (60, 300);
    for _ in 0..6 {
        world.kill_agent(3);
        world.start_agent(3);
        world.run(Millis(120));
        let leader = world.leader();
        if let Some(leader) = leader {
            world.kill_server(leader);
            world.run(Millis(200));
            world.start_server(leader);
        }
    }
    world.net.weather.late = (0, 0);
    world.run_until(Millis(3_000), World::is_whole);
    seamless(&world);
    assert_eq!(world.store(3).process, Process::Running);
    done(world);
}

/// Under a steady load a replica is always a little behind: it counts all the same, and one that is lost
/// is left out all the same.
#[test]
fn members_come_and_go_under_load() {
    let mut world = world(111);
    for round in 0..3 {
        world.kill_store(3);
        world.run_until(Millis(8_000), |world| world.assignment().in_sync.len() == 2);
        world.restart_store(3);
        world.run_until(Millis(2_000), World::is_whole);
        assert_eq!(world.epoch(), 1, "round {round}");
    }
    seamless(&world);
    done(world);
}

/// A refusal is not asked for again and again at the speed of the network.
#[test]
fn pledges_are_asked_for_once_a_heartbeat() {
    let mut world = world(112);
    world.cut_from_servers(1);
    world.run_until(Millis(3_000), |world| {
        world.epoch() == 2 || world.held().is_some()
    });
    world.run(Millis(12_000));
    let asked = world.node(1).asked;
    assert!(asked > 0 && asked < 2 * 200, "{asked}");
    world.mend();
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}
