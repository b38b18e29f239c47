//! Commands on how the cluster decides by itself, on pauses of it, and the level that all of these need.

use crate::{fixture::*, promotions::said};
use std::sync::Arc;
use tenure_core::{
    Automation, Command, Epoch, Key, Millis, NodeId, Pause, Record, RejectCode, Revision, Scope,
    Timeline, Timestamp, limits::PAUSES_MAX,
};

use Expect::{Changes, Nothing, Rejects};

fn set(expected: u64, change: impl FnOnce(&mut Automation)) -> Command {
    let mut automation = Automation::default();
    change(&mut automation);
    Command::SetAutomation {
        expected: Revision(expected),
        automation,
    }
}

fn pause(scope: Scope, expected: Option<Revision>, why: &str) -> Command {
    Command::SetPause {
        scope,
        expected,
        until: None,
        reason: note(why),
    }
}

fn on_service(name: &str) -> Scope {
    Scope::Service(service(name))
}

fn on_node(node: u64) -> Scope {
    Scope::Node(NodeId(node))
}

/// I20: what was granted by a longer lease may still run.
#[test]
fn the_longest_lease_is_remembered() {
    let mut world = risen();
    for (lease, earlier) in [
        (2_500, 0),
        (300, 2_500),
        (1_000, 2_500),
        (4_000, 0),
        (500, 4_000),
    ] {
        let at = world.state.automation().modified;
        // What somebody says of it is left aside.
        world.must(set(at.0, |it| {
            (it.fast_lease, it.earlier_lease) = (Millis(lease), Millis(7));
            it.fast_heartbeat = Millis(100);
        }));
        let now = world.state.automation();
        assert_eq!(now.earlier_lease, Millis(earlier));
        assert_eq!(now.longest_lease(), Millis(lease.max(earlier)));
    }
}

#[test]
fn how_the_cluster_decides() {
    let invalid = || Rejects(RejectCode::Invalid, "automation", None);
    table_on(
        &risen(),
        [
            (
                "changed",
                set(0, |it| it.storm_budget = 3),
                Changes("automation"),
            ),
            ("the defaults, which are so", set(0, |_| ()), Nothing),
            (
                "stale",
                set(1, |it| it.storm_budget = 3),
                Rejects(RejectCode::Changed, "automation", Some((1, 0))),
            ),
            (
                "no storm at all",
                set(0, |it| it.storm_budget = 0),
                invalid(),
            ),
            (
                "a lease of two beats",
                set(0, |it| it.fast_lease = Millis(299)),
                invalid(),
            ),
            (
                "a slow lease of two beats",
                set(0, |it| it.slow_lease = Millis(2_999)),
                invalid(),
            ),
            (
                "more drift than clocks have",
                set(0, |it| it.drift_permille = 101),
                invalid(),
            ),
            (
                "a grace below the lease",
                set(0, |it| it.agent_grace = Millis(999)),
                invalid(),
            ),
            (
                "replicas given up within a lease",
                set(0, |it| it.replica_grace = Millis(999)),
                invalid(),
            ),
            (
                "no time to survey",
                set(0, |it| it.survey = Millis(9)),
                invalid(),
            ),
            (
                "no time to switch",
                set(0, |it| it.switchover = Millis(9)),
                invalid(),
            ),
        ],
    );
}

#[test]
fn a_change_says_when_it_was_made() {
    let mut world = risen();
    world.must(set(0, |it| it.storm_budget = 3));
    let at = world.at(&Key::Automation);
    assert_eq!(
        (at, world.state.automation().storm_budget),
        (world.state.revision(), 3)
    );
    let late = world.must_reject(set(0, |it| it.storm_budget = 4));
    assert_eq!((late.code, late.actual), (RejectCode::Changed, Some(at.0)));
    world.must(set(at.0, |_| ()));
    assert_eq!(world.state.automation().storm_budget, 2);
}

fn paused() -> World {
    let mut world = risen();
    for scope in [Scope::Cluster, on_service("sql"), on_node(2)] {
        world.must(pause(scope, None, "a move"));
    }
    world
}

#[test]
fn pausing() {
    let world = paused();
    let at = |scope: Scope| world.at(&Key::Pause(scope));
    table_on(
        &world,
        [
            (
                "another service",
                pause(on_service("web"), None, "x"),
                Changes("pause of service web"),
            ),
            (
                "another node",
                pause(on_node(3), None, "x"),
                Changes("pause of node 3"),
            ),
            (
                "for another reason",
                pause(Scope::Cluster, Some(at(Scope::Cluster)), "y"),
                Changes("pause of the cluster"),
            ),
            (
                "as it is",
                pause(on_node(2), Some(at(on_node(2))), "a move"),
                Nothing,
            ),
            (
                "there is one",
                pause(Scope::Cluster, None, "y"),
                Rejects(RejectCode::AlreadyExists, "pause of the cluster", None),
            ),
            (
                "there is none",
                pause(on_node(3), Some(Revision(1)), "y"),
                Rejects(RejectCode::NotFound, "pause of node 3", None),
            ),
            (
                "stale",
                pause(on_service("sql"), Some(Revision(1)), "y"),
                Rejects(
                    RejectCode::Changed,
                    "pause of service sql",
                    Some((1, at(on_service("sql")).0)),
                ),
            ),
            (
                "of no service",
                pause(on_service("none"), None, "x"),
                Rejects(RejectCode::NotFound, "service none", None),
            ),
            (
                "of no node",
                pause(on_node(9), None, "x"),
                Rejects(RejectCode::NotFound, "node 9", None),
            ),
            (
                "of a removed node",
                pause(on_node(5), None, "x"),
                Rejects(RejectCode::NotFound, "node e", None),
            ),
        ],
    );
}

#[test]
fn resuming() {
    let world = paused();
    let resume = |scope: Scope, expected: Revision| Command::RemovePause { scope, expected };
    let at = world.at(&Key::Pause(on_node(2)));
    table_on(
        &world,
        [
            (
                "taken away",
                resume(on_node(2), at),
                Changes("pause of node 2"),
            ),
            (
                "there is none",
                resume(on_node(3), at),
                Rejects(RejectCode::NotFound, "pause of node 3", None),
            ),
            (
                "stale",
                resume(on_node(2), Revision(1)),
                Rejects(RejectCode::Changed, "pause of node 2", Some((1, at.0))),
            ),
        ],
    );
}

/// I19: what is gone is not paused.
#[test]
fn a_pause_goes_with_what_it_is_of() {
    let mut world = risen();
    for scope in [on_service("git"), on_node(4)] {
        world.must(pause(scope, None, ""));
    }
    world.must(Command::RemoveService {
        name: service("git"),
        expected: world.at_service("git"),
    });
    world.must(Command::RemoveInstance {
        service: service("sql"),
        node: id(4),
        expected: world.at_instance("sql", 4),
    });
    world.must(remove_node(4, world.at_node(4)));
    assert_eq!(world.state.pauses().len(), 0);
}

#[test]
fn pauses_are_bounded() {
    let mut world = risen();
    let one = Pause {
        scope: Scope::Cluster,
        until: None,
        reason: note(""),
        modified: Revision(1),
    };
    for number in 0..PAUSES_MAX {
        world.state.put(Record::Pause(Arc::new(Pause {
            scope: Scope::Node(NodeId(1_000 + number as u64)),
            ..one.clone()
        })));
    }
    let index = world.state.applied().next();
    let late = envelope(None, pause(Scope::Cluster, None, ""));
    let reject = world
        .state
        .apply(index, &late)
        .outcome
        .into_result()
        .unwrap_err();
    let most = PAUSES_MAX as u64;
    assert_eq!(
        (reject.code, reject.expected, reject.actual),
        (RejectCode::LimitReached, Some(most), Some(most))
    );
}

/// A server that does not know them would stop: below level 2 none of them gets into the state.
#[test]
fn below_level_2_all_of_these_are_rejected() {
    let at = World::small().at_assignment("sql");
    let commands = [
        said().command(),
        set(0, |_| ()),
        pause(Scope::Cluster, None, ""),
        Command::RemovePause {
            scope: Scope::Cluster,
            expected: Revision(1),
        },
        Command::SetMembers {
            service: service("sql"),
            epoch: Epoch(1),
            expected: at,
            in_sync: [NodeId(1)].into(),
            syncing: [].into(),
        },
        Command::CompleteReceipt {
            service: service("sql"),
            epoch: Epoch(1),
            timeline: Timeline::new(),
        },
        Command::NoteReturn {
            service: service("sql"),
            epoch: Epoch(1),
            returned: note(""),
        },
        Command::Acknowledge {
            service: service("sql"),
            epoch: Epoch(1),
        },
    ];
    for command in commands {
        let mut world = World::small();
        let batch = Command::Batch(vec![command.clone()]);
        for command in [command, batch] {
            let reject = world.must_reject(command);
            assert_eq!(
                (reject.code, reject.expected, reject.actual),
                (RejectCode::FeatureLevelTooLow, Some(2), Some(1))
            );
        }
    }
}

#[test]
fn the_history_says_what_was_decided() {
    let mut world = paused();
    world.must(said().command());
    world.must(Command::SetPause {
        scope: on_node(3),
        expected: None,
        until: Some(Timestamp(5)),
        reason: note(""),
    });
    let said: Vec<String> = world
        .state
        .history()
        .values()
        .rev()
        .take(4)
        .map(|it| it.what.as_str().to_owned())
        .collect();
    assert_eq!(
        said,
        [
            "automation was paused for node c",
            "b became primary of sql after epoch 1 (instance exited): it exited",
            "automation was paused for node b: a move",
            "automation was paused for service sql: a move",
        ]
    );
}
