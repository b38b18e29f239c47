//! Commands on nodes.

use crate::fixture::*;
use tenure_core::{
    Attributes, Command, Created, Incarnation, Key, Lifecycle, NodeId, NodeRef, RejectCode,
    Revision, limits::WEIGHT_MAX,
};

use Expect::{Changes, Nothing, Rejects};

fn update(node: NodeRef, expected: Revision, weight: u32) -> Command {
    Command::UpdateNode {
        node,
        expected,
        zone: None,
        labels: Attributes::default(),
        weight,
    }
}

fn weighing(weight: u32) -> Command {
    Command::AddNode {
        name: node_name("new"),
        zone: zone("rack-1"),
        labels: labels(&[("os", "linux")]),
        weight,
    }
}

#[test]
fn adding_and_changing() {
    let now = World::small().at_node(1);
    let heavy = Some((u64::from(WEIGHT_MAX), u64::from(WEIGHT_MAX) + 1));
    table([
        ("added", weighing(WEIGHT_MAX), Changes("node 6")),
        ("name of a removed node", add_node("e"), Changes("node 6")),
        (
            "name in use",
            add_node("a"),
            Rejects(RejectCode::AlreadyExists, "node a", None),
        ),
        (
            "too heavy",
            weighing(WEIGHT_MAX + 1),
            Rejects(RejectCode::Invalid, "weight of node new", heavy),
        ),
        ("changed", update(id(1), now, 5), Changes("node 1")),
        ("by name", update(named("a"), now, 5), Changes("node 1")),
        ("as it is", update(id(1), now, 100), Nothing),
        (
            "changed to too heavy",
            update(id(1), now, WEIGHT_MAX + 1),
            Rejects(RejectCode::Invalid, "weight of node a", heavy),
        ),
        (
            "stale",
            update(id(1), Revision(1), 5),
            Rejects(RejectCode::Changed, "node 1", Some((1, now.0))),
        ),
        (
            "unknown id",
            update(id(9), now, 5),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
        (
            "unknown name",
            update(named("e"), now, 5),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
        (
            "removed",
            update(id(5), now, 5),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
    ]);
}

#[test]
fn a_new_life_is_another_member() {
    table([
        ("again", join(1, 1), Changes("node 1")),
        ("first", join(4, 0), Changes("node 4")),
        (
            "a life that is over",
            join(1, 0),
            Rejects(RejectCode::WrongIncarnation, "node a", Some((0, 1))),
        ),
        (
            "removed",
            join(5, 0),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
    ]);
    let mut world = World::small();
    world.must(join(4, 0));
    let node = &world.state.nodes()[&NodeId(4)];
    assert_eq!(node.lifecycle, Lifecycle::Active);
    assert_eq!(node.incarnation, Incarnation(1));
    world.must(set_lifecycle(4, world.at_node(4), Lifecycle::Draining));
    world.must(join(4, 1));
    let node = &world.state.nodes()[&NodeId(4)];
    assert_eq!(
        node.lifecycle,
        Lifecycle::Draining,
        "a restart undoes no drain"
    );
    assert_eq!(node.member(), member(4, 2));
}

#[test]
fn moving_along_the_lifecycle() {
    let world = World::small();
    let (a, c) = (world.at_node(1), world.at_node(3));
    table([
        (
            "a primary may drain",
            set_lifecycle(1, a, Lifecycle::Draining),
            Changes("node 1"),
        ),
        (
            "a primary hands over before maintenance",
            set_lifecycle(1, a, Lifecycle::Maintenance),
            Rejects(RejectCode::NodeHoldsPrimary, "node a", None),
        ),
        (
            "maintenance",
            set_lifecycle(3, c, Lifecycle::Maintenance),
            Changes("node 3"),
        ),
        (
            "never back to joining",
            set_lifecycle(3, c, Lifecycle::Joining),
            Rejects(RejectCode::TransitionNotAllowed, "node c", None),
        ),
        (
            "removal is another command",
            set_lifecycle(3, c, Lifecycle::Removed),
            Rejects(RejectCode::TransitionNotAllowed, "node c", None),
        ),
        (
            "no step",
            set_lifecycle(3, c, Lifecycle::Active),
            Rejects(RejectCode::TransitionNotAllowed, "node c", None),
        ),
        (
            "stale",
            set_lifecycle(3, Revision(2), Lifecycle::Draining),
            Rejects(RejectCode::Changed, "node 3", Some((2, c.0))),
        ),
        (
            "unknown",
            set_lifecycle(9, c, Lifecycle::Draining),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}

#[test]
fn maintenance_names_the_services_in_its_way() {
    let mut world = World::small();
    let at = world.at_node(1);
    let reject = world.must_reject(set_lifecycle(1, at, Lifecycle::Maintenance));
    assert_eq!(
        reject.to_string(),
        "node a is primary of something: make another instance primary first of: safe, sql"
    );
}

#[test]
fn the_steps_of_the_lifecycle() {
    use Lifecycle::{Active, Draining, Joining, Maintenance};
    let allowed = [
        (Joining, Active),
        (Joining, Maintenance),
        (Active, Draining),
        (Active, Maintenance),
        (Draining, Active),
        (Draining, Maintenance),
        (Maintenance, Active),
        (Maintenance, Draining),
    ];
    for from in Lifecycle::ALL {
        for to in Lifecycle::ALL {
            let wanted = allowed.contains(&(from, to));
            assert_eq!(from.may_become(to), wanted, "{from} to {to}");
        }
    }
}

#[test]
fn removing() {
    let world = World::small();
    table([
        (
            "holds instances",
            remove_node(1, world.at_node(1)),
            Rejects(RejectCode::NodeHasInstances, "node a", None),
        ),
        (
            "stale",
            remove_node(1, Revision(3)),
            Rejects(RejectCode::Changed, "node 1", Some((3, world.at_node(1).0))),
        ),
        ("removed before", remove_node(5, Revision(3)), Nothing),
        (
            "unknown",
            remove_node(9, Revision(3)),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}

#[test]
fn a_removed_node_leaves_its_pin_and_its_name_but_not_its_id() {
    let mut world = World::small();
    let remove = Command::RemoveInstance {
        service: service("sql"),
        node: id(3),
        expected: world.at_instance("sql", 3),
    };
    world.must(remove);
    let applied = world.apply(remove_node(3, world.at_node(3)));
    let keys: Vec<Key> = applied.events.into_iter().map(|e| e.key).collect();
    assert_eq!(keys, [Key::Node(NodeId(3)), Key::Pin(NodeId(3))]);
    let created = world.must(add_node("c"));
    assert_eq!(created, Some(Created::Node(NodeId(6))));
    let found = world.state.find_node(&named("c"));
    assert_eq!(found.map(|node| node.id), Some(NodeId(6)));
    let found = world.state.find_node(&id(3));
    assert_eq!(found.map(|node| node.lifecycle), Some(Lifecycle::Removed));
}
