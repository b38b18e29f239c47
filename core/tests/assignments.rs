//! Commands on assignments: who is primary, and who holds every acknowledged write.

use crate::fixture::*;
use tenure_core::{
    Assignment, Command, Created, Epoch, Instance, Kind, Lifecycle, Loss, NodeId, Outcome, PinKind,
    Policy, RejectCode, Report, Revision, Role, limits::IN_SYNC_MAX,
};

use Expect::{Changes, Nothing, Rejects};

fn losing(name: &str, node: u64, succeeds: u64) -> Command {
    Command::SetPrimary {
        service: service(name),
        to: id(node),
        succeeds: Epoch(succeeds),
        accept_loss: true,
        reason: note("the others are gone"),
    }
}

fn now(world: &World, name: &str) -> Assignment {
    let assignment = world.state.assignment(&service(name));
    assignment.expect("the service has one").as_ref().clone()
}

fn in_sync(nodes: &[u64]) -> std::collections::BTreeSet<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

/// Three with instances, of which the primary says that it serves.
fn serving(mut world: World) -> World {
    let member = now(&world, "sql").primary.expect("it has one");
    let said = Report {
        role: Some((Role::Primary, Epoch(1))),
        ..Report::default()
    };
    world.must(report("sql", member, None, said));
    world
}

/// From level 2 on agents report roles, and hold what only the leader knows of.
#[test]
fn what_rests_on_no_proof_has_no_place_beside_agents() {
    let commands = |world: &World| {
        let at = world.at_assignment("sql");
        [set_in_sync("sql", 1, at, &[1]), set_primary("sql", 2, 1)]
    };
    for which in 0..2 {
        let mut world = serving(World::small());
        let [first, second] = commands(&world);
        world.must(if which == 0 { first } else { second });
        let mut world = serving(risen());
        for command in commands(&world) {
            let Outcome::Rejected(reject) = world.apply(command).outcome else {
                panic!("agents keep it");
            };
            assert_eq!(reject.code, RejectCode::KeptByAgents);
        }
    }
}

#[test]
fn choosing_a_primary() {
    table([
        (
            "in sync",
            set_primary("sql", 2, 1),
            Changes("assignment of sql"),
        ),
        (
            "the first",
            set_primary("idle", 2, 0),
            Changes("assignment of idle"),
        ),
        (
            "not in sync, loss accepted and allowed",
            losing("sql", 3, 1),
            Changes("assignment of sql"),
        ),
        (
            "not in sync",
            set_primary("sql", 3, 1),
            Rejects(RejectCode::NotInSync, "sql on c", None),
        ),
        (
            "not in sync, loss accepted and forbidden",
            losing("safe", 2, 1),
            Rejects(RejectCode::LossForbidden, "safe on b", None),
        ),
        (
            "decided on an old epoch",
            set_primary("sql", 2, 0),
            Rejects(RejectCode::WrongEpoch, "service sql", Some((0, 1))),
        ),
        (
            "decided on an epoch to come",
            set_primary("sql", 2, 2),
            Rejects(RejectCode::WrongEpoch, "service sql", Some((2, 1))),
        ),
        (
            "primary already",
            set_primary("sql", 1, 1),
            Rejects(RejectCode::AlreadyPrimary, "sql on a", None),
        ),
        (
            "preference 0, even with loss accepted",
            losing("sql", 4, 1),
            Rejects(RejectCode::NeverPrimary, "sql on d", None),
        ),
        (
            "no instance there",
            set_primary("safe", 3, 1),
            Rejects(RejectCode::NotFound, "safe on node 3", None),
        ),
        (
            "unknown node",
            set_primary("sql", 9, 1),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
        (
            "unknown service",
            set_primary("none", 1, 0),
            Rejects(RejectCode::NotFound, "service none", None),
        ),
        (
            "peers have none",
            set_primary("web", 1, 0),
            Rejects(RejectCode::NotAPrimaryService, "service web", None),
        ),
    ]);
}

#[test]
fn a_complete_successor_keeps_the_in_sync_set_and_loses_nothing() {
    let mut world = World::small();
    let created = world.must(losing("sql", 2, 1));
    assert_eq!(created, Some(Created::Epoch(Epoch(2))));
    let sql = now(&world, "sql");
    assert_eq!(sql.primary, Some(member(2, 1)));
    assert_eq!((sql.epoch, sql.loss), (Epoch(2), Loss(0)));
    assert_eq!(sql.in_sync, in_sync(&[1, 2]));
    assert_eq!(sql.reason.as_str(), "the others are gone");
}

#[test]
fn an_incomplete_successor_counts_a_loss_and_stands_alone() {
    let mut world = World::small();
    world.must(losing("sql", 3, 1));
    let sql = now(&world, "sql");
    assert_eq!(sql.primary, Some(member(3, 1)));
    assert_eq!((sql.epoch, sql.loss), (Epoch(2), Loss(1)));
    assert_eq!(sql.in_sync, in_sync(&[3]));
}

#[test]
fn of_two_changes_decided_on_the_same_epoch_one_happens() {
    let mut world = World::small();
    world.must(set_primary("sql", 2, 1));
    for late in [set_primary("sql", 2, 1), losing("sql", 3, 1)] {
        let reject = world.must_reject(late);
        assert_eq!(reject.code, RejectCode::WrongEpoch);
    }
    assert_eq!(now(&world, "sql").epoch, Epoch(2));
}

#[test]
fn the_same_machine_in_a_new_life_needs_a_new_epoch() {
    let mut world = World::small();
    world.must(join(1, 1));
    assert_eq!(now(&world, "sql").primary, Some(member(1, 1)));
    world.must(set_primary("sql", 1, 1));
    let sql = now(&world, "sql");
    assert_eq!((sql.primary, sql.epoch), (Some(member(1, 2)), Epoch(2)));
}

#[test]
fn a_node_that_takes_no_roles_becomes_no_primary() {
    for lifecycle in [Lifecycle::Draining, Lifecycle::Maintenance] {
        let mut world = World::small();
        world.must(set_lifecycle(2, world.at_node(2), lifecycle));
        let reject = world.must_reject(losing("sql", 2, 1));
        assert_eq!(reject.code, RejectCode::NodeNotPlaceable);
    }
    let mut world = World::small();
    world.must(Command::SetPin {
        node: id(2),
        expected: None,
        kind: PinKind::Down,
        until: None,
        reason: note("bad disk"),
    });
    let reject = world.must_reject(losing("sql", 2, 1));
    assert_eq!(reject.code, RejectCode::NodePinnedDown);
    assert_eq!(reject.to_string(), "node b is pinned down: bad disk");
}

#[test]
fn stating_who_is_in_sync() {
    let at = World::small().at_assignment("sql");
    table([
        (
            "widened",
            set_in_sync("sql", 1, at, &[1, 2, 3, 4]),
            Changes("assignment of sql"),
        ),
        (
            "shrunk to the primary",
            set_in_sync("sql", 1, at, &[1]),
            Changes("assignment of sql"),
        ),
        ("as it is", set_in_sync("sql", 1, at, &[1, 2]), Nothing),
        (
            "without the primary",
            set_in_sync("sql", 1, at, &[2, 3]),
            Rejects(RejectCode::BadInSyncSet, "service sql", None),
        ),
        (
            "empty",
            set_in_sync("sql", 1, at, &[]),
            Rejects(RejectCode::BadInSyncSet, "service sql", None),
        ),
        (
            "with a stranger",
            set_in_sync("sql", 1, at, &[1, 5]),
            Rejects(RejectCode::BadInSyncSet, "service sql", None),
        ),
        (
            "before the first primary",
            set_in_sync("idle", 0, World::small().at_assignment("idle"), &[2]),
            Rejects(RejectCode::BadInSyncSet, "service idle", None),
        ),
        (
            "by an old epoch",
            set_in_sync("sql", 0, at, &[1]),
            Rejects(RejectCode::WrongEpoch, "service sql", Some((0, 1))),
        ),
        (
            "stale",
            set_in_sync("sql", 1, Revision(1), &[1]),
            Rejects(RejectCode::Changed, "assignment of sql", Some((1, at.0))),
        ),
        (
            "unknown service",
            set_in_sync("none", 1, at, &[1]),
            Rejects(RejectCode::NotFound, "service none", None),
        ),
        (
            "peers have none",
            set_in_sync("web", 0, at, &[1]),
            Rejects(RejectCode::NotAPrimaryService, "service web", None),
        ),
    ]);
}

/// A removal of an instance takes it out of the set by itself: a set decided before names a stranger.
#[test]
fn a_set_decided_before_a_change_of_primary_is_rejected() {
    let mut world = World::small();
    let late = set_in_sync("sql", 1, world.at_assignment("sql"), &[1]);
    world.must(set_primary("sql", 2, 1));
    assert_eq!(world.must_reject(late).code, RejectCode::WrongEpoch);
    assert_eq!(now(&world, "sql").in_sync, in_sync(&[1, 2]));
}

#[test]
fn an_in_sync_set_is_bounded() {
    let mut world = World::small();
    let most = IN_SYNC_MAX as u64;
    let nodes: Vec<u64> = (1..=most + 1).collect();
    let late = set_in_sync("sql", 1, world.at_assignment("sql"), &nodes);
    let reject = world.must_reject(late);
    assert_eq!(
        (reject.code, reject.expected, reject.actual),
        (RejectCode::LimitReached, Some(most), Some(most + 1))
    );
}

#[test]
fn the_first_primary_is_alone_in_sync() {
    let mut world = World::small();
    world.must(set_primary("idle", 2, 0));
    let idle = now(&world, "idle");
    assert_eq!(idle.in_sync, in_sync(&[2]));
    assert_eq!((idle.epoch, idle.loss), (Epoch(1), Loss(0)));
}

/// Promise 3: under `never`, whoever the caller is and whatever it accepts.
#[test]
fn under_never_only_the_in_sync_set_takes_over() {
    let mut world = World::empty();
    for node in 1..=3 {
        world.must(add_node(&format!("n{node}")));
        if node == 1 {
            world.must(add_service("db", Policy::default_for(Kind::Primary)));
        }
        world.must(add_instance("db", node, 100));
    }
    world.must(set_primary("db", 1, 0));
    world.must(set_in_sync("db", 1, world.at_assignment("db"), &[1, 3]));
    let instances: Vec<Instance> = world
        .state
        .instances(&service("db"))
        .map(|instance| instance.as_ref().clone())
        .collect();
    for instance in instances {
        let mut tried = world.clone();
        let took_over = match tried.apply(losing("db", instance.node.0, 1)).outcome {
            Outcome::Done(_) | Outcome::Answered { .. } => true,
            Outcome::Rejected(_) => false,
        };
        assert_eq!(took_over, instance.node == NodeId(3), "{}", instance.node);
    }
}
