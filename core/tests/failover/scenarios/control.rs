//! The control plane's own trouble takes no healthy service down (promise 7).

use super::{begun, done, seamless, world};
use crate::failover::world::{Setup, World};
use tenure_core::{Automation, ControlLoss, LossPolicy, Millis};

#[test]
fn the_loss_of_the_leader_moves_nothing() {
    let mut world = world(5);
    world.kill_server(1);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    done(world);
}

#[test]
fn the_loss_of_all_servers_stops_nothing_under_pledge() {
    let mut world = world(6);
    for server in [3, 2, 1] {
        world.kill_server(server);
    }
    world.run(Millis(60_000));
    seamless(&world);
    for server in 1..=3 {
        world.start_server(server);
    }
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    done(world);
}

#[test]
fn the_loss_of_all_servers_stops_everything_under_fence() {
    let mut setup = Setup::new(7, LossPolicy::Never);
    setup.automation = Automation {
        control_loss: ControlLoss::Fence,
        ..Automation::default()
    };
    let mut world = begun(&setup);
    for server in [3, 2, 1] {
        world.kill_server(server);
    }
    world.run(Millis(1_100));
    let acked = world.acked().len();
    world.run(Millis(10_000));
    assert_eq!(world.acked().len(), acked);
    for server in 1..=3 {
        world.start_server(server);
    }
    world.run_until(Millis(3_000), World::is_whole);
    assert_eq!(world.epoch(), 1);
    done(world);
}

#[test]
fn a_primary_and_the_leader_lost_together() {
    let mut world = world(17);
    world.kill_server(1);
    world.kill_store(1);
    let took = world.run_until(Millis(2_000), |world| world.moved_to(2));
    println!("leader and primary lost to serving: {took}");
    done(world);
}
