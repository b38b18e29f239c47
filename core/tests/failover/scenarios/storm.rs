//! Many things lost at once.

use super::begun;
use crate::failover::world::{Setup, World, policy, service};
use tenure_core::{Command, LossPolicy, Millis, Policy, ServiceName, controller::HoldCode};

/// Four nodes in one zone and two in another.
fn zones(seed: u64) -> Setup {
    let mut setup = Setup::of(seed, 6, policy(LossPolicy::Never));
    setup.zones = vec!["a", "a", "a", "a", "b", "b"];
    setup.services.clear();
    setup
}

fn primary(loss: LossPolicy) -> Policy {
    Policy::Primary(policy(loss))
}

fn whole(world: &World) -> bool {
    let counted = |name: &ServiceName| {
        let now = world.assignment_of(name);
        now.in_sync.len() == world.state.instances(name).count()
    };
    world.services.iter().all(counted)
}

fn all_served(world: &World, epoch: u64) -> bool {
    let served = |index| {
        let now = world.assignment_of(&world.services[index]);
        now.epoch.0 == epoch && world.serves_as(index)
    };
    (0..world.services.len()).all(served)
}

#[test]
fn ten_services_lost_together_all_move() {
    let mut setup = zones(70);
    for index in 0..10 {
        setup = setup.with(&format!("s{index}"), primary(LossPolicy::Never), &[1, 5, 6]);
    }
    let mut world = World::new(&setup);
    world.run_until(Millis(5_000), whole);
    world.writing = true;
    world.run(Millis(300));
    world.power_off(1);
    let took = world.run_until(Millis(2_000), |world| all_served(world, 2));
    println!("ten services lost to all serving: {took}");
    for name in world.services.clone() {
        let receipts: Vec<_> = world.state.receipts(&name).collect();
        assert_eq!(receipts.len(), 1, "{name}");
        assert!(receipts[0].account.completeness.is_lossless(), "{name}");
    }
    assert_eq!(world.checks.broken, Vec::<String>::new());
}

/// Of `sure` the survivors prove that nothing is missing, of `unsure` they do not: loss is allowed, but
/// not in a storm.
fn two_services(seed: u64) -> World {
    let setup = zones(seed)
        .with("sure", primary(LossPolicy::Available), &[1, 5, 6])
        .with("unsure", primary(LossPolicy::Available), &[2, 3, 5]);
    let mut world = World::new(&setup);
    world.run_until(Millis(5_000), whole);
    world.writing = true;
    world.run(Millis(300));
    world
}

#[test]
fn within_the_budget_of_a_zone_everything_moves_that_its_policy_lets_move() {
    let mut world = two_services(71);
    for node in [2, 3] {
        world.power_off(node);
    }
    world.run_until(Millis(3_000), |world| world.serves_as(1));
    let unsure = world.services[1].clone();
    assert_eq!(world.assignment_of(&unsure).loss.0, 1);
    assert_eq!(world.checks.broken, Vec::<String>::new());
}

#[test]
fn over_the_budget_of_a_zone_only_what_is_proven_moves() {
    let mut world = two_services(72);
    for node in [1, 2, 3, 4] {
        world.power_off(node);
    }
    world.run_until(Millis(3_000), |world| world.serves_as(0));
    world.run(Millis(3_000));
    let unsure = world.services[1].clone();
    assert_eq!(world.assignment_of(&unsure).epoch.0, 1);
    let held = world.explain_of(&unsure).unwrap().decision.unwrap_err();
    assert_eq!(held.code, HoldCode::Storm, "{held}");
    // When the storm is over it moves as its policy says.
    world.run_until(Millis(10_000), |world| world.serves_as(1));
    assert_eq!(world.checks.broken, Vec::<String>::new());
}

/// What an operator asks for in a storm is done, with the loss that he accepts.
#[test]
fn in_a_storm_an_operator_decides() {
    let mut world = begun(&Setup::new(73, LossPolicy::Available));
    world.must(Command::SetAutomation {
        expected: world.state.automation().modified,
        automation: tenure_core::Automation {
            storm_budget: 1,
            storm_window: Millis(60_000),
            ..**world.state.automation()
        },
    });
    // In one zone all three: the first two are lost.
    for node in 1..=3 {
        world.must(Command::UpdateNode {
            node: tenure_core::NodeRef::Id(tenure_core::NodeId(node)),
            expected: world.revision_of(node),
            zone: None,
            labels: tenure_core::Attributes::default(),
            weight: 100,
        });
    }
    world.power_off(1);
    world.power_off(2);
    world.run(Millis(3_000));
    assert_eq!(world.held().unwrap().code, HoldCode::Storm);
    let cautious = world.failover(Some(3), false, false);
    let hold = world.answer(cautious, Millis(1_000)).unwrap_err();
    assert_eq!(hold.code, HoldCode::NotProven, "{hold}");
    let ask = world.failover(Some(3), true, false);
    assert_eq!(world.answer(ask, Millis(2_000)).unwrap().to.0, 3);
    assert_eq!(world.state.assignment(&service()).unwrap().loss.0, 1);
}
