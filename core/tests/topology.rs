//! Topology: planned, applied, and then nothing is left to plan.

use crate::fixture::*;
use tenure_core::{
    Attributes, Command, Kind, Lifecycle, NodeId, Outcome, PinKind, Plan, Policy, Topology,
    TopologyInstance, TopologyNode, TopologyService, topology,
};

fn node() -> TopologyNode {
    TopologyNode {
        zone: zone("rack-1"),
        labels: Attributes::default(),
        weight: 100,
    }
}

fn instance(preference: u32) -> TopologyInstance {
    TopologyInstance {
        endpoint: endpoint(1_000),
        preference,
    }
}

fn wanted_service(kind: Kind, on: &[&str], first: Option<&str>) -> TopologyService {
    TopologyService {
        policy: Policy::default_for(kind),
        instances: on
            .iter()
            .map(|name| (node_name(name), instance(100)))
            .collect(),
        first_primary: first.map(node_name),
    }
}

/// Three nodes; a database with a primary on a, a web server and a store.
fn wanted() -> Topology {
    Topology {
        nodes: ["a", "b", "c"].map(|name| (node_name(name), node())).into(),
        services: [
            (
                service("sql"),
                wanted_service(Kind::Primary, &["a", "b"], Some("a")),
            ),
            (
                service("web"),
                wanted_service(Kind::Peers, &["a", "b", "c"], None),
            ),
            (service("git"), wanted_service(Kind::Copies, &["c"], None)),
        ]
        .into(),
    }
}

fn carry_out(world: &mut World, plan: &Plan) {
    for step in &plan.steps {
        if let Outcome::Rejected(reject) = world.apply(step.command.clone()).outcome {
            panic!("{}: {reject}", step.what);
        }
    }
}

fn plan(world: &World, wanted: &Topology, remove: bool) -> Plan {
    topology::plan(&world.state, wanted, remove)
}

/// Plans, carries it out one by one and in one batch, and plans again: nothing is left but the holds.
fn converge(world: &mut World, wanted: &Topology, remove: bool) -> Plan {
    let first = plan(world, wanted, remove);
    let mut batched = world.clone();
    let all = first.steps.iter().map(|step| step.command.clone());
    batched.must(Command::Batch(all.collect()));
    carry_out(world, &first);
    for after in [&*world, &batched] {
        let second = plan(after, wanted, remove);
        assert_eq!(second.steps, [], "the second plan");
        assert_eq!(second.holds, first.holds, "the second plan");
    }
    first
}

fn steps(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.what.as_str()).collect()
}

fn set_up() -> World {
    let mut world = World::empty();
    let plan = converge(&mut world, &wanted(), false);
    assert_eq!(plan.holds, [] as [String; 0]);
    world
}

#[test]
fn from_nothing_to_the_topology() {
    let mut world = World::empty();
    let plan = converge(&mut world, &wanted(), false);
    assert_eq!(
        steps(&plan),
        [
            "add node a",
            "add node b",
            "add node c",
            "add service git (copies)",
            "add git on c",
            "add service sql (primary)",
            "add sql on a",
            "add sql on b",
            "make a the first primary of sql",
            "add service web (peers)",
            "add web on a",
            "add web on b",
            "add web on c",
        ]
    );
    assert_eq!(plan.holds, [] as [String; 0]);
    let sql = world.state.assignment(&service("sql")).unwrap();
    assert_eq!(sql.primary, Some(member(1, 0)));
}

#[test]
fn only_what_differs_is_changed() {
    let mut world = set_up();
    let mut other = wanted();
    other.nodes.get_mut(&node_name("b")).unwrap().weight = 7;
    let sql = other.services.get_mut(&service("sql")).unwrap();
    sql.policy = bounded();
    sql.instances.insert(node_name("b"), instance(50));
    sql.first_primary = Some(node_name("b"));
    let plan = converge(&mut world, &other, false);
    assert_eq!(
        steps(&plan),
        ["change node b", "change policy of sql", "change sql on b"]
    );
    let sql = world.state.assignment(&service("sql")).unwrap();
    assert_eq!(sql.primary, Some(member(1, 0)), "there was a first one");
}

#[test]
fn a_step_that_was_decided_on_something_else_is_rejected() {
    let mut world = set_up();
    let mut other = wanted();
    other.nodes.get_mut(&node_name("b")).unwrap().weight = 7;
    let plan = plan(&world, &other, false);
    world.must(join(2, 0));
    let reject = world.must_reject(plan.steps[0].command.clone());
    assert_eq!(reject.code, tenure_core::RejectCode::Changed);
}

/// What the topology no longer names: node c, the store, and the second web server.
fn smaller() -> Topology {
    let mut smaller = wanted();
    smaller.nodes.remove(&node_name("c"));
    smaller.services.remove(&service("git"));
    let web = smaller
        .services
        .get_mut(&service("web"))
        .expect("wanted names it");
    web.instances.remove(&node_name("b"));
    web.instances.remove(&node_name("c"));
    smaller
}

#[test]
fn nothing_is_removed_unless_asked() {
    let mut world = set_up();
    let plan = converge(&mut world, &smaller(), false);
    assert_eq!(steps(&plan), [] as [&str; 0]);
    let kept = "not in the topology; kept, as removal was not asked for";
    assert_eq!(
        plan.holds,
        [
            format!("instance of git on node 3: {kept}"),
            format!("service git: {kept}"),
            format!("instance of web on node 2: {kept}"),
            format!("instance of web on node 3: {kept}"),
            format!("node c: {kept}"),
        ]
    );
    let plan = converge(&mut world, &smaller(), true);
    assert_eq!(plan.holds, [] as [String; 0]);
    assert_eq!(
        steps(&plan),
        [
            "remove instance of git on node 3",
            "remove service git",
            "remove instance of web on node 2",
            "remove instance of web on node 3",
            "remove node c",
        ]
    );
}

#[test]
fn all_can_be_removed_with_the_primaries() {
    let mut world = set_up();
    let plan = converge(&mut world, &Topology::default(), true);
    assert_eq!(plan.holds, [] as [String; 0]);
    assert_eq!(world.state.instance_count(), 0);
    assert!(world.state.services().is_empty());
    assert!(world.state.nodes().values().all(|node| !node.is_present()));
    let again = converge(&mut world, &wanted(), true);
    assert_eq!(again.steps.len(), 13);
    let names: Vec<NodeId> = world
        .state
        .instances(&service("web"))
        .map(|i| i.node)
        .collect();
    assert_eq!(
        names,
        [NodeId(4), NodeId(5), NodeId(6)],
        "ids are never used again"
    );
}

#[test]
fn an_active_node_is_drained_before_it_goes() {
    let mut world = set_up();
    world.must(join(3, 0));
    let plan = converge(&mut world, &smaller(), true);
    assert_eq!(plan.holds, ["node c: it is active; drain it first"]);
    world.must(set_lifecycle(3, world.at_node(3), Lifecycle::Draining));
    let plan = converge(&mut world, &smaller(), true);
    assert_eq!(steps(&plan), ["remove node c"]);
}

#[test]
fn a_primary_is_not_removed_from_under_its_service() {
    let mut world = set_up();
    let mut without = wanted();
    without.nodes.remove(&node_name("a"));
    for service in without.services.values_mut() {
        service.instances.remove(&node_name("a"));
        service.first_primary = None;
    }
    let plan = converge(&mut world, &without, true);
    assert_eq!(steps(&plan), ["remove instance of web on node 1"]);
    assert_eq!(
        plan.holds,
        [
            "instance of sql on node 1: it is the primary; make another one primary first",
            "node a: it is the primary of sql",
        ]
    );
}

#[test]
fn a_node_that_only_a_service_names_stays() {
    let mut world = set_up();
    let mut odd = wanted();
    odd.nodes.remove(&node_name("c"));
    let plan = converge(&mut world, &odd, true);
    assert_eq!(steps(&plan), [] as [&str; 0]);
    assert_eq!(plan.holds, ["node c: a service of the topology names it"]);
}

#[test]
fn a_service_does_not_change_its_kind() {
    let mut world = set_up();
    let mut odd = wanted();
    let other = wanted_service(Kind::Primary, &["a", "b", "c"], Some("a"));
    odd.services.insert(service("web"), other);
    let plan = converge(&mut world, &odd, true);
    assert_eq!(
        plan.holds,
        [
            "service web: it is of kind peers and the kind is fixed; remove it first to make it primary",
            "web: a is to be its first primary, but a service of kind peers has none",
        ]
    );
}

#[test]
fn instances_that_cannot_be_placed_are_held() {
    let mut world = set_up();
    world.must(set_lifecycle(2, world.at_node(2), Lifecycle::Maintenance));
    let mut more = wanted();
    let new = wanted_service(Kind::Peers, &["a", "b", "x"], None);
    more.services.insert(service("new"), new);
    let plan = converge(&mut world, &more, false);
    assert_eq!(steps(&plan), ["add service new (peers)", "add new on a"]);
    assert_eq!(
        plan.holds,
        [
            "new on b: the node is maintenance",
            "new on x: there is no such node",
        ]
    );
}

/// One row per reason for which `apply` would reject the first primary: the plan holds it instead.
#[test]
fn a_first_primary_that_cannot_be_is_held() {
    let only = |first: &str, preference: u32, kind: Kind| {
        let mut topology = wanted();
        let mut db = wanted_service(kind, &["a", "b"], Some(first));
        let others = db.instances.values_mut();
        others.for_each(|instance| instance.preference = preference);
        topology.services.insert(service("db"), db);
        topology
    };
    let mut draining = set_up();
    draining.must(join(1, 0));
    let placed = wanted_service(Kind::Primary, &["a", "b"], None);
    let before = Topology {
        services: [(service("db"), placed)].into(),
        ..wanted()
    };
    carry_out_plan(&mut draining, &before);
    let mut pinned = draining.clone();
    draining.must(set_lifecycle(1, draining.at_node(1), Lifecycle::Draining));
    pinned.must(Command::SetPin {
        node: id(1),
        expected: None,
        kind: PinKind::Down,
        until: None,
        reason: note("bad disk"),
    });
    let table = [
        (
            set_up(),
            only("c", 100, Kind::Primary),
            "c",
            "has no instance of it",
        ),
        (
            set_up(),
            only("a", 0, Kind::Primary),
            "a",
            "its preference there is 0: never",
        ),
        (
            set_up(),
            only("a", 100, Kind::Copies),
            "a",
            "a service of kind copies has none",
        ),
        (
            draining,
            only("a", 100, Kind::Primary),
            "a",
            "the node is draining",
        ),
        (
            pinned,
            only("a", 100, Kind::Primary),
            "a",
            "the node is pinned down (bad disk)",
        ),
    ];
    for (mut world, topology, first, why) in table {
        let plan = converge(&mut world, &topology, false);
        let sentence = format!("db: {first} is to be its first primary, but {why}");
        assert!(plan.holds.contains(&sentence), "{:?}", plan.holds);
    }
}

fn carry_out_plan(world: &mut World, topology: &Topology) {
    let plan = plan(world, topology, false);
    carry_out(world, &plan);
}
