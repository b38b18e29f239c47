//! Services of equals: what their members say is kept as transitions, never as heartbeats.

use crate::failover::world::{Setup, World, policy};
use tenure_core::{Health, Kind, LossPolicy, Millis, NodeId, Policy, Role};

fn equals(seed: u64, nodes: u64) -> World {
    let mut setup = Setup::of(seed, nodes, policy(LossPolicy::Never));
    setup.services.clear();
    let on: Vec<u64> = (1..=nodes).collect();
    let setup = setup.with("web", Policy::default_for(Kind::Peers), &on);
    World::new(&setup)
}

fn healthy(world: &World) -> usize {
    let instances = world.state.instances(&world.services[0]);
    instances
        .filter(|it| it.report.health == Health::Healthy)
        .count()
}

fn health(world: &World, node: u64) -> Health {
    let instance = world.state.instance(&world.services[0], NodeId(node));
    instance.map_or(Health::Unknown, |it| it.report.health)
}

#[test]
fn what_equals_say_becomes_known_and_costs_nothing_while_it_stays() {
    let mut world = equals(80, 5);
    world.run_until(Millis(3_000), |world| healthy(world) == 5);
    let instance = world.state.instance(&world.services[0], NodeId(3)).unwrap();
    assert_eq!(instance.report.role.map(|(role, _)| role), Some(Role::Peer));
    let committed = world.committed();
    world.run(Millis(30_000));
    assert_eq!(
        world.committed(),
        committed,
        "heartbeats are not written down"
    );
    world.store_mut(2).health = Health::Failing;
    world.run_until(Millis(1_500), |world| health(world, 2) == Health::Failing);
    world.store_mut(2).health = Health::Healthy;
    world.run_until(Millis(1_500), |world| healthy(world) == 5);
    assert_eq!(world.committed(), committed + 2);
}

#[test]
fn a_mass_loss_of_equals_is_one_entry() {
    let mut world = equals(81, 20);
    world.run_until(Millis(3_000), |world| healthy(world) == 20);
    // Their heartbeats are spread over the time between two.
    for node in 1..=20 {
        world.kill_agent(node);
        world.start_agent(node);
        world.run(Millis(49));
    }
    world.run(Millis(2_000));
    let committed = world.committed();
    for node in 1..=15 {
        world.isolate(node);
    }
    world.run_until(Millis(15_000), |world| healthy(world) == 5);
    assert_eq!(health(&world, 1), Health::Unknown);
    assert_eq!(world.committed(), committed + 1);
    world.mend();
    world.run_until(Millis(3_000), |world| healthy(world) == 20);
}

#[test]
fn equals_are_silent_only_after_their_own_slower_lease() {
    let mut world = equals(82, 3);
    world.run_until(Millis(3_000), |world| healthy(world) == 3);
    world.isolate(2);
    world.run(Millis(9_000));
    assert_eq!(healthy(&world), 3);
    world.run_until(Millis(2_500), |world| health(world, 2) == Health::Unknown);
}
