//! Commands on instances.

use crate::fixture::*;
use tenure_core::{Command, Incarnation, Lifecycle, NodeId, NodeRef, RejectCode, Report, Revision};

use Expect::{Changes, Nothing, Rejects};

fn update(name: &str, node: NodeRef, expected: Revision, preference: u32) -> Command {
    Command::UpdateInstance {
        service: service(name),
        node,
        expected,
        endpoint: endpoint(1_001),
        preference,
    }
}

fn remove(name: &str, node: u64, expected: Revision) -> Command {
    Command::RemoveInstance {
        service: service(name),
        node: id(node),
        expected,
    }
}

#[test]
fn adding() {
    table([
        (
            "on an active node",
            add_instance("git", 1, 100),
            Changes("instance of git on node 1"),
        ),
        (
            "on a joining node",
            add_instance("git", 4, 0),
            Changes("instance of git on node 4"),
        ),
        (
            "twice",
            add_instance("sql", 1, 100),
            Rejects(RejectCode::AlreadyExists, "sql on a", None),
        ),
        (
            "unknown service",
            add_instance("none", 1, 100),
            Rejects(RejectCode::NotFound, "service none", None),
        ),
        (
            "unknown node",
            add_instance("git", 9, 100),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
        (
            "removed node",
            add_instance("git", 5, 100),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
    ]);
    for lifecycle in [Lifecycle::Draining, Lifecycle::Maintenance] {
        let mut world = World::small();
        world.must(set_lifecycle(3, world.at_node(3), lifecycle));
        let reject = world.must_reject(add_instance("git", 3, 100));
        assert_eq!(
            reject.to_string(),
            format!("node c takes no new roles: it is {lifecycle}")
        );
        assert_eq!(reject.code, RejectCode::NodeNotPlaceable);
    }
}

#[test]
fn changing() {
    let world = World::small();
    let at = world.at_instance("sql", 1);
    table([
        (
            "changed",
            update("sql", id(1), at, 7),
            Changes("instance of sql on node 1"),
        ),
        (
            "by name",
            update("sql", named("a"), at, 7),
            Changes("instance of sql on node 1"),
        ),
        ("as it is", update("sql", id(1), at, 100), Nothing),
        (
            "stale",
            update("sql", id(1), Revision(4), 7),
            Rejects(
                RejectCode::Changed,
                "instance of sql on node 1",
                Some((4, at.0)),
            ),
        ),
        (
            "not there",
            update("web", id(2), at, 7),
            Rejects(RejectCode::NotFound, "web on node 2", None),
        ),
        (
            "unknown node",
            update("sql", id(9), at, 7),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}

#[test]
fn removing() {
    let world = World::small();
    table([
        (
            "in the in-sync set, which it leaves",
            remove("sql", 2, world.at_instance("sql", 2)),
            Changes("assignment of sql, instance of sql on node 2"),
        ),
        (
            "outside of it",
            remove("sql", 3, world.at_instance("sql", 3)),
            Changes("instance of sql on node 3"),
        ),
        (
            "a peer",
            remove("web", 1, world.at_instance("web", 1)),
            Changes("instance of web on node 1"),
        ),
        (
            "the primary",
            remove("sql", 1, world.at_instance("sql", 1)),
            Rejects(RejectCode::InstanceIsPrimary, "sql on a", None),
        ),
        (
            "stale",
            remove("sql", 3, Revision(1)),
            Rejects(
                RejectCode::Changed,
                "instance of sql on node 3",
                Some((1, world.at_instance("sql", 3).0)),
            ),
        ),
        (
            "not there",
            remove("web", 2, Revision(1)),
            Rejects(RejectCode::NotFound, "web on node 2", None),
        ),
        (
            "unknown node",
            remove("web", 9, Revision(1)),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}

#[test]
fn reporting() {
    let world = World::small();
    let at = world.at_instance("sql", 1);
    table([
        (
            "as it comes",
            report("sql", member(1, 1), None, healthy()),
            Changes("instance of sql on node 1"),
        ),
        (
            "after what was read",
            report("sql", member(1, 1), Some(at), healthy()),
            Changes("instance of sql on node 1"),
        ),
        (
            "stale",
            report("sql", member(1, 1), Some(Revision(1)), healthy()),
            Rejects(
                RejectCode::Changed,
                "instance of sql on node 1",
                Some((1, at.0)),
            ),
        ),
        (
            "from an earlier life",
            report("sql", member(1, 0), None, healthy()),
            Rejects(RejectCode::WrongIncarnation, "node a", Some((0, 1))),
        ),
        (
            "from a life to come",
            report("sql", member(1, 2), None, healthy()),
            Rejects(RejectCode::WrongIncarnation, "node a", Some((2, 1))),
        ),
        (
            "nothing, before anything was reported",
            report("sql", member(4, 0), None, Report::default()),
            Nothing,
        ),
        (
            "no such instance",
            report("web", member(2, 1), None, healthy()),
            Rejects(RejectCode::NotFound, "web on node 2", None),
        ),
        (
            "from a removed node",
            report("web", member(5, 0), None, healthy()),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
    ]);
}

#[test]
fn a_repeated_report_changes_nothing_until_the_node_lives_again() {
    let mut world = World::small();
    world.must(report("sql", member(1, 1), None, healthy()));
    let at = world.at_instance("sql", 1);
    let applied = world.apply(report("sql", member(1, 1), None, healthy()));
    assert_eq!(applied.events, []);
    assert_eq!(world.at_instance("sql", 1), at);
    world.must(join(1, 1));
    let applied = world.apply(report("sql", member(1, 2), None, healthy()));
    assert_eq!(applied.events.len(), 1, "the same words in another life");
    let instance = world.state.instance(&service("sql"), NodeId(1)).unwrap();
    assert_eq!(instance.reported_in, Incarnation(2));
}
