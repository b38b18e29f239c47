//! Faults that come when they do most harm: in the few milliseconds in which something else is under way.

use super::setting::heals_within;
use crate::failover::world::{Place, Weather, World};
use tenure_core::{LossPolicy, Millis, Outcome};

/// An operator names another primary by hand while the agents take up what they were told first, most often because
/// the first is out of reach: before any of them has said what it is, the log does not refuse it.
pub fn named_as_it_begins(world: &mut World) {
    world.checks.forgiven = true;
    let first = world.primary();
    if first == 0 {
        return;
    }
    world.comes(Millis(500), |world| world.believes(first, 0).is_some());
    let wait = world.dice.below(4);
    world.run(Millis(wait));
    if world.dice.percent(70) {
        world.cut_from_servers(first);
    }
    let node = 1 + world.dice.below(world.nodes.len() as u64);
    if matches!(world.set_primary(node, true), Outcome::Done(_)) {
        world.count("named before agents had spoken");
    }
    world.run(world.longest_lease);
    world.mend();
}

/// A replica's agent ends, and its store goes on. As soon as it does not count any more the primary is cut off from
/// the others, is slow to do what it is told, and loses its power.
pub fn lost_as_another_is_left_out(world: &mut World, node: u64) {
    let primary = world.primary();
    let replica = if node == primary {
        1 + primary % world.nodes.len() as u64
    } else {
        node
    };
    if primary == 0 {
        return;
    }
    world.kill_agent(replica);
    world.net.weather.slow_driver = (100, 300);
    let grace = world.state.automation().replica_grace;
    let counts = |world: &World| {
        let counted = world.assignment().acknowledgers();
        counted.into_iter().any(|it| it.0 == replica)
    };
    let left_out = world.comes(grace.plus(Millis(700)), |world| !counts(world));
    if !left_out || world.primary() != primary {
        return;
    }
    for other in world.node_ids() {
        if other != primary && other != replica {
            let places = (Place::Node(primary), Place::Node(other));
            world.net.cut_both(places.0, places.1);
        }
    }
    let last = world.dice.below(40);
    world.run(Millis(5 + last));
    world.power_off(primary);
}

/// The answers of the servers take long; then their way to the node is cut, and what is there already arrives after
/// the node's process was started anew.
pub fn answers_on_their_way(world: &mut World, node: u64) {
    let weather = world.net.weather;
    world.net.weather = Weather {
        late: (100, 500),
        ..weather
    };
    let beat = world.state.automation().fast_heartbeat;
    world.run(beat.plus(Millis(30)));
    world.net.weather = weather;
    for server in 1..=3 {
        world.net.cut(Place::Server(server), Place::Node(node));
    }
    world.restart_store(node);
}

/// The primary's node is cut off from the servers and from nobody else, for good: another takes its place all the
/// same, or the hold says why none does.
pub fn outlives_a_cut_that_stays(world: &mut World) {
    let (primary, epoch) = (world.primary(), world.epoch());
    if primary == 0 {
        return;
    }
    world.cut_from_servers(primary);
    let moved = |world: &World| world.epoch() > epoch && world.serves();
    let within = heals_within(world);
    if world.comes(within, moved) {
        world.count("moved off a cut that stays");
        return;
    }
    let held = world.held().map(|held| held.to_string());
    let proven = held.is_none_or(|held| !held.contains("completeness"));
    let strict = world.loss() == LossPolicy::Never;
    assert!(
        !proven || !strict,
        "the cut stays, and after {within} nobody else serves: {:?}",
        world.held()
    );
}
