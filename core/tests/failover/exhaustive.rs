//! Every sequence of a few faults, and of the moments between them, in small worlds: the failover and lease protocol
//! with nothing left to chance. Each sequence goes on from the one that is a fault shorter; each is checked after
//! every event, and everything has to be whole again after its end.
//!
//! The gate tries every two faults. `cargo xtask simulate --exhaustive 3` sets `TENURE_EXHAUSTIVE`, how many there are,
//! tries them in more worlds and at more moments, and shows how many states were reached.

use super::{
    faults::{at_once, keep_quiet, number, words},
    store::Process,
    world::{Place, Setup, World, policy},
};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};
use tenure_core::{ControlLoss, LossPolicy, Millis};

/// What can happen, to whom it matters most.
type Letter = (&'static str, fn(&mut World));

fn primary(world: &World) -> u64 {
    world.primary().max(1)
}

fn other(world: &World) -> u64 {
    1 + primary(world) % world.nodes.len() as u64
}

fn leader(world: &World) -> u64 {
    world.leader().unwrap_or(1)
}

const LETTERS: &[Letter] = &[
    ("the primary's process ends", |world| {
        world.kill_store(primary(world));
    }),
    ("the primary's process is started anew", |world| {
        world.restart_store(primary(world));
    }),
    ("the primary's process freezes", |world| {
        world.freeze_store(primary(world));
    }),
    ("another's process is started anew", |world| {
        world.restart_store(other(world));
    }),
    ("the primary's node is cut off from all", |world| {
        world.isolate(primary(world));
    }),
    ("the primary's node is cut off from the servers", |world| {
        world.cut_from_servers(primary(world));
    }),
    ("the primary is not heard by the servers", |world| {
        let node = Place::Node(primary(world));
        (1..=3).for_each(|server| world.net.cut(node, Place::Server(server)));
    }),
    ("the primary and the other are cut off", |world| {
        let (one, other) = (primary(world), other(world));
        world.net.cut_both(Place::Node(one), Place::Node(other));
    }),
    ("the network is mended", World::mend),
    ("the primary's node stands still", |world| {
        world.stall_node(primary(world), Millis(1_700));
    }),
    ("the primary's agent is started anew", |world| {
        let node = primary(world);
        world.kill_agent(node);
        if world.node(node).kept.is_some() {
            world.start_agent(node);
        }
    }),
    ("the primary's machine is rebooted", |world| {
        let node = primary(world);
        world.power_off(node);
        world.power_on(node);
    }),
    ("the leader is cut off from the servers", |world| {
        world.cut_server(leader(world));
    }),
    ("the leader is started anew", |world| {
        let server = leader(world);
        world.kill_server(server);
        world.start_server(server);
    }),
    ("the leader stands still", |world| {
        world.stall_server(leader(world), Millis(1_200));
    }),
    ("a switchover is asked for", |world| {
        world.switchover(None);
    }),
];

/// How much is tried.
struct Scope {
    /// How many faults there are in a row.
    length: usize,
    /// How long nothing else happens after each, in milliseconds.
    spans: &'static [u64],
    /// How many of the worlds.
    worlds: usize,
}

/// Within a heartbeat or two, and past every lease.
const IN_THE_GATE: Scope = Scope {
    length: 2,
    spans: &[70, 1_900],
    worlds: 2,
};

/// Also about as long as a lease.
fn scope() -> Scope {
    match number("TENURE_EXHAUSTIVE") {
        None => IN_THE_GATE,
        Some(length) => Scope {
            length: usize::try_from(length).expect("it is small"),
            spans: &[70, 900, 2_600],
            worlds: 3,
        },
    }
}

/// Whatever is still to pass when the last has happened.
const HEALS_WITHIN: Millis = Millis(40_000);

/// What everybody is and believes, without when it came about.
fn shape(world: &World) -> u64 {
    let now = world.assignment();
    let nodes = world.node_ids().map(|node| {
        let (it, store) = (world.node(node), world.store(node));
        let runs = it.agent.is_some() && it.stalled_until <= world.now;
        // Epochs are told apart by how far they are behind.
        let behind = now.epoch.0.saturating_sub(store.epoch.0);
        let believes = world.believes(node, 0);
        let believes = believes.map(|epoch| now.epoch.0.saturating_sub(epoch.0));
        let agent = (runs, it.kept.is_some(), it.leaving, believes);
        let link = (store.follows, store.linked, behind, store.permits.clone());
        (agent, store.process, store.writable, link)
    });
    let servers = (1..=3).map(|server| {
        let it = world.server(server);
        let leads = it.leads == Some(world.term);
        (it.up, world.is_awake(server), leads)
    });
    let (nodes, servers): (Vec<_>, Vec<_>) = (nodes.collect(), servers.collect());
    let mut hasher = DefaultHasher::new();
    let said = (now.primary, &now.in_sync, &now.syncing, &world.net.cuts);
    format!("{said:?} {nodes:?} {servers:?}").hash(&mut hasher);
    hasher.finish()
}

#[derive(Default)]
struct Reached {
    shapes: BTreeSet<u64>,
    sequences: u64,
}

/// What was tried, and what it broke.
type Broken = String;

fn told(path: &[(usize, u64)], what: &str) -> Broken {
    let step = |(letter, span): &(usize, u64)| format!("{}, then {span} ms", LETTERS[*letter].0);
    let steps: Vec<String> = path.iter().map(step).collect();
    format!("{what}\n  after: {}", steps.join("\n  and: "))
}

/// Everything that was cut, killed or frozen is as it was.
fn heal(world: &mut World) {
    world.mend();
    for server in 1..=3 {
        if !world.server(server).up {
            world.start_server(server);
        }
    }
    world.run_until(Millis(6_000), |world| {
        world
            .leader()
            .is_some_and(|leader| world.has_quorum(leader))
    });
    for node in world.node_ids() {
        if world.node(node).kept.is_none() {
            world.power_on(node);
        }
        if world.node(node).agent.is_none() {
            world.start_agent(node);
        }
        match world.store(node).process {
            Process::Running => {}
            Process::Frozen => world.thaw_store(node),
            Process::Gone => world.restart_store(node),
        }
    }
}

/// It comes to rest: whole, with everything that was acknowledged; or held, since nothing proves that nothing was
/// lost, which an operator has to accept then.
fn ends_well(mut world: World) -> Result<(), String> {
    heal(&mut world);
    let whole = world.comes(HEALS_WITHIN, World::is_whole);
    if !whole {
        let held = world.held().map(|held| held.to_string());
        if !held
            .as_ref()
            .is_some_and(|held| held.contains("completeness"))
        {
            return Err(format!("not whole within {HEALS_WITHIN}: {held:?}"));
        }
        return Ok(());
    }
    world.run(Millis(300));
    let lost = world.lost();
    if !lost.is_empty() {
        return Err(format!("acknowledged and lost: {lost:?}"));
    }
    world.checks.broken.first().cloned().map_or(Ok(()), Err)
}

/// What goes on from here, each fault and each span after it.
fn explore(
    world: &World,
    (left, spans): (usize, &[u64]),
    path: &mut Vec<(usize, u64)>,
    reached: &mut Reached,
) -> Result<(), Broken> {
    if left == 0 {
        reached.sequences += 1;
        return ends_well(world.clone()).map_err(|what| told(path, &what));
    }
    for (letter, (_, happen)) in LETTERS.iter().enumerate() {
        let mut after = world.clone();
        happen(&mut after);
        let mut passed = 0;
        for span in spans {
            after.run(Millis(span - passed));
            passed = *span;
            path.push((letter, *span));
            reached.shapes.insert(shape(&after));
            if let Some(what) = after.checks.broken.first() {
                return Err(told(path, what));
            }
            explore(&after, (left - 1, spans), path, reached)?;
            path.pop();
        }
    }
    Ok(())
}

/// Two nodes, and three; a primary that fences when nobody can be asked, and one that asks.
fn worlds() -> Vec<World> {
    let of = |nodes, control_loss| {
        let mut setup = Setup::of(7, nodes, policy(LossPolicy::Never));
        setup.automation.control_loss = control_loss;
        setup.automation.agent_grace = Millis(1_500);
        setup.automation.replica_grace = Millis(1_500);
        let mut world = World::new(&setup);
        world.noting = false;
        world.run_until(Millis(3_000), World::is_whole);
        world.writing = true;
        world.run(Millis(200));
        world
    };
    vec![
        of(2, ControlLoss::Pledge),
        of(3, ControlLoss::Pledge),
        of(2, ControlLoss::Fence),
    ]
}

/// One world, and one fault that everything begins with: what a thread does at a time.
fn piece(number: u64, scope: &Scope) -> Result<Reached, Broken> {
    let letters = LETTERS.len() as u64;
    let worlds = worlds();
    let mut world = worlds[usize::try_from(number / letters).expect("it is small")].clone();
    let letter = usize::try_from(number % letters).expect("it is small");
    let (mut reached, mut path) = (Reached::default(), Vec::new());
    (LETTERS[letter].1)(&mut world);
    let mut passed = 0;
    for span in scope.spans {
        world.run(Millis(span - passed));
        passed = *span;
        path.push((letter, *span));
        reached.shapes.insert(shape(&world));
        let left = (scope.length - 1, scope.spans);
        explore(&world, left, &mut path, &mut reached)?;
        path.pop();
    }
    Ok(reached)
}

impl at_once::Sum for Reached {
    fn join(&mut self, other: Self) {
        self.shapes.extend(other.shapes);
        self.sequences += other.sequences;
    }
}

#[test]
fn whatever_happens_in_a_small_world_it_ends_well() {
    let scope = scope();
    let pieces = (scope.worlds * LETTERS.len()) as u64;
    let one = |number| {
        let tried = || catch_unwind(AssertUnwindSafe(|| piece(number, &scope)));
        keep_quiet(tried).unwrap_or_else(|panic| Err(words(&*panic)))
    };
    let (reached, broken) = at_once::all(Box::new(0..pieces), at_once::threads(), &one);
    if let Some(broken) = broken {
        panic!("{broken}");
    }
    let (states, sequences) = (reached.shapes.len(), reached.sequences);
    println!(
        "{sequences} sequences of {} faults reach {states} states",
        scope.length
    );
    let all =
        (LETTERS.len() * scope.spans.len()).pow(u32::try_from(scope.length).expect("it is small"));
    assert_eq!(sequences, (scope.worlds * all) as u64);
    assert!(states > 300, "so few states show little: {states}");
}
