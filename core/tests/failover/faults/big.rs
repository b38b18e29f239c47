//! Faults that befall many at once, and what operators and clocks do.

use super::{
    kinds::has_leader,
    setting::{has_broken_clocks, is_named_by_hand},
};
use crate::failover::world::{Place, World};
use tenure_core::{Automation, Command, Millis, NodeId, Note, Scope};

/// Every node of a node's zone loses its power.
pub fn zone_lost(world: &mut World, node: u64) {
    let zone = |world: &World, node: u64| world.state.nodes()[&NodeId(node)].zone.clone();
    let lost = zone(world, node);
    for node in world.node_ids() {
        if zone(world, node) == lost {
            world.power_off(node);
        }
    }
}

/// Nodes and servers fall apart into two parts; one way, the first is not heard by the second.
pub fn partition(world: &mut World, one_way: bool) {
    let nodes = world.node_ids().map(Place::Node);
    let places: Vec<Place> = nodes.chain((1..=3).map(Place::Server)).collect();
    let (first, second): (Vec<Place>, Vec<Place>) =
        places.into_iter().partition(|_| world.dice.percent(50));
    for from in &first {
        for to in &second {
            if one_way {
                world.net.cut(*from, *to);
            } else {
                world.net.cut_both(*from, *to);
            }
        }
    }
}

/// A node and a server are left to each other, most often the primary's and the leader; the other servers may
/// be started anew in the same moment, having forgotten whom they had heard.
pub fn cut_off_together(world: &mut World, node: u64, server: u64) {
    for other in world.node_ids().filter(|other| *other != node) {
        world.net.cut_both(Place::Node(node), Place::Node(other));
        world
            .net
            .cut_both(Place::Server(server), Place::Node(other));
    }
    let anew = world.dice.percent(50);
    for other in (1..=3).filter(|other| *other != server) {
        world.net.cut_both(Place::Node(node), Place::Server(other));
        world
            .net
            .cut_both(Place::Server(server), Place::Server(other));
        if anew {
            world.kill_server(other);
            world.start_server(other);
        }
    }
}

/// A clock is set forward, as none may be: only in the worlds that are set apart for that.
pub fn clock_jumps(world: &mut World, node: u64, server: u64) {
    if !has_broken_clocks(world.seed) {
        return;
    }
    world.checks.clocks_broken = true;
    world.count("clock jumped");
    let by = Millis(world.dice.below(20_000));
    if world.dice.percent(50) {
        let it = world.node_mut(node);
        it.ahead = it.ahead.plus(by);
    } else {
        let it = world.server_mut(server);
        it.ahead = it.ahead.plus(by);
    }
}

/// Another server is made the leader at once: nobody waits for the Raft lease of the one before.
pub fn hand_over(world: &mut World, server: u64) {
    let old = world
        .leader()
        .filter(|old| *old != server && has_leader(world));
    let third = (1..=3).find(|it| Some(*it) != old && *it != server);
    let talk = third.is_some_and(|third| {
        let (a, b) = (Place::Server(server), Place::Server(third));
        world.net.talk(a, b) && world.is_awake(third)
    });
    // The one before would not go on beside it: of those that acknowledge it one has voted for the other.
    if old.is_some() && talk && world.is_awake(server) {
        world.elected(server);
    }
}

/// An operator names the primary in the log, which rests on no proof: only in the worlds that are set apart for
/// that, where nothing is said of what was acknowledged.
pub fn name_primary(world: &mut World, node: u64) {
    if is_named_by_hand(world.seed) && has_leader(world) {
        world.checks.forgiven = true;
        let _ = world.set_primary(node, true);
    }
}

pub fn pause(world: &mut World, node: u64) {
    let scopes = [
        Scope::Cluster,
        Scope::Service(world.services[0].clone()),
        Scope::Node(NodeId(node)),
    ];
    let scope = world.dice.pick(scopes).expect("there are some");
    if has_leader(world) {
        let expected = world.state.pauses().get(&scope).map(|it| it.modified);
        let _ = world.commit(Command::SetPause {
            scope,
            expected,
            until: None,
            reason: Note::default(),
        });
    }
}

pub fn resume(world: &mut World) {
    if !has_leader(world) {
        return;
    }
    let known = world.state.pauses().iter();
    let known: Vec<_> = known
        .map(|(it, pause)| (it.clone(), pause.modified))
        .collect();
    for (scope, expected) in known {
        let _ = world.commit(Command::RemovePause { scope, expected });
    }
}

pub fn acknowledge(world: &mut World) {
    let epoch = world.assignment().epoch;
    let service = world.services[0].clone();
    if has_leader(world) && world.state.receipt(&service, epoch).is_some() {
        let _ = world.commit(Command::Acknowledge { service, epoch });
    }
}

/// Operators make the lease longer or shorter while it is in use.
pub fn change_lease(world: &mut World) {
    if !has_leader(world) {
        return;
    }
    let lease = world.dice.pick([300, 1_000, 2_500]).expect("some");
    let known = **world.state.automation();
    let least = |grace: Millis| grace.max(Millis(lease));
    world.longest_lease = world.longest_lease.max(Millis(lease));
    let _ = world.commit(Command::SetAutomation {
        expected: known.modified,
        automation: Automation {
            fast_lease: Millis(lease),
            fast_heartbeat: Millis(lease / 5),
            agent_grace: least(known.agent_grace),
            replica_grace: least(known.replica_grace),
            ..known
        },
    });
}
