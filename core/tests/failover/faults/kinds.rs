//! The kinds of fault, what operators do meanwhile, and the end of all of it.

use super::{big, plan::Step, timed};
use crate::failover::{
    store::Process,
    world::{Place, Weather, World},
};
use tenure_core::{
    Command, Lifecycle, Millis, NodeId, NodeRef, Note, PinKind, agent::Input, copies::RebalanceStep,
};

type Fault = fn(&mut World, u64, u64);
/// How likely it is, its name, and what it does to which node or server.
pub type FaultKind = (u64, &'static str, Fault);

/// What can happen to a node or a server, and how likely it is.
pub const FAULTS: &[FaultKind] = &[
    (5, "store killed", |world, node, _| world.kill_store(node)),
    (5, "store restarted", |world, node, _| {
        world.restart_store(node);
    }),
    (5, "node stalled", |world, node, _| {
        let span = Millis(world.dice.below(3_000));
        world.stall_node(node, span);
    }),
    (4, "node isolated", |world, node, _| world.isolate(node)),
    (4, "node cut from servers", |world, node, _| {
        world.cut_from_servers(node);
    }),
    (4, "node cut from a server", |world, node, server| {
        let places = (Place::Node(node), Place::Server(server));
        world.net.cut_both(places.0, places.1);
    }),
    (4, "server unheard by a node", |world, node, server| {
        world.net.cut(Place::Server(server), Place::Node(node));
    }),
    (4, "node unheard by a server", |world, node, server| {
        world.net.cut(Place::Node(node), Place::Server(server));
    }),
    (4, "nodes cut", |world, node, _| {
        let other = any_node(world);
        if other != node {
            world.net.cut_both(Place::Node(node), Place::Node(other));
        }
    }),
    (9, "network mended", |world, _, _| world.mend()),
    (4, "agent killed", |world, node, _| world.kill_agent(node)),
    (8, "agents back", |world, _, _| agents_back(world)),
    (4, "server killed", |world, _, server| {
        world.kill_server(server);
    }),
    (8, "servers back", |world, _, _| servers_back(world)),
    (5, "server stalled", |world, _, server| {
        let most = world.dice.pick([300, 800, 4_000]).expect("some");
        let span = Millis(world.dice.below(most));
        world.stall_server(server, span);
    }),
    (5, "server cut off", |world, _, server| {
        world.cut_server(server);
    }),
    (3, "power off", |world, node, _| world.power_off(node)),
    (4, "store frozen", |world, node, _| world.freeze_store(node)),
    (4, "store thawed", |world, node, _| world.thaw_store(node)),
    (2, "store jammed", |world, node, _| world.jam_store(node)),
    (7, "weather", |world, _, _| weather(world)),
    (4, "switchover", |world, node, _| {
        let to = world.dice.percent(50).then_some(node);
        world.switchover(to);
    }),
    (3, "failover asked for", |world, node, _| {
        let to = world.dice.percent(50).then_some(node);
        world.failover(to, false, false);
    }),
    (2, "node leaves", |world, node, _| {
        world.tell_agent(node, Input::Leave);
    }),
    (3, "drain", |world, node, _| {
        lifecycle(world, node, Lifecycle::Draining);
    }),
    (3, "active", |world, node, _| {
        lifecycle(world, node, Lifecycle::Active);
    }),
    (2, "pin", |world, node, _| {
        let kind = world
            .dice
            .pick([PinKind::Up, PinKind::Down])
            .expect("there are some");
        pin(world, node, Some(kind));
    }),
    (2, "unpin", |world, node, _| pin(world, node, None)),
    (5, "agent restarted", |world, node, _| {
        world.kill_agent(node);
        start_agent(world, node);
    }),
    (3, "node rebooted", |world, node, _| {
        world.power_off(node);
        world.power_on(node);
    }),
    (2, "disk replaced", |world, node, _| {
        world.power_off(node);
        world.wipe(node);
    }),
    (1, "zone lost", |world, node, _| big::zone_lost(world, node)),
    (2, "all servers killed", |world, _, _| {
        (1..=3).for_each(|server| world.kill_server(server));
    }),
    (4, "partition", |world, _, _| big::partition(world, false)),
    (4, "cut off together", |world, node, server| {
        big::cut_off_together(world, node, server);
    }),
    (3, "one-way partition", |world, _, _| {
        big::partition(world, true);
    }),
    (2, "wall clock set", |world, _, _| {
        world.wall_ahead = world.dice.below(WALL_AHEAD_MAX);
    }),
    (2, "clock jumps", |world, node, server| {
        big::clock_jumps(world, node, server);
    }),
    (3, "lost as another is left out", |world, node, _| {
        timed::lost_as_another_is_left_out(world, node);
    }),
    (
        3,
        "cut off from answers that are on their way",
        |world, node, _| {
            timed::answers_on_their_way(world, node);
        },
    ),
    (4, "leadership handed over", |world, _, server| {
        big::hand_over(world, server);
    }),
    (5, "primary named by hand", |world, node, _| {
        big::name_primary(world, node);
    }),
    (2, "paused", |world, node, _| big::pause(world, node)),
    (2, "resumed", |world, _, _| big::resume(world)),
    (2, "acknowledged", |world, _, _| big::acknowledge(world)),
    (2, "lease changed", |world, _, _| big::change_lease(world)),
    (2, "loss accepted", |world, _, _| {
        if !world.is_strict() {
            world.failover(None, true, false);
        }
    }),
    (3, "holder killed", |world, node, _| {
        world.kill_holder(node);
    }),
    (5, "holders back", |world, _, _| holders_back(world)),
    (3, "rebalance", |world, _, _| {
        let steps = [
            RebalanceStep::Start,
            RebalanceStep::Start,
            RebalanceStep::Pause,
            RebalanceStep::Resume,
            RebalanceStep::Stop,
        ];
        let step = world.dice.pick(steps).expect("some");
        world.rebalance(step);
    }),
    (2, "store emptied", |world, node, _| world.empty_store(node)),
    (2, "fence vouched for", |world, _, _| {
        // Truly: it is off.
        let node = world.primary();
        if node > 0 {
            world.power_off(node);
            world.failover(None, false, true);
        }
    }),
];

/// The furthest that the wall clock is set forward.
pub const WALL_AHEAD_MAX: u64 = 7_200_000;

fn any_node(world: &mut World) -> u64 {
    1 + world.dice.below(world.nodes.len() as u64)
}

/// A fault happens.
pub fn befall(world: &mut World, step: &Step) {
    let node = match step.node {
        0 => world.primary().max(1),
        node => node,
    };
    let server = match step.server {
        0 => world.leader().unwrap_or(1),
        server => server,
    };
    let (_, what, happen) = step.kind();
    world.note(&format!("FAULT {what}: n{node}, s{server}"));
    happen(world, node, server);
}

fn weather(world: &mut World) {
    let bad = world.dice.percent(70);
    let chance = |world: &mut World, most| {
        if bad { world.dice.below(most) } else { 0 }
    };
    world.net.weather = Weather {
        late: (chance(world, 40), 300),
        lost: chance(world, 30),
        doubled: chance(world, 20),
        slow_driver: (chance(world, 40), 300),
        slow_log: (chance(world, 30), 300),
        untold: chance(world, 30),
        lag: chance(world, 80),
    };
}

pub fn has_leader(world: &World) -> bool {
    world
        .leader()
        .is_some_and(|leader| world.has_quorum(leader))
}

fn lifecycle(world: &mut World, node: u64, to: Lifecycle) {
    if has_leader(world) {
        let expected = world.state.nodes()[&NodeId(node)].modified;
        let _ = world.commit(Command::SetLifecycle {
            node: NodeRef::Id(NodeId(node)),
            expected,
            to,
            reason: Note::default(),
            accept_loss: false,
        });
    }
}

fn pin(world: &mut World, node: u64, kind: Option<PinKind>) {
    if !has_leader(world) {
        return;
    }
    let expected = world.state.pins().get(&NodeId(node)).map(|it| it.modified);
    let node = NodeRef::Id(NodeId(node));
    let command = match (kind, expected) {
        (Some(kind), expected) => Command::SetPin {
            node,
            expected,
            kind,
            until: None,
            reason: Note::default(),
        },
        (None, Some(expected)) => Command::RemovePin { node, expected },
        (None, None) => return,
    };
    let _ = world.commit(command);
}

fn agents_back(world: &mut World) {
    for node in world.node_ids() {
        if world.node(node).kept.is_none() {
            world.power_on(node);
        }
        start_agent(world, node);
    }
}

/// Unless it runs, or its node is off.
fn start_agent(world: &mut World, node: u64) {
    if world.node(node).kept.is_some() && world.node(node).agent.is_none() {
        world.start_agent(node);
    }
}

fn holders_back(world: &mut World) {
    for node in world.node_ids() {
        world.start_holder(node);
    }
}

fn servers_back(world: &mut World) {
    for server in 1..=3 {
        if !world.server(server).up {
            world.start_server(server);
        }
    }
}

/// All faults end, and operators take back what they did.
pub fn heal(world: &mut World) {
    world.mend();
    world.net.weather = Weather::default();
    servers_back(world);
    // One may stand still for so long.
    world.run_until(Millis(6_000), has_leader);
    agents_back(world);
    world.wall_ahead = WALL_AHEAD_MAX;
    big::resume(world);
    holders_back(world);
    world.rebalance(RebalanceStep::Resume);
    for node in world.node_ids() {
        lifecycle(world, node, Lifecycle::Active);
        pin(world, node, None);
        world.store_mut(node).jammed = false;
        match world.store(node).process {
            Process::Running => {}
            Process::Frozen => world.thaw_store(node),
            Process::Gone => world.restart_store(node),
        }
        // One that was told to leave is started anew.
        if world.node(node).leaving {
            world.kill_agent(node);
            world.start_agent(node);
        }
    }
}
