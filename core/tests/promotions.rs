//! Changes of primary that rest on evidence: what `apply` checks again of what a leader decided.

use crate::fixture::*;
use std::collections::BTreeSet;
use tenure_core::{
    Account, Assignment, Cause, Command, Completeness, Considered, Epoch, FenceProof, Lifecycle,
    Loss, LossPolicy, Member, NodeId, PinKind, Policy, PrimaryPolicy, RejectCode, Timeline,
    limits::{CONSIDERED_MAX, EVIDENCE_MAX, IN_SYNC_MAX},
};

use Expect::{Changes, Rejects};

/// What a promotion says, before it is made worse.
#[derive(Clone)]
pub struct Said {
    pub service: &'static str,
    pub to: Member,
    pub succeeds: u64,
    pub in_sync: Vec<u64>,
    pub syncing: Vec<u64>,
    pub account: Account,
}

pub fn nodes(of: &[u64]) -> BTreeSet<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

pub fn account(cause: Cause, fence: FenceProof, completeness: Completeness) -> Account {
    Account {
        cause,
        fence,
        completeness,
        evidence: vec![note("the agent of a saw its process go")],
        considered: Vec::new(),
        timeline: Timeline::new(),
    }
}

pub fn heard(of: &[u64]) -> Completeness {
    Completeness::Proven { heard: nodes(of) }
}

/// In the small world: b takes `sql` over from a, which has exited.
pub fn said() -> Said {
    Said {
        service: "sql",
        to: member(2, 1),
        succeeds: 1,
        in_sync: vec![2],
        syncing: vec![3],
        account: account(Cause::Exited, FenceProof::Exited, heard(&[2])),
    }
}

impl Said {
    pub fn command(self) -> Command {
        Command::Promote {
            service: service(self.service),
            to: self.to,
            succeeds: Epoch(self.succeeds),
            in_sync: nodes(&self.in_sync),
            syncing: nodes(&self.syncing),
            account: self.account,
            reason: note("it exited"),
        }
    }
}

pub fn with(change: impl FnOnce(&mut Said)) -> Command {
    let mut said = said();
    change(&mut said);
    said.command()
}

pub fn resting_on(fence: FenceProof, completeness: Completeness) -> Command {
    with(|it| {
        it.account.fence = fence;
        it.account.completeness = completeness;
    })
}

pub fn now(world: &World, name: &str) -> Assignment {
    let assignment = world.state.assignment(&service(name));
    assignment.expect("the service has one").as_ref().clone()
}

#[test]
fn a_promotion_names_what_is_there() {
    table_on(
        &risen(),
        [
            (
                "as it should be",
                said().command(),
                Changes("assignment of sql"),
            ),
            (
                "decided on an old epoch",
                with(|it| it.succeeds = 0),
                Rejects(RejectCode::WrongEpoch, "service sql", Some((0, 1))),
            ),
            (
                "decided on an epoch to come",
                with(|it| it.succeeds = 2),
                Rejects(RejectCode::WrongEpoch, "service sql", Some((2, 1))),
            ),
            (
                "in a life that is over, or has not begun",
                with(|it| it.to = member(2, 2)),
                Rejects(RejectCode::WrongIncarnation, "node b", Some((2, 1))),
            ),
            (
                "primary already",
                with(|it| {
                    it.to = member(1, 1);
                    it.in_sync = vec![1, 2];
                }),
                Rejects(RejectCode::AlreadyPrimary, "sql on a", None),
            ),
            (
                "preference 0",
                with(|it| {
                    it.to = member(4, 0);
                    it.in_sync = vec![4];
                }),
                Rejects(RejectCode::NeverPrimary, "sql on d", None),
            ),
        ],
    );
}

#[test]
fn what_is_not_there_is_not_promoted() {
    table_on(
        &risen(),
        [
            (
                "no instance there",
                with(|it| it.service = "idle"),
                Rejects(RejectCode::WrongEpoch, "service idle", Some((1, 0))),
            ),
            (
                "a node that was removed",
                with(|it| it.to = member(5, 0)),
                Rejects(RejectCode::NotFound, "node e", None),
            ),
            (
                "unknown node",
                with(|it| it.to = member(9, 1)),
                Rejects(RejectCode::NotFound, "node 9", None),
            ),
            (
                "unknown service",
                with(|it| it.service = "none"),
                Rejects(RejectCode::NotFound, "service none", None),
            ),
            (
                "peers have none",
                with(|it| it.service = "web"),
                Rejects(RejectCode::NotAPrimaryService, "service web", None),
            ),
            (
                "an instance elsewhere",
                with(|it| {
                    it.service = "safe";
                    it.to = member(3, 1);
                }),
                Rejects(RejectCode::NotFound, "safe on node 3", None),
            ),
        ],
    );
}

#[test]
fn a_promotion_names_who_follows() {
    let many: Vec<u64> = (1..=IN_SYNC_MAX as u64 + 1).collect();
    let most = IN_SYNC_MAX as u64;
    table_on(
        &risen(),
        [
            (
                "everybody",
                with(|it| (it.in_sync, it.syncing) = (vec![2, 3], vec![1, 4])),
                Changes("assignment of sql"),
            ),
            (
                "without the new primary",
                with(|it| it.in_sync = vec![1, 3]),
                Rejects(RejectCode::BadInSyncSet, "service sql", None),
            ),
            (
                "with a stranger in sync",
                with(|it| it.in_sync = vec![2, 5]),
                Rejects(RejectCode::BadInSyncSet, "service sql", None),
            ),
            (
                "with a stranger syncing",
                with(|it| it.syncing = vec![9]),
                Rejects(RejectCode::BadInSyncSet, "service sql", None),
            ),
            (
                "one in both",
                with(|it| (it.in_sync, it.syncing) = (vec![2, 3], vec![3])),
                Rejects(RejectCode::BadInSyncSet, "service sql", None),
            ),
            (
                "too many",
                with(|it| (it.in_sync, it.syncing) = (vec![2], many)),
                Rejects(
                    RejectCode::LimitReached,
                    "members of sql",
                    Some((most, most + 2)),
                ),
            ),
        ],
    );
}

pub fn policy_of(world: &World, loss: LossPolicy, write_acks: u32) -> Command {
    Command::UpdateService {
        name: service("sql"),
        expected: world.at_service("sql"),
        policy: Policy::Primary(PrimaryPolicy {
            loss,
            replicas: 3,
            write_acks,
            ..PrimaryPolicy::default()
        }),
    }
}

#[test]
fn a_lossless_promotion_counts_no_loss_and_leaves_a_receipt() {
    let mut world = risen();
    world.must(said().command());
    let sql = now(&world, "sql");
    assert_eq!(sql.primary, Some(member(2, 1)));
    assert_eq!((sql.epoch, sql.loss), (Epoch(2), Loss(0)));
    assert_eq!((sql.in_sync, sql.syncing), (nodes(&[2]), nodes(&[3])));
    assert_eq!(sql.reason.as_str(), "it exited");
    let receipt = world.state.receipt(&service("sql"), Epoch(2)).unwrap();
    assert_eq!(
        (receipt.from, receipt.to),
        (Some(member(1, 1)), member(2, 1))
    );
    assert_eq!(receipt.account, said().account);
    assert_eq!(receipt.stamp.0, 1_000);
    assert!(!receipt.acknowledged && receipt.returned.as_str().is_empty());
    let late = world.must_reject(said().command());
    assert_eq!(late.code, RejectCode::WrongEpoch, "of two one happens");
}

#[test]
fn a_node_that_takes_no_roles_is_not_promoted() {
    for lifecycle in [Lifecycle::Draining, Lifecycle::Maintenance] {
        let mut world = risen();
        world.must(set_lifecycle(2, world.at_node(2), lifecycle));
        let reject = world.must_reject(said().command());
        assert_eq!(reject.code, RejectCode::NodeNotPlaceable);
    }
    let mut world = risen();
    world.must(Command::SetPin {
        node: id(2),
        expected: None,
        kind: PinKind::Down,
        until: None,
        reason: note("bad disk"),
    });
    let reject = world.must_reject(said().command());
    assert_eq!(reject.code, RejectCode::NodePinnedDown);
}

#[test]
fn the_same_machine_in_a_new_life_may_be_promoted() {
    let mut world = risen();
    world.must(policy_of(&world, LossPolicy::Available, 1));
    world.must(join(1, 1));
    let again = with(|it| {
        it.to = member(1, 2);
        it.in_sync = vec![1];
        it.account.completeness = Completeness::Unknown;
    });
    world.must(again);
    assert_eq!(now(&world, "sql").primary, Some(member(1, 2)));
}

#[test]
fn an_account_is_bounded() {
    let considered = Considered {
        node: NodeId(2),
        position: None,
        verdict: note("chosen"),
    };
    let sized = |evidence: usize, candidates: usize| {
        with(|it| {
            it.account.evidence = vec![note("seen"); evidence];
            it.account.considered = vec![considered.clone(); candidates];
        })
    };
    let over = || Rejects(RejectCode::LimitReached, "the account", None);
    table_on(
        &risen(),
        [
            (
                "most",
                sized(EVIDENCE_MAX, CONSIDERED_MAX),
                Changes("assignment of sql"),
            ),
            ("too much evidence", sized(EVIDENCE_MAX + 1, 0), over()),
            ("too many candidates", sized(0, CONSIDERED_MAX + 1), over()),
        ],
    );
}
