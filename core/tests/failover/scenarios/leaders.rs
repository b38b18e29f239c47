//! Leaders that are new, that are deposed and do not know it, and what operators wrote in between.

use super::{begun, done, seamless, world};
use crate::failover::world::{Place, Setup, World};
use tenure_core::{
    Automation, Cause, Command, ControlLoss, LossPolicy, Millis, Outcome, RejectCode,
};

fn fencing(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, LossPolicy::Never);
    setup.automation = Automation {
        control_loss: ControlLoss::Fence,
        ..Automation::default()
    };
    setup
}

fn is_elected(world: &World, term: u64) -> bool {
    world.term == term && world.leader().is_some()
}

#[test]
fn a_new_leader_judges_nobody_before_it_has_listened() {
    let mut world = world(40);
    world.stall_node(1, Millis(10_000));
    world.run(Millis(800));
    world.kill_server(1);
    world.run_until(Millis(500), |world| is_elected(world, 2));
    // Silent for longer than its lease, but not for as long as this leader has listened.
    world.run(Millis(1_000));
    assert_eq!(world.epoch(), 1);
    world.run_until(Millis(500), |world| world.moved_to(2));
    assert_eq!(world.cause(), Cause::NodeLost);
    world.run(Millis(8_000));
    done(world);
}

/// What rests on no proof has no place beside agents: the one named would serve while n1 holds its lease.
#[test]
fn a_primary_cannot_be_named_beside_the_agents() {
    let mut world = begun(&fencing(41));
    let Outcome::Rejected(reject) = world.set_primary(2, true) else {
        panic!("n1 serves");
    };
    assert_eq!(reject.code, RejectCode::KeptByAgents);
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    done(world);
}

/// It goes on believing that it leads, and hears every member; it has no quorum, and grants nothing.
#[test]
fn a_deposed_leader_that_is_heard_by_everybody_moves_nothing() {
    let mut world = world(44);
    world.cut_server(1);
    world.run_until(Millis(500), |world| is_elected(world, 2));
    world.run(Millis(5_000));
    assert_eq!(world.server(1).leads, Some(1));
    assert_eq!(world.epoch(), 1);
    seamless(&world);
    world.mend();
    world.run(Millis(500));
    assert_eq!(world.server(1).leads, None);
    done(world);
}

/// The primary hears the deposed leader alone, which gives it no lease; the others hear the new one.
#[test]
fn a_primary_that_a_deposed_leader_alone_hears_is_replaced() {
    for seed in 45..50 {
        let mut world = begun(&fencing(seed));
        world.cut_server(1);
        for server in [2, 3] {
            world.net.cut_both(Place::Node(1), Place::Server(server));
        }
        for node in [2, 3] {
            world.net.cut_both(Place::Node(node), Place::Node(1));
            world.net.cut_both(Place::Node(node), Place::Server(1));
        }
        world.run_until(Millis(4_000), |world| world.moved_to(2));
        assert_eq!(world.server(1).leads, Some(1));
        world.mend();
        world.run_until(Millis(3_000), World::is_whole);
        done(world);
    }
}

/// The old leader cannot commit, so a failover that only it wants comes to nothing.
#[test]
fn a_deposed_leader_commits_nothing() {
    let mut world = world(50);
    world.cut_server(1);
    world.net.cut_both(Place::Node(1), Place::Server(1));
    world.run_until(Millis(500), |world| is_elected(world, 2));
    world.run(Millis(6_000));
    assert_eq!(world.epoch(), 1, "{}", world.describe());
    seamless(&world);
    world.mend();
    world.run(Millis(2_000));
    assert_eq!(world.epoch(), 1);
    done(world);
}

#[test]
fn a_proposal_whose_outcome_is_never_told_is_seen_in_the_state() {
    let mut world = world(51);
    world.net.weather.untold = 100;
    world.kill_store(1);
    world.run_until(Millis(1_500), |world| world.moved_to(2));
    world.net.weather.untold = 0;
    world.restart_store(1);
    world.run_until(Millis(15_000), World::is_whole);
    done(world);
}

/// Late, doubled, lost and overtaking messages, and clocks at the bound of their drift.
#[test]
fn a_bad_network_moves_nothing() {
    let mut world = world(52);
    for (node, drift) in [(1, -5), (2, 5), (3, 5)] {
        world.node_mut(node).drift = drift;
    }
    world.net.weather.late = (20, 150);
    world.net.weather.lost = 10;
    world.net.weather.doubled = 20;
    world.run(Millis(60_000));
    assert_eq!(world.epoch(), 1, "{}", world.describe());
    world.net.weather = Default::default();
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

/// The lease is made shorter while the primary lives on a longer one, and the leader dies.
#[test]
fn a_lease_that_was_made_shorter_runs_as_long_as_it_was_granted_for() {
    let mut setup = fencing(90);
    setup.automation.fast_lease = Millis(2_500);
    let mut world = begun(&setup);
    let beyond = [2, 3].map(Place::Server);
    for other in beyond.into_iter().chain([2, 3].map(Place::Node)) {
        world.net.cut_both(Place::Node(1), other);
    }
    world.run(Millis(100));
    let known = **world.state.automation();
    world.must(Command::SetAutomation {
        expected: known.modified,
        automation: Automation {
            fast_lease: Millis(300),
            ..known
        },
    });
    world.kill_server(1);
    world.run(Millis(4_000));
    assert_eq!(
        world.checks.broken,
        Vec::<String>::new(),
        "{}",
        world.describe()
    );
}
