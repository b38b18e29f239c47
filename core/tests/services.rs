//! Commands on services.

use crate::fixture::*;
use tenure_core::{
    Command, CopiesPolicy, Epoch, Key, Kind, Loss, Millis, PeersPolicy, Policy, PrimaryPolicy,
    RejectCode, Revision, limits::SERVICES_MAX,
};

use Expect::{Changes, Nothing, Rejects};

fn update(name: &str, expected: Revision, policy: Policy) -> Command {
    Command::UpdateService {
        name: service(name),
        expected,
        policy,
    }
}

fn remove(name: &str, expected: Revision) -> Command {
    Command::RemoveService {
        name: service(name),
        expected,
    }
}

fn contradictory() -> Policy {
    Policy::Primary(PrimaryPolicy {
        replicas: 0,
        write_acks: 1,
        ..PrimaryPolicy::default()
    })
}

#[test]
fn adding() {
    table([
        (
            "with a primary",
            add_service("new", Policy::default_for(Kind::Primary)),
            Changes("service new, assignment of new"),
        ),
        (
            "of peers",
            add_service("new", Policy::default_for(Kind::Peers)),
            Changes("service new"),
        ),
        (
            "of copies",
            add_service("new", Policy::default_for(Kind::Copies)),
            Changes("service new"),
        ),
        (
            "name in use",
            add_service("sql", bounded()),
            Rejects(RejectCode::AlreadyExists, "service sql", None),
        ),
        (
            "contradictory",
            add_service("new", contradictory()),
            Rejects(RejectCode::Invalid, "policy of new", None),
        ),
    ]);
}

#[test]
fn changing() {
    let world = World::small();
    let (sql, web, git) = (
        world.at_service("sql"),
        world.at_service("web"),
        world.at_service("git"),
    );
    let patient = Policy::Primary(PrimaryPolicy {
        anti_flap_ms: Millis(1),
        ..PrimaryPolicy::default()
    });
    let peers = Policy::Peers(PeersPolicy { healthy_min: 2 });
    let copies = Policy::Copies(CopiesPolicy {
        copies: 17,
        ..CopiesPolicy::default()
    });
    table([
        (
            "changed",
            update("sql", sql, patient),
            Changes("service sql"),
        ),
        ("peers", update("web", web, peers), Changes("service web")),
        ("as it is", update("sql", sql, bounded()), Nothing),
        (
            "out of range",
            update("git", git, copies),
            Rejects(RejectCode::Invalid, "policy of git", None),
        ),
        (
            "another kind",
            update("web", web, patient),
            Rejects(RejectCode::KindIsFixed, "service web", None),
        ),
        (
            "stale",
            update("sql", Revision(2), patient),
            Rejects(RejectCode::Changed, "service sql", Some((2, sql.0))),
        ),
        (
            "unknown",
            update("none", sql, patient),
            Rejects(RejectCode::NotFound, "service none", None),
        ),
    ]);
}

#[test]
fn removing() {
    let world = World::small();
    table([
        (
            "without instances",
            remove("git", world.at_service("git")),
            Changes("service git"),
        ),
        (
            "with instances",
            remove("web", world.at_service("web")),
            Rejects(RejectCode::ServiceHasInstances, "service web", None),
        ),
        (
            "with an instance and no primary",
            remove("idle", world.at_service("idle")),
            Rejects(RejectCode::ServiceHasInstances, "service idle", None),
        ),
        (
            "with others beside the primary",
            remove("sql", world.at_service("sql")),
            Rejects(RejectCode::ServiceHasInstances, "service sql", None),
        ),
        (
            "stale",
            remove("git", Revision(1)),
            Rejects(
                RejectCode::Changed,
                "service git",
                Some((1, world.at_service("git").0)),
            ),
        ),
        (
            "unknown",
            remove("none", Revision(1)),
            Rejects(RejectCode::NotFound, "service none", None),
        ),
    ]);
}

#[test]
fn a_service_that_comes_back_goes_on_counting_epochs() {
    let mut world = World::small();
    world.must(Command::RemoveInstance {
        service: service("safe"),
        node: id(2),
        expected: world.at_instance("safe", 2),
    });
    let applied = world.apply(remove("safe", world.at_service("safe")));
    let keys: Vec<String> = applied.events.iter().map(|e| e.key.to_string()).collect();
    assert_eq!(
        keys,
        [
            "service safe",
            "assignment of safe",
            "instance of safe on node 1"
        ]
    );
    let left = world.state.assignment(&service("safe")).unwrap().clone();
    assert_eq!(
        (left.primary, left.epoch, left.loss),
        (None, Epoch(1), Loss(0))
    );

    world.must(add_service("safe", Policy::default_for(Kind::Peers)));
    world.must(add_instance("safe", 1, 100));
    let reject = world.must_reject(set_primary("safe", 1, 1));
    assert_eq!(reject.code, RejectCode::NotAPrimaryService);
    world.must(Command::RemoveInstance {
        service: service("safe"),
        node: id(1),
        expected: world.at_instance("safe", 1),
    });
    world.must(remove("safe", world.at_service("safe")));

    world.must(add_service("safe", Policy::default_for(Kind::Primary)));
    world.must(add_instance("safe", 2, 100));
    let reject = world.must_reject(set_primary("safe", 2, 0));
    assert_eq!(reject.code, RejectCode::WrongEpoch, "epoch 1 was used up");
    world.must(set_primary("safe", 2, 1));
    let now = world.state.assignment(&service("safe")).unwrap();
    assert_eq!(now.epoch, Epoch(2));
}

/// Without check of the invariants after each entry, which would be quadratic.
#[test]
fn neither_services_nor_remembered_epochs_grow_without_bound() {
    let mut state = World::empty().state;
    let mut apply = |command| {
        let index = state.applied().next();
        let applied = state.apply(index, &envelope(None, command));
        (applied.outcome.into_result(), index)
    };
    let name = |i: usize| format!("s{i}");
    let primary = Policy::default_for(Kind::Primary);
    for i in 0..SERVICES_MAX {
        let (added, at) = apply(add_service(&name(i), primary));
        assert!(added.is_ok(), "{i}: {added:?}");
        if i % 2 == 0 {
            let (removed, _) = apply(remove(&name(i), Revision(at.0)));
            assert!(removed.is_ok(), "{i}: {removed:?}");
        }
    }
    let max = SERVICES_MAX as u64;
    let reject = apply(add_service("new", primary)).0.unwrap_err();
    assert_eq!(
        (reject.code, reject.expected, reject.actual),
        (RejectCode::LimitReached, Some(max), Some(max))
    );
    let (again, _) = apply(add_service(&name(0), primary));
    assert!(again.is_ok(), "a known name: {again:?}");
    for i in 0..SERVICES_MAX / 2 - 1 {
        let policy = Policy::default_for(Kind::Peers);
        let (added, _) = apply(add_service(&format!("p{i}"), policy));
        assert!(added.is_ok(), "{i}: {added:?}");
    }
    let policy = Policy::default_for(Kind::Peers);
    let reject = apply(add_service("one-more", policy)).0.unwrap_err();
    assert_eq!(
        (reject.code, reject.subject.as_str()),
        (RejectCode::LimitReached, "services")
    );
    assert_eq!(state.get(&Key::Service(service("one-more"))), None);
}
