//! Commands on who may acknowledge, and on receipts.

use crate::{
    fixture::*,
    promotions::{nodes, said},
};
use tenure_core::{
    Assignment, Command, Epoch, Key, Millis, NodeId, Outcome, Phase, Receipt, RejectCode, Revision,
    limits::{IN_SYNC_MAX, RECEIPTS_PER_SERVICE_MAX},
};

use Expect::{Changes, Nothing, Rejects};

fn set(name: &str, epoch: u64, at: Revision, in_sync: &[u64], syncing: &[u64]) -> Command {
    Command::SetMembers {
        service: service(name),
        epoch: Epoch(epoch),
        expected: at,
        in_sync: nodes(in_sync),
        syncing: nodes(syncing),
    }
}

fn now(world: &World) -> Assignment {
    let assignment = world.state.assignment(&service("sql"));
    assignment.expect("it has one").as_ref().clone()
}

#[test]
fn stating_who_may_acknowledge() {
    let world = risen();
    let at = world.at_assignment("sql");
    table_on(
        &world,
        [
            (
                "let in",
                set("sql", 1, at, &[1, 2], &[3, 4]),
                Changes("assignment of sql"),
            ),
            (
                "caught up",
                set("sql", 1, at, &[1, 2, 3], &[]),
                Changes("assignment of sql"),
            ),
            (
                "left out",
                set("sql", 1, at, &[1], &[]),
                Changes("assignment of sql"),
            ),
            (
                "back to syncing",
                set("sql", 1, at, &[1], &[2]),
                Changes("assignment of sql"),
            ),
            ("as it is", set("sql", 1, at, &[1, 2], &[]), Nothing),
        ],
    );
}

#[test]
fn stating_what_cannot_be() {
    let world = risen();
    let at = world.at_assignment("sql");
    let idle = world.at_assignment("idle");
    let bad = |name| Rejects(RejectCode::BadInSyncSet, name, None);
    let many: Vec<u64> = (1..=IN_SYNC_MAX as u64).collect();
    let most = IN_SYNC_MAX as u64;
    table_on(
        &world,
        [
            (
                "without the primary",
                set("sql", 1, at, &[2], &[1]),
                bad("service sql"),
            ),
            (
                "in both",
                set("sql", 1, at, &[1, 2], &[2]),
                bad("service sql"),
            ),
            (
                "a stranger",
                set("sql", 1, at, &[1], &[5]),
                bad("service sql"),
            ),
            (
                "before the first primary",
                set("idle", 0, idle, &[2], &[]),
                bad("service idle"),
            ),
            (
                "too many together",
                set("sql", 1, at, &[1, 2], &many),
                Rejects(
                    RejectCode::LimitReached,
                    "members of sql",
                    Some((most, most + 2)),
                ),
            ),
            (
                "by an old epoch",
                set("sql", 0, at, &[1], &[]),
                Rejects(RejectCode::WrongEpoch, "service sql", Some((0, 1))),
            ),
            (
                "stale",
                set("sql", 1, Revision(1), &[1], &[]),
                Rejects(RejectCode::Changed, "assignment of sql", Some((1, at.0))),
            ),
            (
                "unknown service",
                set("none", 1, at, &[1], &[]),
                Rejects(RejectCode::NotFound, "service none", None),
            ),
            (
                "peers have none",
                set("web", 0, at, &[1], &[]),
                Rejects(RejectCode::NotAPrimaryService, "service web", None),
            ),
        ],
    );
}

#[test]
fn who_is_stated_to_be_in_sync_by_hand_syncs_no_more() {
    let mut world = risen();
    world.must(set("sql", 1, world.at_assignment("sql"), &[1], &[2, 3]));
    world.must(set_in_sync("sql", 1, world.at_assignment("sql"), &[1, 2]));
    assert_eq!(
        (now(&world).in_sync, now(&world).syncing),
        (nodes(&[1, 2]), nodes(&[3]))
    );
}

#[test]
fn an_instance_that_is_removed_acknowledges_no_more() {
    let mut world = risen();
    world.must(set("sql", 1, world.at_assignment("sql"), &[1, 2], &[3]));
    for (node, left) in [(3, nodes(&[1, 2])), (2, nodes(&[1]))] {
        world.must(Command::RemoveInstance {
            service: service("sql"),
            node: id(node),
            expected: world.at_instance("sql", node),
        });
        assert_eq!(
            (now(&world).in_sync, now(&world).syncing),
            (left, nodes(&[]))
        );
    }
}

#[test]
fn a_successor_by_hand_is_not_left_among_those_who_sync() {
    let mut world = risen();
    world.must(set("sql", 1, world.at_assignment("sql"), &[1, 2], &[3]));
    world.must(set_primary("sql", 2, 1));
    assert_eq!(
        (now(&world).in_sync, now(&world).syncing),
        (nodes(&[1, 2]), nodes(&[3]))
    );
    let mut world = risen();
    world.must(set("sql", 1, world.at_assignment("sql"), &[1, 2], &[3]));
    world.must(Command::SetPrimary {
        service: service("sql"),
        to: id(3),
        succeeds: Epoch(1),
        accept_loss: true,
        reason: note(""),
    });
    assert_eq!(
        (now(&world).in_sync, now(&world).syncing),
        (nodes(&[3]), nodes(&[]))
    );
}

fn promoted() -> World {
    let mut world = risen();
    world.must(said().command());
    world
}

/// Their agents may be silent, and a primary live on pledges, of which no report speaks.
#[test]
fn nobody_is_named_where_agents_have_moved_the_primary() {
    let mut world = promoted();
    let moved = now(&world);
    let (to, at) = (moved.primary.expect("there is one").node, moved.modified);
    let other = if to == NodeId(1) { 2 } else { 1 };
    for command in [
        set_primary("sql", other, moved.epoch.0),
        set_in_sync("sql", moved.epoch.0, at, &[to.0]),
    ] {
        let Outcome::Rejected(reject) = world.apply(command).outcome else {
            panic!("agents keep it");
        };
        assert_eq!(reject.code, RejectCode::KeptByAgents);
    }
}

fn receipt(world: &World) -> Receipt {
    let receipt = world.state.receipt(&service("sql"), Epoch(2));
    receipt.expect("it was promoted").as_ref().clone()
}

fn complete(epoch: u64, phases: &[(Phase, u64)]) -> Command {
    Command::CompleteReceipt {
        service: service("sql"),
        epoch: Epoch(epoch),
        timeline: phases
            .iter()
            .map(|(phase, at)| (*phase, Millis(*at)))
            .collect(),
    }
}

fn returned(epoch: u64, what: &str) -> Command {
    Command::NoteReturn {
        service: service("sql"),
        epoch: Epoch(epoch),
        returned: note(what),
    }
}

fn acknowledge(epoch: u64) -> Command {
    Command::Acknowledge {
        service: service("sql"),
        epoch: Epoch(epoch),
    }
}

#[test]
fn the_later_steps_are_added_once() {
    let mut world = promoted();
    let revision = world.state.revision();
    world.must(complete(2, &[(Phase::Committed, 7), (Phase::Confirmed, 9)]));
    world.must(complete(2, &[(Phase::Committed, 70), (Phase::Detected, 1)]));
    let timeline = receipt(&world).account.timeline;
    let wanted = [
        (Phase::Detected, 1),
        (Phase::Committed, 7),
        (Phase::Confirmed, 9),
    ];
    let wanted = wanted.map(|(phase, at)| (phase, Millis(at)));
    assert_eq!(timeline, wanted.into());
    assert_eq!(
        world.state.revision(),
        revision,
        "watchers are told nothing of it"
    );
}

#[test]
fn a_return_and_an_acknowledgement_are_noted() {
    let mut world = promoted();
    world.must(returned(2, "diverged: saved in /var/tail"));
    world.must(acknowledge(2));
    let after = receipt(&world);
    assert_eq!(after.returned.as_str(), "diverged: saved in /var/tail");
    assert!(after.acknowledged);
    world.must(acknowledge(2));
    assert_eq!(receipt(&world), after, "repeating it changes nothing");
}

#[test]
fn what_has_no_receipt_gets_none() {
    let missing = |epoch| match epoch {
        1 => Rejects(RejectCode::NotFound, "receipt of sql at epoch 1", None),
        _ => Rejects(RejectCode::NotFound, "receipt of sql at epoch 3", None),
    };
    table_on(
        &promoted(),
        [1, 3].into_iter().flat_map(|epoch| {
            [
                ("steps", complete(epoch, &[]), missing(epoch)),
                ("return", returned(epoch, "ahead"), missing(epoch)),
                ("acknowledgement", acknowledge(epoch), missing(epoch)),
            ]
        }),
    );
}

#[test]
fn receipts_are_bounded_and_the_oldest_go_first() {
    let mut world = promoted();
    let most = RECEIPTS_PER_SERVICE_MAX as u64;
    for epoch in 2..=most + 3 {
        let (from, to) = if epoch % 2 == 0 { (2, 1) } else { (1, 2) };
        world.must(set("sql", epoch, world.at_assignment("sql"), &[1, 2], &[]));
        let mut next = said();
        next.succeeds = epoch;
        next.to = member(to, 1);
        next.in_sync = vec![to];
        next.syncing = vec![from];
        next.account.completeness = crate::promotions::heard(&[to]);
        let applied = world.apply(next.command());
        assert!(matches!(applied.outcome, Outcome::Done(_)), "{applied:?}");
        let dropped = Key::Receipt(service("sql"), Epoch((epoch + 1).saturating_sub(most)));
        assert_eq!(applied.hidden.contains(&dropped), epoch > most, "{epoch}");
    }
    let kept: Vec<u64> = world
        .state
        .receipts(&service("sql"))
        .map(|it| it.epoch.0)
        .collect();
    assert_eq!(kept, (5..=most + 4).collect::<Vec<_>>());
}

#[test]
fn a_service_that_is_removed_takes_its_receipts_along() {
    let mut world = promoted();
    for node in [1, 3, 4] {
        world.must(Command::RemoveInstance {
            service: service("sql"),
            node: id(node),
            expected: world.at_instance("sql", node),
        });
    }
    let expected = world.at_service("sql");
    let name = service("sql");
    world.must(Command::RemoveService { name, expected });
    assert_eq!(world.state.receipts(&service("sql")).count(), 0);
    assert_eq!((now(&world).primary, now(&world).epoch), (None, Epoch(2)));
}
