//! Receipts, pauses, automation and who is syncing are kept over a restart, and taken away.

use tenure_core::{
    Account, Automation, Cause, Command, Completeness, Considered, Endpoint, Epoch, FenceProof,
    Incarnation, Kind, Member, Millis, NodeId, NodeRef, Note, Phase, Policy, Position, Revision,
    Scope, ServiceName, State, limits,
};
use tenure_storage::format::encode_key;

use crate::fixture::{Fixture, add_node};

fn redis() -> ServiceName {
    ServiceName::new("redis-server").expect("name")
}

fn note(text: &str) -> Note {
    Note::new(text).expect("note")
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

/// As large as a receipt may become.
fn account() -> Account {
    let long = note(&"x".repeat(limits::NOTE_BYTES_MAX));
    let considered = Considered {
        node: NodeId(u64::MAX),
        position: Some(Position {
            history: long.clone(),
            offset: u64::MAX,
        }),
        verdict: long.clone(),
    };
    Account {
        cause: Cause::First,
        fence: FenceProof::Nobody,
        completeness: Completeness::First,
        evidence: vec![long; limits::EVIDENCE_MAX],
        considered: vec![considered; limits::CONSIDERED_MAX],
        timeline: [(Phase::Detected, Millis(0))].into(),
    }
}

/// A service of three nodes whose primary was chosen on evidence.
fn a_world() -> Vec<Command> {
    let mut all = vec![
        Command::RaiseFeatureLevel { from: 1, to: 2 },
        Command::AddService {
            name: redis(),
            policy: Policy::default_for(Kind::Primary),
        },
    ];
    for number in 1..=3 {
        let node = NodeRef::Id(NodeId(number));
        all.push(add_node(number));
        all.push(Command::JoinNode {
            node: node.clone(),
            last: Incarnation(0),
        });
        all.push(Command::AddInstance {
            service: redis(),
            node,
            endpoint: Endpoint::new("10.0.0.1:6379").expect("endpoint"),
            preference: 100,
        });
    }
    all.push(Command::Promote {
        service: redis(),
        to: member(1),
        succeeds: Epoch(0),
        in_sync: [NodeId(1)].into(),
        syncing: [NodeId(2), NodeId(3)].into(),
        account: account(),
        reason: note("first"),
    });
    all.push(Command::SetAutomation {
        expected: Revision(0),
        automation: Automation {
            storm_budget: 5,
            ..Automation::default()
        },
    });
    for scope in [
        Scope::Node(NodeId(2)),
        Scope::Service(redis()),
        Scope::Cluster,
    ] {
        all.push(Command::SetPause {
            scope,
            expected: None,
            until: None,
            reason: note("upgrade"),
        });
    }
    all
}

fn later() -> Vec<Command> {
    vec![
        Command::CompleteReceipt {
            service: redis(),
            epoch: Epoch(1),
            timeline: [(Phase::Confirmed, Millis(40))].into(),
        },
        Command::NoteReturn {
            service: redis(),
            epoch: Epoch(1),
            returned: note("identical"),
        },
        Command::Acknowledge {
            service: redis(),
            epoch: Epoch(1),
        },
    ]
}

fn remove_pauses(state: &State) -> Vec<Command> {
    let pauses = state.pauses().values();
    let remove = pauses.map(|pause| Command::RemovePause {
        scope: pause.scope.clone(),
        expected: pause.modified,
    });
    remove.collect()
}

#[tokio::test]
async fn what_came_with_failover_is_what_a_restart_finds() {
    let mut fixture = Fixture::new();
    fixture.apply(a_world()).await;
    let state = fixture.state();
    let assignment = state.assignment(&redis()).expect("an assignment");
    assert_eq!(assignment.syncing, [NodeId(2), NodeId(3)].into());
    assert_eq!(state.receipts(&redis()).count(), 1);
    assert_eq!(state.pauses().len(), 3);
    assert_eq!(state.automation().storm_budget, 5);
    let keys: Vec<_> = state.records().map(|one| encode_key(&one.key())).collect();
    assert!(keys.is_sorted(), "rows come in the order of the records");
    fixture.checkpoint().await;
    fixture.reopen();
    assert_eq!(fixture.state(), state);

    fixture.apply(later()).await;
    let removals = remove_pauses(&state);
    fixture.apply(removals).await;
    fixture.checkpoint().await;
    let (state, digest) = (fixture.state(), fixture.store().reader.digest());
    fixture.reopen();
    assert_eq!(fixture.state(), state);
    assert_eq!(fixture.store().reader.digest(), digest);
    let receipt = state.receipt(&redis(), Epoch(1)).expect("a receipt");
    assert!(receipt.acknowledged);
    assert_eq!(receipt.returned.as_str(), "identical");
    assert_eq!(receipt.account.timeline.len(), 2);
    assert!(state.pauses().is_empty());
}
