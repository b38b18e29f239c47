//! The evidence table: what is seen of a primary, and what is done about it.

use super::{begun, done, seamless, world};
use crate::failover::world::{Place, Setup, World, service};
use tenure_core::{
    Cause, Completeness, Epoch, FenceProof, LossPolicy, Millis, NodeId, Phase, Role,
};

#[test]
fn a_primary_that_exits_is_replaced_within_a_blink() {
    let mut world = world(1);
    world.kill_store(1);
    let took = world.run_until(Millis(100), |world| world.moved_to(2));
    println!("exited to serving: {took}");
    assert!(took <= Millis(20), "{took}");
    let receipt = world.receipt();
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert_eq!(receipt.account.fence, FenceProof::Exited);
    let proven = matches!(receipt.account.completeness, Completeness::Proven { .. });
    assert!(proven, "{:?}", receipt.account.completeness);
    world.run(Millis(300));
    let timeline = world.receipt().account.timeline;
    assert!(timeline.contains_key(&Phase::Confirmed), "{timeline:?}");
    world.restart_store(1);
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_falls_silent_is_replaced_when_its_lease_is_over() {
    let mut world = world(2);
    world.stall_node(1, Millis(5_000));
    let took = world.run_until(Millis(2_000), |world| world.moved_to(2));
    println!("frozen to serving: {took}");
    assert!(took >= Millis(900), "{took}");
    assert_eq!(world.cause(), Cause::NodeLost);
    world.run(Millis(5_000));
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_is_cut_off_is_replaced_and_stops_by_itself() {
    let mut world = world(3);
    world.isolate(1);
    world.run_until(Millis(2_000), |world| world.moved_to(2));
    assert!(!world.store(1).takes_writes(world.now));
    world.mend();
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_primary_that_the_leader_alone_does_not_hear_stays() {
    let mut world = world(4);
    world.net.cut_both(Place::Node(1), Place::Server(1));
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    done(world);
}

#[test]
fn a_primary_that_is_cut_off_with_one_replica_stops_in_time() {
    let mut world = world(8);
    for node in [1, 2] {
        world.cut_from_servers(node);
        world.net.cut_both(Place::Node(node), Place::Node(3));
    }
    world.run(Millis(1_100));
    assert!(!world.store(1).takes_writes(world.now));
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1, "one of two was heard: nothing is proven");
    let held = world.held().unwrap();
    assert!(held.to_string().contains("missing: n2"), "{held}");
    world.mend();
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn an_agent_that_is_killed_has_its_grace() {
    let mut world = world(9);
    world.kill_agent(1);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    let held = world.held().unwrap();
    assert!(held.to_string().contains("answers n2, n3"), "{held}");
    let told = |world: &World| {
        world
            .state
            .instances(&service())
            .find(|it| it.node == NodeId(1))
            .and_then(|it| it.report.role)
    };
    let role = Some((Role::Primary, Epoch(1)));
    assert_eq!(told(&world), role, "clients are not sent away");
    seamless(&world);
    world.start_agent(1);
    world.run(Millis(2_000));
    assert_eq!(world.epoch(), 1);
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn an_agent_that_never_comes_back_is_given_up() {
    let mut world = world(10);
    world.kill_agent(1);
    world.run_until(Millis(15_000), |world| world.moved_to(2));
    assert_eq!(world.cause(), Cause::AgentLost);
    world.start_agent(1);
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn an_agent_that_is_upgraded_is_not_noticed() {
    let mut world = world(11);
    world.kill_agent(1);
    world.run(Millis(400));
    world.start_agent(1);
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    done(world);
}

#[test]
fn a_primary_whose_writes_are_stuck_is_moved() {
    let mut world = world(12);
    world.jam_store(1);
    world.run_until(Millis(6_000), |world| world.moved_to(2));
    assert_eq!(world.cause(), Cause::Stuck);
    done(world);
}

#[test]
fn a_frozen_store_under_a_living_agent_is_replaced() {
    let mut world = world(13);
    world.freeze_store(1);
    world.run_until(Millis(8_000), |world| world.moved_to(2));
    world.thaw_store(1);
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_hears_nothing_is_replaced_though_it_is_heard() {
    let mut world = world(14);
    for server in 1..=3 {
        world.net.cut(Place::Server(server), Place::Node(1));
    }
    for other in [2, 3] {
        world.net.cut(Place::Node(other), Place::Node(1));
    }
    world.run_until(Millis(5_000), |world| world.moved_to(2));
    assert_eq!(world.cause(), Cause::Deaf);
    world.mend();
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn stalls_of_half_a_second_move_nothing() {
    let mut world = begun(&Setup::new(19, LossPolicy::Never));
    for round in 0..40 {
        match round % 4 {
            0 => world.stall_server(1, Millis(500)),
            1 => world.stall_node(1, Millis(500)),
            2 => world.stall_node(2, Millis(500)),
            _ => {}
        }
        world.run(Millis(700));
    }
    assert_eq!(world.epoch(), 1, "{}", world.describe());
    done(world);
}
