//! What operators ask of the leader, and a primary that goes: over the API of three servers in one
//! process, with members that do in memory what they are told.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use support::member::Member;
use support::obedient::{Fate, obey};
use support::{Cluster, eventually, payload};
use tenure_core::{
    Command, Endpoint, NodeId, NodeRef, Outcome, Policy, PrimaryPolicy, RejectCode, ServiceName,
};
use tenure_proto::refusal::refusal;
use tenure_proto::v1::{self, admin_client::AdminClient, refusal::Reason};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

const SERVICE: &str = "redis-server";

async fn admin(cluster: &Cluster, server: u64) -> AdminClient<Channel> {
    let api = cluster.running[&server].api_addr();
    AdminClient::connect(format!("http://{api}"))
        .await
        .expect("an API")
}

/// Commits a command, which may have been committed by an attempt before.
async fn commit(cluster: &Cluster, command: Command) {
    eventually("a command is committed", || async {
        let leader = cluster.consensus(cluster.leader().await);
        match leader.propose(payload(command.clone())).await {
            Ok(Outcome::Done(_)) => Some(()),
            Ok(Outcome::Rejected(reject)) => {
                assert_eq!(reject.code, RejectCode::AlreadyExists, "{reject}");
                Some(())
            }
            Err(_) => None,
        }
    })
    .await;
}

struct Nodes {
    ids: Vec<u64>,
    fates: BTreeMap<u64, watch::Sender<Fate>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Nodes {
    /// Nodes with an instance each, that beat to every server.
    async fn of(cluster: &Cluster, names: &[&str]) -> Nodes {
        let name = ServiceName::new(SERVICE).expect("a name");
        let policy = Policy::Primary(PrimaryPolicy::default());
        let service = name.clone();
        let add = Command::AddService { name, policy };
        commit(cluster, add).await;
        let (mut ids, mut fates, mut tasks) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (place, name) in names.iter().enumerate() {
            let member = Member::join(cluster, name, &[1, 2, 3]).await;
            let id = member.node;
            let add = Command::AddInstance {
                service: service.clone(),
                node: NodeRef::Id(NodeId(id)),
                endpoint: Endpoint::new(&format!("127.0.0.1:{}", 6_379 + place)).expect("one"),
                preference: 100,
            };
            commit(cluster, add).await;
            let (fate, task) = obey(member, SERVICE);
            ids.push(id);
            fates.insert(id, fate);
            tasks.push(task);
        }
        Nodes { ids, fates, tasks }
    }

    async fn stop(self) {
        drop(self.fates);
        for task in self.tasks {
            task.await.expect("ends when nobody decides its fate");
        }
    }
}

fn failover_to(node: u64) -> v1::FailoverRequest {
    v1::FailoverRequest {
        service: SERVICE.into(),
        to: Some(v1::NodeRef {
            id: node,
            name: String::new(),
        }),
        reason: "the first".into(),
        actor: "ada".into(),
        ..v1::FailoverRequest::default()
    }
}

/// Asks for the first primary until the leader has heard of the node.
async fn first_primary(cluster: &Cluster, node: u64) -> v1::MovedResponse {
    eventually("the first primary serves", || async {
        let mut admin = admin(cluster, cluster.leader().await).await;
        match admin.failover(failover_to(node)).await {
            Ok(moved) => Some(moved.into_inner()),
            Err(status) => {
                let told = refusal(&status).expect("a typed refusal");
                assert_eq!(told.reason(), Reason::Held, "{status}");
                assert!(told.hold.is_some(), "{status}");
                None
            }
        }
    })
    .await
}

async fn receipts(cluster: &Cluster, server: u64) -> Vec<v1::Receipt> {
    let asked = v1::ReceiptsRequest {
        service: SERVICE.into(),
        limit: 0,
    };
    let answer = admin(cluster, server).await.receipts(asked).await;
    answer.expect("receipts").into_inner().receipts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_process_goes_is_replaced_with_a_receipt() {
    let cluster = Cluster::formed(3).await;
    let nodes = Nodes::of(&cluster, &["a", "b"]).await;
    let [a, b] = nodes.ids[..] else {
        panic!("two nodes")
    };
    let moved = first_primary(&cluster, a).await;
    assert_eq!((moved.node, moved.epoch), (a, 1));
    let receipt = moved.receipt.expect("it has confirmed");
    assert_eq!(receipt.cause(), v1::Cause::First);
    let service = ServiceName::new(SERVICE).expect("a name");
    let reader = cluster.consensus(1).reader();
    eventually("the replica is in sync", || async {
        let in_sync = reader.read(|state| state.assignment(&service).cloned());
        (in_sync?.in_sync.len() == 2).then_some(())
    })
    .await;
    nodes.fates[&a].send(Fate::Exited).expect("it listens");
    let receipt = eventually("the other one is primary and has confirmed", || async {
        let newest = receipts(&cluster, 1).await.into_iter().next()?;
        let timeline = newest.timeline?;
        (newest.epoch == 2 && timeline.confirmed_ms.is_some()).then_some(newest)
    })
    .await;
    assert_eq!(receipt.cause(), v1::Cause::Exited);
    assert_eq!(receipt.to.map(|to| to.node), Some(b));
    // Any server shows the same, newest first.
    for server in 1..=3 {
        let shown = receipts(&cluster, server).await;
        let epochs: Vec<u64> = shown.iter().map(|receipt| receipt.epoch).collect();
        assert_eq!(epochs, [2, 1], "server {server}");
    }
    nodes.stop().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_explains_and_holds_and_names_who_asked() {
    let cluster = Cluster::formed(3).await;
    let nodes = Nodes::of(&cluster, &["a"]).await;
    let a = nodes.ids[0];
    first_primary(&cluster, a).await;
    let mut admin = admin(&cluster, cluster.leader().await).await;
    let alone = v1::SwitchoverRequest {
        service: SERVICE.into(),
        ..v1::SwitchoverRequest::default()
    };
    let held = admin
        .switchover(alone)
        .await
        .expect_err("nobody else is there");
    let told = refusal(&held).expect("a typed refusal");
    assert_eq!(told.reason(), Reason::Held, "{held}");
    let hold = told.hold.expect("the hold");
    assert!(
        hold.code > 0 && held.message().contains(&hold.why),
        "{held}"
    );
    let service = SERVICE.to_owned();
    let explained = admin.explain(v1::ExplainRequest { service }).await;
    let explained = explained.expect("explained").into_inner();
    assert!(explained.header.is_some_and(|header| header.revision > 0));
    assert_ne!(explained.decision.is_empty(), explained.hold.is_none());
    let lost = failover_to(a).to;
    let forecast = admin.what_if(v1::WhatIfRequest { lost }).await;
    let forecasts = forecast.expect("a forecast").into_inner().forecasts;
    let [forecast] = &forecasts[..] else {
        panic!("{forecasts:?}")
    };
    assert_eq!((forecast.service.as_str(), forecast.node), (SERVICE, 0));
    assert!(forecast.hold.is_some());
    let history = admin.history(v1::HistoryRequest::default()).await;
    let history = history.expect("history").into_inner().entries;
    let by = |entry: &&v1::HistoryEntry| entry.actor == "controller";
    let mut of_controller = history.iter().filter(by);
    assert!(
        of_controller.any(|entry| entry.what.contains("ada: the first")),
        "{history:?}"
    );
    nodes.stop().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_leader_moves_primaries_and_what_is_unknown_is_said() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let follower = leader % 3 + 1;
    let consensus = cluster.consensus(follower);
    eventually("the follower knows who leads", || async {
        consensus.leader()
    })
    .await;
    let mut other = admin(&cluster, follower).await;
    let explain = || v1::ExplainRequest {
        service: SERVICE.into(),
    };
    let lost = failover_to(99).to;
    let what_if = v1::WhatIfRequest { lost };
    for refused in [
        other
            .failover(failover_to(1))
            .await
            .expect_err("a follower"),
        other.explain(explain()).await.expect_err("a follower"),
        other
            .what_if(what_if.clone())
            .await
            .expect_err("a follower"),
    ] {
        let told = refusal(&refused).expect("a typed refusal");
        assert_eq!(told.reason(), Reason::NotLeader, "{refused}");
        assert_eq!(told.leader.map(|leader| leader.id), Some(leader));
    }
    let mut admin = admin(&cluster, leader).await;
    for refused in [
        admin.explain(explain()).await.expect_err("no such service"),
        admin.what_if(what_if).await.expect_err("no such node"),
    ] {
        let told = refusal(&refused).expect("a typed refusal");
        assert_eq!(told.reason(), Reason::NotFound, "{refused}");
    }
    let nameless = v1::FailoverRequest {
        reason: "x".repeat(600),
        ..failover_to(1)
    };
    let refused = admin.failover(nameless).await.expect_err("too long");
    let told = refusal(&refused).expect("a typed refusal");
    assert_eq!(told.reason(), Reason::Invalid, "{refused}");
    assert_eq!(receipts(&cluster, follower).await, []);
    cluster.stop_all().await;
}
