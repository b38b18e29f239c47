//! What happens when something dies, is frozen, or is cut off, and what operators can make of it: one
//! scenario each.

mod control;
mod evidence;
mod forbids;
mod foresight;
mod leaders;
mod loss;
mod operators;
mod peers;
mod returns;
mod rules;
mod storm;

use super::world::{Setup, World};
use tenure_core::{Command, LossPolicy, Millis, NodeId, NodeRef, Note, PinKind};

/// Three nodes in three zones, whole and written to.
fn world(seed: u64) -> World {
    begun(&Setup::new(seed, LossPolicy::Never))
}

fn begun(setup: &Setup) -> World {
    let mut world = World::new(setup);
    world.run_until(Millis(3_000), World::is_whole);
    world.writing = true;
    world.run(Millis(300));
    assert!(!world.acked().is_empty());
    world
}

/// Nothing was broken and nothing is lost, also after a while.
fn done(mut world: World) {
    world.run(Millis(2_000));
    assert_eq!(
        world.checks.broken,
        Vec::<String>::new(),
        "{}",
        world.describe()
    );
    assert_eq!(world.lost(), Vec::<u64>::new(), "{}", world.describe());
}

/// Clients noticed nothing.
fn seamless(world: &World) {
    let gap = world.checks.longest_gap;
    assert!(gap < Millis(25), "{gap}\n{}", world.describe());
}

fn note(text: &str) -> Note {
    Note::new(text).expect("it is short")
}

fn pin(node: u64, kind: PinKind) -> Command {
    Command::SetPin {
        node: NodeRef::Id(NodeId(node)),
        expected: None,
        kind,
        until: None,
        reason: note("bad fan"),
    }
}
