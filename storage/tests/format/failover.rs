//! One value of every kind that came with failover, with every field set to something of its own.

use std::sync::Arc;

use tenure_core::*;

use crate::samples::{note, service};

fn name() -> ServiceName {
    service("redis-server")
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(2),
    }
}

fn automation(modified: Revision) -> Automation {
    Automation {
        fast_heartbeat: Millis(101),
        fast_lease: Millis(1_002),
        slow_heartbeat: Millis(1_003),
        slow_lease: Millis(10_004),
        drift_permille: 5,
        control_loss: ControlLoss::Fence,
        agent_grace: Millis(10_006),
        replica_grace: Millis(5_007),
        stuck_after: Millis(2_008),
        survey: Millis(209),
        switchover: Millis(1_010),
        storm_window: Millis(10_011),
        storm_budget: 12,
        earlier_lease: Millis(0),
        modified,
    }
}

fn scopes() -> [Scope; 3] {
    [
        Scope::Cluster,
        Scope::Service(name()),
        Scope::Node(NodeId(300)),
    ]
}

/// Each cause, proof, kind of completeness and phase is in one of them at least.
fn accounts() -> Vec<Account> {
    let proofs = [
        FenceProof::Nobody,
        FenceProof::Confirmed,
        FenceProof::Exited,
        FenceProof::LeaseOver {
            silent: Millis(1_040),
        },
        FenceProof::Operator,
    ];
    let known = [
        Completeness::First,
        Completeness::Equal,
        Completeness::Proven {
            heard: [NodeId(300), NodeId(2)].into(),
        },
        Completeness::Bounded { lacks: 1 << 20 },
        Completeness::Unknown,
    ];
    let considered = |node, position, verdict| Considered {
        node: NodeId(node),
        position,
        verdict: note(verdict),
    };
    let position = Position {
        history: note("8d3c"),
        offset: 1 << 40,
    };
    let account = |(at, cause): (usize, Cause)| Account {
        cause,
        fence: proofs[at % proofs.len()],
        completeness: known[at % known.len()].clone(),
        evidence: ["silent at 2 of 3 servers", "its lease is over"][..at % 3]
            .iter()
            .map(|text| note(text))
            .collect(),
        considered: [
            considered(300, Some(position.clone()), "most advanced"),
            considered(2, None, "not heard from"),
        ][..at % 3]
            .to_vec(),
        timeline: Phase::ALL
            .into_iter()
            .zip((0..).map(Millis))
            .take(at)
            .collect(),
    };
    Cause::ALL.into_iter().enumerate().map(account).collect()
}

/// Commands, by their kinds' names.
pub fn commands() -> Vec<(&'static str, Command)> {
    let mut all = commands_on_automation();
    let names = [
        "Promote first",
        "Promote exited",
        "Promote node lost",
        "Promote agent lost",
        "Promote stuck",
        "Promote deaf",
        "Promote switchover",
        "Promote drain",
        "Promote operator",
    ];
    let promote = |account| Command::Promote {
        service: name(),
        to: member(300),
        succeeds: Epoch(6),
        in_sync: [NodeId(300), NodeId(2)].into(),
        syncing: [NodeId(1)].into(),
        account,
        reason: note("node db-2 was lost"),
    };
    all.extend(names.into_iter().zip(accounts().into_iter().map(promote)));
    all.extend(commands_on_receipts());
    all
}

fn commands_on_automation() -> Vec<(&'static str, Command)> {
    let mut all = vec![
        (
            "SetAutomation",
            Command::SetAutomation {
                expected: Revision(5),
                automation: automation(Revision(0)),
            },
        ),
        (
            "SetAutomation read before",
            Command::SetAutomation {
                expected: Revision(5),
                automation: automation(Revision(5)),
            },
        ),
    ];
    let names = [
        ("SetPause of the cluster", "RemovePause of the cluster"),
        ("SetPause of a service", "RemovePause of a service"),
        ("SetPause of a node", "RemovePause of a node"),
    ];
    for ((set, remove), scope) in names.into_iter().zip(scopes()) {
        let command = Command::SetPause {
            scope: scope.clone(),
            expected: (scope == Scope::Cluster).then_some(Revision(0)),
            until: (scope != Scope::Cluster).then_some(Timestamp(1_800_000_000_000)),
            reason: note("upgrade"),
        };
        all.push((set, command));
        let expected = Revision(20);
        all.push((remove, Command::RemovePause { scope, expected }));
    }
    all
}

fn commands_on_receipts() -> Vec<(&'static str, Command)> {
    let epoch = Epoch(7);
    let complete = |timeline| Command::CompleteReceipt {
        service: name(),
        epoch,
        timeline,
    };
    vec![
        (
            "SetMembers",
            Command::SetMembers {
                service: name(),
                epoch,
                expected: Revision(20),
                in_sync: [NodeId(300)].into(),
                syncing: [NodeId(2), NodeId(1)].into(),
            },
        ),
        (
            "CompleteReceipt",
            complete(
                [
                    (Phase::Confirmed, Millis(41)),
                    (Phase::Committed, Millis(0)),
                ]
                .into(),
            ),
        ),
        ("CompleteReceipt with nothing", complete([].into())),
        (
            "NoteReturn",
            Command::NoteReturn {
                service: name(),
                epoch,
                returned: note("diverged: saved in tail.resp"),
            },
        ),
        (
            "Acknowledge",
            Command::Acknowledge {
                service: name(),
                epoch,
            },
        ),
    ]
}

/// A record of every kind, and an assignment of somebody who is being followed.
pub fn records() -> Vec<Record> {
    let modified = Revision(8);
    let mut all = vec![
        Record::Assignment(Arc::new(Assignment {
            primary: Some(member(300)),
            epoch: Epoch(7),
            in_sync: [NodeId(300)].into(),
            syncing: [NodeId(2), NodeId(1)].into(),
            reason: note("node db-2 was lost"),
            ..Assignment::vacant(service("mysql-server"), modified)
        })),
        Record::Automation(Arc::new(automation(modified))),
    ];
    for scope in scopes() {
        all.push(Record::Pause(Arc::new(Pause {
            until: (scope != Scope::Cluster).then_some(Timestamp(1_800_000_000_000)),
            scope,
            reason: note("upgrade"),
            modified,
        })));
    }
    let receipts = receipts().into_iter().map(Arc::new);
    all.extend(receipts.map(Record::Receipt));
    all
}

/// A receipt of each account.
pub fn receipts() -> Vec<Receipt> {
    let receipt = |(epoch, account): (u64, Account)| {
        let first = account.cause == Cause::First;
        Receipt {
            service: name(),
            epoch: Epoch(epoch),
            from: (!first).then_some(member(2)),
            to: member(300),
            account,
            stamp: Timestamp(1_790_000_000_123),
            acknowledged: epoch % 2 == 0,
            returned: note(if first { "" } else { "identical" }),
        }
    };
    (1..).zip(accounts()).map(receipt).collect()
}
