//! Generated values of what came with failover.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use tenure_core::*;

use crate::any::{note, revision, service};

fn millis() -> impl Strategy<Value = Millis> {
    any::<u64>().prop_map(Millis)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch)
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(NodeId)
}

fn member() -> impl Strategy<Value = Member> {
    any::<(u64, u64)>().prop_map(|(node, incarnation)| Member {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

pub fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Cluster),
        service().prop_map(Scope::Service),
        node().prop_map(Scope::Node),
    ]
}

fn automation() -> impl Strategy<Value = Automation> {
    let times = (
        any::<[u64; 11]>(),
        any::<[u32; 2]>(),
        any::<bool>(),
        revision(),
    );
    times.prop_map(
        |(times, [drift_permille, storm_budget], pledge, modified)| {
            let [a, b, c, d, e, f, g, h, i, j, k] = times.map(Millis);
            Automation {
                fast_heartbeat: a,
                fast_lease: b,
                slow_heartbeat: c,
                slow_lease: d,
                drift_permille,
                control_loss: if pledge {
                    ControlLoss::Pledge
                } else {
                    ControlLoss::Fence
                },
                agent_grace: e,
                replica_grace: f,
                stuck_after: g,
                survey: h,
                switchover: i,
                storm_window: j,
                storm_budget,
                earlier_lease: k,
                modified,
            }
        },
    )
}

fn fence() -> impl Strategy<Value = FenceProof> {
    prop_oneof![
        Just(FenceProof::Nobody),
        Just(FenceProof::Confirmed),
        Just(FenceProof::Exited),
        millis().prop_map(|silent| FenceProof::LeaseOver { silent }),
        Just(FenceProof::Operator),
    ]
}

fn completeness() -> impl Strategy<Value = Completeness> {
    prop_oneof![
        Just(Completeness::First),
        Just(Completeness::Equal),
        btree_set(node(), 0..20).prop_map(|heard| Completeness::Proven { heard }),
        any::<u64>().prop_map(|lacks| Completeness::Bounded { lacks }),
        Just(Completeness::Unknown),
    ]
}

fn considered() -> impl Strategy<Value = Considered> {
    let position = option::of(
        (note(), any::<u64>()).prop_map(|(history, offset)| Position { history, offset }),
    );
    (node(), position, note()).prop_map(|(node, position, verdict)| Considered {
        node,
        position,
        verdict,
    })
}

fn timeline() -> impl Strategy<Value = Timeline> {
    btree_map(
        prop::sample::select(Phase::ALL.to_vec()),
        millis(),
        0..=Phase::ALL.len(),
    )
}

fn account() -> impl Strategy<Value = Account> {
    let cause = prop::sample::select(Cause::ALL.to_vec());
    let evidence = vec(note(), 0..4);
    let considered = vec(considered(), 0..4);
    (
        cause,
        fence(),
        completeness(),
        evidence,
        considered,
        timeline(),
    )
        .prop_map(
            |(cause, fence, completeness, evidence, considered, timeline)| Account {
                cause,
                fence,
                completeness,
                evidence,
                considered,
                timeline,
            },
        )
}

pub fn receipt() -> impl Strategy<Value = Receipt> {
    let members = (option::of(member()), member());
    let later = (any::<u64>(), any::<bool>(), note());
    (service(), epoch(), members, account(), later).prop_map(
        |(service, epoch, (from, to), account, (stamp, acknowledged, returned))| Receipt {
            service,
            epoch,
            from,
            to,
            account,
            stamp: Timestamp(stamp),
            acknowledged,
            returned,
        },
    )
}

fn command_on_automation() -> impl Strategy<Value = Command> {
    let until = option::of(any::<u64>().prop_map(Timestamp));
    prop_oneof![
        (revision(), automation()).prop_map(|(expected, automation)| Command::SetAutomation {
            expected,
            automation
        }),
        (scope(), option::of(revision()), until, note()).prop_map(
            |(scope, expected, until, reason)| Command::SetPause {
                scope,
                expected,
                until,
                reason
            }
        ),
        (scope(), revision())
            .prop_map(|(scope, expected)| Command::RemovePause { scope, expected }),
    ]
}

fn command_on_receipts() -> impl Strategy<Value = Command> {
    let members = || (btree_set(node(), 0..20), btree_set(node(), 0..20));
    prop_oneof![
        (service(), member(), epoch(), members(), account(), note()).prop_map(
            |(service, to, succeeds, (in_sync, syncing), account, reason)| Command::Promote {
                service,
                to,
                succeeds,
                in_sync,
                syncing,
                account,
                reason
            }
        ),
        (service(), epoch(), revision(), members()).prop_map(
            |(service, epoch, expected, (in_sync, syncing))| Command::SetMembers {
                service,
                epoch,
                expected,
                in_sync,
                syncing
            }
        ),
        (service(), epoch(), timeline()).prop_map(|(service, epoch, timeline)| {
            Command::CompleteReceipt {
                service,
                epoch,
                timeline,
            }
        }),
        (service(), epoch(), note()).prop_map(|(service, epoch, returned)| Command::NoteReturn {
            service,
            epoch,
            returned
        }),
        (service(), epoch()).prop_map(|(service, epoch)| Command::Acknowledge { service, epoch }),
    ]
}

pub fn command() -> impl Strategy<Value = Command> {
    prop_oneof![command_on_automation(), command_on_receipts()]
}
