//! Items and copies over restarts and transfers: a checkpoint writes those that changed, and all of them come back.

use bytes::Bytes;
use futures::StreamExt;
use openraft::storage::RaftStateMachine;
use tenure_core::copies::{
    Checksum, CopiesCommand, ItemName, OneCopy, Placing, RebalanceStep, Removing, Reported,
};
use tenure_core::{
    Command, CopiesPolicy, Incarnation, Lifecycle, Member, NodeId, NodeRef, Note, Policy, Revision,
    ServiceName, State,
};

use crate::fixture::{Fixture, add_node};

const ITEMS: u64 = 1_500;

fn service() -> ServiceName {
    ServiceName::new("git-server").expect("name")
}

fn item(of: u64) -> ItemName {
    ItemName::new(&format!("répo/{of}")).expect("a name")
}

fn on(what: CopiesCommand) -> Command {
    let service = service();
    Command::Copies { service, what }
}

fn holders(of: u64) -> Vec<NodeId> {
    (0..3).map(|step| NodeId(1 + (of + step) % 5)).collect()
}

fn wrote(of: u64, replaces: u64, holders: Vec<NodeId>) -> Reported {
    Reported {
        item: item(of),
        replaces,
        version: replaces + 1,
        checksum: Checksum::new(&replaces.to_be_bytes()).ok(),
        size: of,
        holders,
    }
}

/// Five nodes that have joined, and items that are written to three of them each.
fn site() -> Vec<Command> {
    let mut all = vec![
        Command::RaiseFeatureLevel { from: 1, to: 3 },
        Command::AddService {
            name: service(),
            policy: Policy::Copies(CopiesPolicy::default()),
        },
    ];
    for node in 1..=5 {
        all.push(add_node(node));
        let named = NodeRef::Id(NodeId(node));
        all.push(Command::JoinNode {
            node: named.clone(),
            last: Incarnation(0),
        });
        all.push(Command::AddInstance {
            service: service(),
            node: named,
            endpoint: tenure_core::Endpoint::new("10.0.0.1:80").expect("endpoint"),
            preference: 100,
        });
    }
    let placing = |of| Placing {
        item: item(of),
        wanted: if of % 3 == 0 { 3 } else { 0 },
        nodes: holders(of),
    };
    all.push(on(CopiesCommand::Place((0..ITEMS).map(placing).collect())));
    let reports = (0..ITEMS - 100).map(|of| wrote(of, 0, holders(of)));
    all.push(on(CopiesCommand::Report(reports.collect())));
    all
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

/// A little of everything that may happen to items.
fn changes(state: &State) -> Vec<Command> {
    let one = |of: u64, node: u64| OneCopy {
        item: item(of),
        node: NodeId(node),
    };
    let removing = |of| Removing {
        item: item(of),
        version: 1,
    };
    let drained = state.nodes()[&NodeId(5)].modified;
    vec![
        on(CopiesCommand::Renew {
            member: member(2),
            folder: 77,
        }),
        on(CopiesCommand::Lose { member: member(1) }),
        on(CopiesCommand::Report(
            (0..20).map(|of| wrote(of, 1, holders(of))).collect(),
        )),
        on(CopiesCommand::Report(
            (40..60)
                .map(|of| wrote(of, 1, holders(of)[..2].to_vec()))
                .collect(),
        )),
        on(CopiesCommand::Assign(vec![one(200, 4), one(201, 5)])),
        on(CopiesCommand::Remove((300..310).map(removing).collect())),
        on(CopiesCommand::Rebalance(RebalanceStep::Start)),
        Command::SetLifecycle {
            node: NodeRef::Id(NodeId(5)),
            expected: drained,
            to: Lifecycle::Draining,
            reason: Note::default(),
            accept_loss: true,
        },
    ]
}

fn summary(state: &State) -> String {
    let ledger = state.ledger(&service()).expect("a ledger");
    format!("{:?}", ledger.summary())
}

#[tokio::test]
async fn items_come_back_with_all_that_is_counted_of_them() {
    let mut fixture = Fixture::new();
    fixture.apply(site()).await;
    fixture.checkpoint().await;
    let state = fixture.state();
    fixture.reopen();
    assert_eq!(fixture.state(), state);
    let changes = changes(&state);
    fixture.apply(changes).await;
    let (state, digest) = (fixture.state(), fixture.store().reader.digest());
    let ledger = state.ledger(&service()).expect("a ledger");
    assert_eq!(ledger.count(), ITEMS - 10);
    assert!(ledger.summary().under_replicated > 0);
    assert!(ledger.stores().any(|store| store.is_lost()));
    fixture.checkpoint().await;
    fixture.reopen();
    assert_eq!(fixture.state(), state);
    assert_eq!(summary(&fixture.state()), summary(&state));
    assert_eq!(fixture.store().reader.digest(), digest);
    assert!(tenure_core::invariants::check(&fixture.state()).is_empty());
    let regained = [
        on(CopiesCommand::Regain { member: member(1) }),
        on(CopiesCommand::Empty {
            node: NodeId(2),
            accept_loss: true,
        }),
        on(CopiesCommand::Rebalance(RebalanceStep::Stop)),
    ];
    fixture.apply(regained).await;
    fixture.checkpoint().await;
    let state = fixture.state();
    fixture.reopen();
    assert_eq!(fixture.state(), state);
    assert_eq!(state.rebalance(&service()), None);
}

#[tokio::test]
async fn a_follower_is_sent_the_items_too() {
    let (mut leader, mut follower) = (Fixture::new(), Fixture::new());
    leader.apply(site()).await;
    let changes = changes(&leader.state());
    leader.apply(changes).await;
    leader.checkpoint().await;
    let (meta, snapshot) = leader.current().await;
    let chunks: Vec<_> = snapshot.chunks().collect().await;
    let mut receiver = follower.store().inbox.begin();
    for chunk in chunks {
        let chunk: Bytes = chunk.expect("chunk");
        receiver.write(chunk).await.expect("taken");
    }
    let received = receiver.finish().await.expect("received");
    let machine = &mut follower.store().machine;
    machine
        .install_snapshot(&meta, received)
        .await
        .expect("installed");
    assert_eq!(follower.state(), leader.state());
    follower.next = leader.next;
    let more = || [on(CopiesCommand::Report(vec![wrote(7, 2, holders(7))]))];
    leader.apply(more()).await;
    follower.apply(more()).await;
    follower.checkpoint().await;
    follower.reopen();
    assert_eq!(follower.state(), leader.state());
    assert!(leader.state().revision() > Revision(0));
}
