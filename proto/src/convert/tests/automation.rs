//! Automation and pauses: one of each, and commands on them that must not get through.

use super::sample::{note, service};
use crate::{v1, v1::command::Kind as Asked};
use std::sync::Arc;
use tenure_core::{
    Automation, Command, ControlLoss, Epoch, Key, Millis, NodeId, Pause, Record, Revision, Scope,
    Timestamp,
};

fn scopes() -> [Scope; 3] {
    [
        Scope::Cluster,
        Scope::Service(service()),
        Scope::Node(NodeId(7)),
    ]
}

/// Every setting another than the default, and none like another.
fn automation(control_loss: ControlLoss) -> Automation {
    Automation {
        fast_heartbeat: Millis(101),
        fast_lease: Millis(1_002),
        slow_heartbeat: Millis(1_003),
        slow_lease: Millis(10_004),
        drift_permille: 5,
        control_loss,
        agent_grace: Millis(10_006),
        replica_grace: Millis(5_007),
        stuck_after: Millis(2_008),
        survey: Millis(209),
        switchover: Millis(1_010),
        storm_window: Millis(10_011),
        storm_budget: 12,
        earlier_lease: Millis(60_000),
        modified: Revision(13),
    }
}

pub(super) fn records() -> Vec<Record> {
    let mut all = vec![];
    for (at, scope) in scopes().into_iter().enumerate() {
        all.push(Record::Pause(Arc::new(Pause {
            scope,
            until: (at > 0).then_some(Timestamp(5)),
            reason: note("upgrade"),
            modified: Revision(2),
        })));
    }
    for loss in [ControlLoss::Pledge, ControlLoss::Fence] {
        all.push(Record::Automation(Arc::new(automation(loss))));
    }
    all
}

pub(super) fn commands() -> Vec<Command> {
    let expected = Revision(5);
    let set = |automation| Command::SetAutomation {
        expected,
        automation,
    };
    let mut all = vec![
        set(Automation::default()),
        set(automation(ControlLoss::Fence)),
        Command::Acknowledge {
            service: service(),
            epoch: Epoch(4),
        },
    ];
    for scope in scopes() {
        all.push(Command::SetPause {
            scope: scope.clone(),
            expected: (scope != Scope::Cluster).then_some(expected),
            until: (scope == Scope::Cluster).then_some(Timestamp(1)),
            reason: note("upgrade"),
        });
        all.push(Command::RemovePause { scope, expected });
    }
    all
}

fn set_automation(change: fn(&mut v1::Automation)) -> Asked {
    let mut wire = v1::Automation::from(&automation(ControlLoss::Pledge));
    change(&mut wire);
    Asked::SetAutomation(v1::SetAutomation {
        expected: 1,
        automation: Some(wire),
    })
}

fn set_pause(scope: Option<v1::scope::Kind>) -> Asked {
    Asked::SetPause(v1::SetPause {
        scope: Some(v1::Scope { kind: scope }),
        reason: String::new(),
        ..v1::SetPause::default()
    })
}

#[test]
fn bad_commands_on_automation_are_refused_with_the_field() {
    use v1::scope::Kind;
    let bare = v1::SetAutomation::default();
    let acknowledge = v1::Acknowledge {
        service: "A".to_owned(),
        epoch: 1,
    };
    for (kind, field) in [
        (Asked::SetAutomation(bare), "set_automation.automation"),
        (
            set_automation(|wanted| wanted.control_loss = 0),
            "set_automation.automation.control_loss",
        ),
        (
            set_automation(|wanted| wanted.fast_lease_ms = 200),
            "set_automation.automation",
        ),
        (Asked::SetPause(v1::SetPause::default()), "set_pause.scope"),
        (set_pause(None), "set_pause.scope.kind"),
        (
            set_pause(Some(Kind::Service("A".to_owned()))),
            "set_pause.scope.service",
        ),
        (set_pause(Some(Kind::Node(0))), "set_pause.scope.node"),
        (
            Asked::RemovePause(v1::RemovePause::default()),
            "remove_pause.scope",
        ),
        (Asked::Acknowledge(acknowledge), "acknowledge.service"),
    ] {
        let error = Command::try_from(v1::Command { kind: Some(kind) }).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

/// A newer server may allow more than this build would set.
#[test]
fn settings_that_a_server_tells_are_taken_as_they_are() {
    let told = v1::Automation {
        fast_lease_ms: 1,
        ..v1::Automation::from(&automation(ControlLoss::Fence))
    };
    let kind = Some(v1::record::Kind::Automation(told));
    let record = Record::try_from(v1::Record { kind }).unwrap();
    let Record::Automation(automation) = record else {
        panic!("{record:?} is no automation");
    };
    assert_eq!(automation.fast_lease, Millis(1));
}

#[test]
fn bad_records_of_failover_are_refused_with_the_field() {
    use v1::record::Kind;
    let automation = v1::Automation {
        control_loss: 9,
        ..v1::Automation::from(&automation(ControlLoss::Fence))
    };
    let assignment = |syncing| v1::Assignment {
        service: "s".to_owned(),
        syncing,
        ..v1::Assignment::default()
    };
    for (kind, field) in [
        (Kind::Automation(automation), "automation.control_loss"),
        (Kind::Pause(v1::Pause::default()), "pause.scope"),
        (
            Kind::Assignment(assignment(vec![1, 0])),
            "assignment.syncing[1]",
        ),
        (
            Kind::Assignment(assignment(vec![1; 1_025])),
            "assignment.syncing",
        ),
    ] {
        let error = Record::try_from(v1::Record { kind: Some(kind) }).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    let key = v1::key::Kind::Pause(v1::Scope { kind: None });
    let error = Key::try_from(v1::Key { kind: Some(key) }).unwrap_err();
    assert_eq!(error.field, "pause.kind");
}
