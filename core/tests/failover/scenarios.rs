//! What happens when something dies, is frozen, or is cut off: one scenario each.

use super::{
    store::Process,
    world::{Place, World, policy, service},
};
use tenure_core::{
    Automation, Cause, Completeness, ControlLoss, Epoch, FenceProof, LossPolicy, Millis, NodeId,
    NodeName, NodeRef, Note, Phase,
    controller::{HoldCode, Wish},
};

fn world(seed: u64) -> World {
    let mut world = World::new(seed, 3, policy(LossPolicy::Never), Automation::default());
    world.run_until(Millis(3_000), World::is_whole);
    world.writing = true;
    world.run(Millis(300));
    assert!(!world.acked.is_empty());
    world
}

fn done(mut world: World) {
    world.run(Millis(2_000));
    assert_eq!(world.broken, Vec::<String>::new());
    assert_eq!(world.lost(), Vec::<u64>::new());
}

#[test]
fn a_primary_that_exits_is_replaced_within_a_blink() {
    let mut world = world(1);
    world.kill_store(1);
    let took = world.run_until(Millis(100), |world| world.epoch() == 2 && world.serves());
    println!("exited to serving: {took}");
    assert!(took <= Millis(20), "{took}");
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap().clone();
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert_eq!(receipt.account.fence, FenceProof::Exited);
    assert!(matches!(
        receipt.account.completeness,
        Completeness::Proven { .. }
    ));
    world.run(Millis(300));
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert!(receipt.account.timeline.contains_key(&Phase::Confirmed));
    world.restart_store(1);
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_falls_silent_is_replaced_when_its_lease_is_over() {
    let mut world = world(2);
    let frozen = world.now.after(Millis(5_000));
    world.nodes.get_mut(&1).unwrap().stalled_until = frozen;
    let took = world.run_until(Millis(2_000), |world| world.epoch() == 2 && world.serves());
    println!("frozen to serving: {took}");
    assert!(took >= Millis(900), "{took}");
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert_eq!(receipt.account.cause, Cause::NodeLost);
    world.run(Millis(5_000));
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_is_cut_off_is_replaced_and_stops_by_itself() {
    let mut world = world(3);
    world.isolate(1);
    world.run_until(Millis(2_000), |world| world.epoch() == 2 && world.serves());
    assert!(!world.nodes[&1].store.takes_writes(world.now));
    world.cuts.clear();
    world.run_until(Millis(3_000), World::is_whole);
    done(world);
}

#[test]
fn a_primary_that_the_leader_alone_does_not_hear_stays() {
    let mut world = world(4);
    world.cut_both(Place::Node(1), Place::Server(1));
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
    done(world);
}

#[test]
fn the_loss_of_the_leader_moves_nothing() {
    let mut world = world(5);
    world.kill_server(1);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
    done(world);
}

#[test]
fn the_loss_of_all_servers_stops_nothing_under_pledge() {
    let mut world = world(6);
    for server in [3, 2, 1] {
        world.kill_server(server);
    }
    world.run(Millis(60_000));
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
    for server in 1..=3 {
        world.start_server(server);
    }
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1);
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
    done(world);
}

#[test]
fn the_loss_of_all_servers_stops_everything_under_fence() {
    let automation = Automation {
        control_loss: ControlLoss::Fence,
        ..Automation::default()
    };
    let mut world = World::new(7, 3, policy(LossPolicy::Never), automation);
    world.run_until(Millis(3_000), World::is_whole);
    world.writing = true;
    world.run(Millis(300));
    for server in [3, 2, 1] {
        world.kill_server(server);
    }
    world.run(Millis(1_100));
    let acked = world.acked.len();
    world.run(Millis(10_000));
    assert_eq!(world.acked.len(), acked);
    for server in 1..=3 {
        world.start_server(server);
    }
    world.run_until(Millis(3_000), World::is_whole);
    assert_eq!(world.epoch(), 1);
    done(world);
}

#[test]
fn a_primary_that_is_cut_off_with_one_replica_stops_in_time() {
    let mut world = world(8);
    for server in 1..=3 {
        world.cut_both(Place::Node(1), Place::Server(server));
        world.cut_both(Place::Node(2), Place::Server(server));
    }
    world.cut_both(Place::Node(1), Place::Node(3));
    world.cut_both(Place::Node(2), Place::Node(3));
    world.run(Millis(1_100));
    assert!(!world.nodes[&1].store.takes_writes(world.now));
    world.run(Millis(3_000));
    assert_eq!(world.epoch(), 1, "one of two was heard: nothing is proven");
    assert!(world.explain().contains("NotProven"), "{}", world.explain());
    world.cuts.clear();
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn an_agent_that_is_killed_has_its_grace() {
    let mut world = world(9);
    world.kill_agent(1);
    world.run(Millis(5_000));
    assert_eq!(world.epoch(), 1);
    assert!(
        world.explain().contains("AgentGrace"),
        "{}",
        world.explain()
    );
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
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
    world.run_until(Millis(15_000), |world| world.epoch() == 2 && world.serves());
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert_eq!(receipt.account.cause, Cause::AgentLost);
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
    assert!(world.longest_gap < Millis(20), "{}", world.longest_gap);
    done(world);
}

#[test]
fn a_primary_whose_writes_are_stuck_is_moved() {
    let mut world = world(12);
    let now = world.now;
    let store = &mut world.nodes.get_mut(&1).unwrap().store;
    (store.jammed, store.jammed_since) = (true, now);
    world.run_until(Millis(6_000), |world| world.epoch() == 2 && world.serves());
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert_eq!(receipt.account.cause, Cause::Stuck);
    done(world);
}

#[test]
fn a_frozen_store_under_a_living_agent_is_replaced() {
    let mut world = world(13);
    let now = world.now;
    let store = &mut world.nodes.get_mut(&1).unwrap().store;
    (store.process, store.jammed_since) = (Process::Frozen, now);
    world.run_until(Millis(8_000), |world| world.epoch() == 2 && world.serves());
    world.nodes.get_mut(&1).unwrap().store.process = Process::Running;
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn a_node_that_hears_nothing_is_replaced_though_it_is_heard() {
    let mut world = world(14);
    for server in 1..=3 {
        world.cuts.insert((Place::Server(server), Place::Node(1)));
    }
    for other in [2, 3] {
        world.cuts.insert((Place::Node(other), Place::Node(1)));
    }
    world.run_until(Millis(5_000), |world| world.epoch() == 2 && world.serves());
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert_eq!(receipt.account.cause, Cause::Deaf);
    world.cuts.clear();
    world.run_until(Millis(5_000), World::is_whole);
    done(world);
}

#[test]
fn a_switchover_moves_the_primary_and_fails_no_write() {
    let mut world = world(15);
    let ask = world.wish(Wish::Switchover {
        service: service(),
        to: Some(NodeRef::Name(NodeName::new("n3").unwrap())),
        reason: Note::default(),
    });
    let took = world.run_until(Millis(200), |world| world.epoch() == 2 && world.serves());
    println!("switchover: {took}, longest gap {}", world.longest_gap);
    assert_eq!(world.primary(), 3);
    assert!(world.answers[&ask].is_ok());
    let receipt = world.state.receipt(&service(), Epoch(2)).unwrap();
    assert_eq!(receipt.account.completeness, Completeness::Equal);
    world.run_until(Millis(3_000), World::is_whole);
    assert!(world.longest_gap <= Millis(50), "{}", world.longest_gap);
    done(world);
}

#[test]
fn a_switchover_is_taken_back_when_the_candidate_stalls() {
    let mut world = world(16);
    let frozen = world.now.after(Millis(900));
    let ask = world.wish(Wish::Switchover {
        service: service(),
        to: Some(NodeRef::Id(NodeId(2))),
        reason: Note::default(),
    });
    world.nodes.get_mut(&2).unwrap().stalled_until = frozen.after(Millis(1_000));
    world.run_until(Millis(1_500), |world| world.answers.contains_key(&ask));
    let hold = world.answers[&ask].clone().unwrap_err();
    assert_eq!(hold.code, HoldCode::Aborted, "{hold}");
    world.run(Millis(200));
    assert!(world.serves());
    assert_eq!(world.epoch(), 1);
    done(world);
}

#[test]
fn a_primary_and_the_leader_lost_together() {
    let mut world = world(17);
    world.kill_server(1);
    world.kill_store(1);
    world.run_until(Millis(2_000), |world| world.epoch() == 2 && world.serves());
    done(world);
}

#[test]
fn a_node_that_leaves_hands_over_first() {
    let mut world = world(18);
    world.tell_agent(1, tenure_core::agent::Input::Leave);
    world.run_until(Millis(500), |world| {
        world.notes.iter().any(|it| it == "n1 left")
    });
    assert_eq!(world.epoch(), 2);
    done(world);
}

#[test]
fn stalls_of_half_a_second_move_nothing() {
    let mut world = world(19);
    for round in 0..40 {
        let until = world.now.after(Millis(500));
        match round % 4 {
            0 => world.servers.get_mut(&1).unwrap().stalled_until = until,
            1 => world.nodes.get_mut(&1).unwrap().stalled_until = until,
            2 => world.nodes.get_mut(&2).unwrap().stalled_until = until,
            _ => {}
        }
        world.run(Millis(700));
    }
    assert_eq!(world.epoch(), 1);
    done(world);
}
