//! What is found wrong with a state.

use crate::fixture::*;
use tenure_core::{
    Command, Health, Kind, Lifecycle, Policy, PrimaryPolicy, Report, Severity, State,
};

fn shown(state: &State) -> Vec<String> {
    let line = |finding: tenure_core::Finding| {
        let tenure_core::Finding {
            severity,
            subject,
            what,
        } = finding;
        format!("{severity}: {subject}: {what}")
    };
    state.findings().into_iter().map(line).collect()
}

fn says(world: &mut World, name: &str, node: u64, health: Health) {
    let incarnation = world.state.nodes()[&tenure_core::NodeId(node)]
        .incarnation
        .0;
    let said = Report {
        health,
        ..Report::default()
    };
    world.must(report(name, member(node, incarnation), None, said));
}

/// Three nodes and one service with an instance on each.
fn one(policy: Policy) -> World {
    let mut world = World::empty();
    world.must(add_service("it", policy));
    for node in 1..=3 {
        world.must(add_node(&format!("n{node}")));
        world.must(add_instance("it", node, 100));
    }
    world
}

fn primary() -> World {
    one(Policy::Primary(PrimaryPolicy {
        replicas: 2,
        ..PrimaryPolicy::default()
    }))
}

#[test]
fn an_empty_cluster_has_nothing_wrong() {
    assert_eq!(shown(&World::empty().state), [] as [String; 0]);
}

#[test]
fn a_service_with_a_primary() {
    let mut world = primary();
    assert_eq!(
        shown(&world.state),
        ["CRITICAL: service it: has no primary"]
    );
    world.must(set_primary("it", 1, 0));
    let lone = "WARNING: service it: 0 replica(s) in sync of 2 wanted";
    let unknown = "CRITICAL: service it: its primary, node 1, is unknown";
    assert_eq!(shown(&world.state), [unknown, lone]);
    says(&mut world, "it", 1, Health::Degraded);
    assert_eq!(shown(&world.state), [lone]);
    world.must(set_in_sync("it", 1, world.at_assignment("it"), &[1, 2, 3]));
    assert_eq!(shown(&world.state), [] as [String; 0]);
    says(&mut world, "it", 2, Health::Failing);
    assert_eq!(
        shown(&world.state),
        ["WARNING: service it: 1 instance(s) failing"]
    );
    says(&mut world, "it", 1, Health::Failing);
    let failing = "CRITICAL: service it: its primary, node 1, is failing";
    assert_eq!(
        shown(&world.state),
        [failing, "WARNING: service it: 2 instance(s) failing"]
    );
}

#[test]
fn a_report_of_an_earlier_life_says_nothing_about_this_one() {
    let mut world = primary();
    world.must(set_primary("it", 1, 0));
    world.must(set_in_sync("it", 1, world.at_assignment("it"), &[1, 2, 3]));
    says(&mut world, "it", 1, Health::Healthy);
    assert_eq!(shown(&world.state), [] as [String; 0]);
    world.must(join(1, 0));
    let restarted =
        "WARNING: service it: its primary, node 1, was assigned in incarnation 0 and is in 1";
    let unknown = "CRITICAL: service it: its primary, node 1, is unknown";
    assert_eq!(shown(&world.state), [unknown, restarted]);
    says(&mut world, "it", 1, Health::Healthy);
    assert_eq!(shown(&world.state), [restarted]);
    world.must(set_primary("it", 1, 1));
    assert_eq!(shown(&world.state), [] as [String; 0]);
}

#[test]
fn peers_and_copies() {
    let least = Policy::Peers(tenure_core::PeersPolicy { healthy_min: 2 });
    let critical = "CRITICAL: service it: ";
    let table: [(Policy, [Health; 3], Vec<String>); 6] = [
        (
            least,
            [Health::Healthy, Health::Degraded, Health::Unknown],
            vec![],
        ),
        (
            least,
            [Health::Healthy, Health::Starting, Health::Unknown],
            vec![format!("{critical}1 healthy peer(s) of 2 needed")],
        ),
        (
            least,
            [Health::Healthy, Health::Healthy, Health::Failing],
            vec!["WARNING: service it: 1 instance(s) failing".to_owned()],
        ),
        (
            Policy::default_for(Kind::Copies),
            [Health::Healthy; 3],
            vec![],
        ),
        (
            Policy::default_for(Kind::Copies),
            [Health::Healthy, Health::Healthy, Health::Starting],
            vec!["WARNING: service it: 2 healthy store(s) for 3 copies".to_owned()],
        ),
        (
            Policy::default_for(Kind::Copies),
            [Health::Healthy, Health::Starting, Health::Starting],
            vec![format!("{critical}1 healthy store(s), a write needs 2")],
        ),
    ];
    for (policy, healths, wanted) in table {
        let mut world = one(policy);
        for (node, health) in (1..).zip(healths) {
            says(&mut world, "it", node, health);
        }
        assert_eq!(shown(&world.state), wanted, "{policy:?} {healths:?}");
    }
}

#[test]
fn nodes_that_are_worked_on_and_the_order() {
    let mut world = one(Policy::default_for(Kind::Copies));
    world.must(set_lifecycle(1, world.at_node(1), Lifecycle::Maintenance));
    world.must(join(2, 0));
    world.must(set_lifecycle(2, world.at_node(2), Lifecycle::Draining));
    world.must(Command::AddService {
        name: service("aa"),
        policy: Policy::default_for(Kind::Peers),
    });
    assert_eq!(
        shown(&world.state),
        [
            "CRITICAL: service aa: 0 healthy peer(s) of 1 needed",
            "CRITICAL: service it: 0 healthy store(s), a write needs 2",
            "WARNING: node n1: is maintenance (as asked)",
            "WARNING: node n2: is draining (as asked)",
        ]
    );
    assert!(Severity::Ok < Severity::Warning && Severity::Warning < Severity::Critical);
}
