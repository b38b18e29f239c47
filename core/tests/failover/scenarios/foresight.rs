//! `what-if` and `explain` are answered by the functions that decide: what they say is what happens.

use super::{done, note, pin, world};
use crate::failover::world::World;
use tenure_core::{Command, Millis, NodeId, PinKind, Scope, controller::HoldCode};

#[test]
fn what_would_happen_happens() {
    let mut world = world(120);
    let forecasts = world.what_if_lost(1);
    assert_eq!(forecasts.len(), 1);
    let foreseen = forecasts[0].decision.clone().unwrap();
    let (least, most) = forecasts[0].outage_ms.unwrap();
    let before = world.checks.last_ack;
    world.power_off(1);
    world.run_until(Millis(5_000), |world| world.moved_to(2));
    assert_eq!(NodeId(world.primary()), foreseen);
    world.run_until(Millis(500), |world| world.checks.last_ack > before);
    let outage = world.checks.longest_gap.0;
    println!("an outage of {outage} ms, foreseen {least} to {most}");
    assert!(
        (least..=most).contains(&outage),
        "{outage}: {least} to {most}"
    );
    done(world);
}

#[test]
fn the_loss_of_a_replica_concerns_nobody() {
    let world = world(121);
    assert_eq!(world.what_if_lost(2), []);
}

/// Each thing that keeps a failover from being made, foreseen and then explained in the same words.
#[test]
fn what_would_be_held_is_held_for_the_same_reason() {
    type Obstacle = (HoldCode, fn(&mut World));
    let obstacles: [Obstacle; 4] = [
        (HoldCode::Paused, |world| {
            world.must(Command::SetPause {
                scope: Scope::Cluster,
                expected: None,
                until: None,
                reason: note("a move of racks"),
            });
        }),
        (HoldCode::Pinned, |world| world.must(pin(1, PinKind::Up))),
        (HoldCode::NoCandidate, |world| {
            world.must(pin(2, PinKind::Down));
            world.must(pin(3, PinKind::Down));
        }),
        (HoldCode::NotProven, |world| {
            world.power_off(2);
            world.run(Millis(2_000));
        }),
    ];
    for (code, put_up) in obstacles {
        let mut world = world(122);
        put_up(&mut world);
        world.run(Millis(100));
        let forecast = world.what_if_lost(1).remove(0);
        let foreseen = forecast.decision.unwrap_err();
        assert_eq!(foreseen.code, code, "{foreseen}");
        assert_eq!(forecast.outage_ms, None);
        world.kill_store(1);
        world.run(Millis(2_000));
        assert_eq!(world.held(), Some(foreseen));
        assert_eq!(world.epoch(), 1);
    }
}

#[test]
fn an_explanation_says_what_it_rests_on() {
    let mut world = world(123);
    let service = world.services[0].clone();
    let quiet = world.explain_of(&service).unwrap();
    assert_eq!(quiet.decision.unwrap_err().code, HoldCode::Nothing);
    let facts = quiet.facts.join("\n");
    for fact in [
        "policy: loss never, 1 of the others must have a write",
        "n1 is primary by epoch 1",
        "in sync: n1, n2, n3",
        "healthy, following, at ",
        "this leader has a quorum and hears a majority of the servers",
    ] {
        assert!(facts.contains(fact), "{fact}\n{facts}");
    }
    world.stall_node(1, Millis(3_000));
    world.kill_server(1);
    world.run_until(Millis(500), |world| {
        world.leader() == Some(2) || world.leader() == Some(3)
    });
    world.run(Millis(300));
    let watching = world.held().unwrap();
    assert_eq!(watching.code, HoldCode::Watching, "{watching}");
    let other = tenure_core::ServiceName::new("other").unwrap();
    let unknown = world.explain_of(&other).unwrap().decision.unwrap_err();
    assert_eq!(unknown.code, HoldCode::NotThatKind);
    world.run(Millis(4_000));
    done(world);
}

/// What `explain` says of the first service, at every millisecond until something holds.
fn said_until(world: &mut World, holds: impl Fn(&World) -> bool) -> String {
    let mut said = String::new();
    for _ in 0..5_000 {
        if holds(world) {
            return said;
        }
        let explained = world.explain_of(&world.services[0].clone());
        let decision = explained.map(|it| it.decision.map_err(|hold| hold.to_string()));
        said.push_str(&format!("{decision:?}\n"));
        world.run(Millis(1));
    }
    panic!("it never came to that: {}", world.describe());
}

/// Whoever asks in the midst of a failover, or of a switchover, is told which step is under way.
#[test]
fn each_step_is_explained_while_it_is_taken() {
    let mut world = world(123);
    world.net.weather.slow_driver = (100, 60);
    world.failover(Some(2), false, false);
    let said = said_until(&mut world, |world| world.moved_to(2));
    for step in [
        "waiting for a proof that the old primary serves no more",
        "asking the others how far they have got",
        "the change is with the log",
    ] {
        assert!(said.contains(step), "{step}:\n{said}");
    }
    world.run_until(Millis(20_000), World::is_whole);
    let epoch = world.epoch();
    world.switchover(None);
    let said = said_until(&mut world, |world| world.moved_to(epoch + 1));
    for step in [
        "writes are being held back",
        "the candidate catches up",
        "the old primary is being fenced",
    ] {
        assert!(said.contains(step), "{step}:\n{said}");
    }
    done(world);
}

/// An operator who waits for a leader that is deposed meanwhile is told so, and so is one who asks nobody's leader.
#[test]
fn whoever_asks_a_leader_that_leads_no_more_is_told() {
    let mut world = world(124);
    let leader = world.leader().unwrap();
    world.net.weather.slow_driver = (100, 300);
    let ask = world.switchover(None);
    world.run(Millis(20));
    world.cut_server(leader);
    world.run(Millis(900));
    world.mend();
    let answer = world.answer(ask, Millis(3_000));
    assert_eq!(answer.unwrap_err().code, HoldCode::NotLeading);
    done(world);
}
