//! What operators ask of the leader, and a primary that goes: over the API of three servers in one
//! process, with members that do in memory what they are told.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::future::Future;

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
use tonic::{Code, Response, Status};

const SERVICE: &str = "redis-server";

async fn admin(cluster: &Cluster, server: u64) -> AdminClient<Channel> {
    let api = cluster.running[&server].api_addr();
    AdminClient::connect(format!("http://{api}"))
        .await
        .expect("an API")
}

/// Asks a server until it answers, or refuses for good: on a busy machine leaders change, and a quorum
/// may be late. Asks whoever leads when no server is named.
async fn asked<T, F: Future<Output = Result<Response<T>, Status>>>(
    cluster: &Cluster,
    server: Option<u64>,
    ask: impl Fn(AdminClient<Channel>) -> F,
) -> Result<T, Status> {
    eventually("an answer", || async {
        let to = match server {
            Some(server) => server,
            None => cluster.leader().await,
        };
        let answer = ask(admin(cluster, to).await).await;
        match answer.map(Response::into_inner) {
            Err(status) if status.code() == Code::Unavailable => None,
            Err(status) if server.is_none() && reason(&status) == Reason::NotLeader => None,
            other => Some(other),
        }
    })
    .await
}

fn reason(status: &Status) -> Reason {
    refusal(status).expect("a typed refusal").reason()
}

/// Commits a command, which may have been committed by an attempt before.
async fn commit(cluster: &Cluster, command: Command) {
    eventually("a command is committed", || async {
        let leader = cluster.consensus(cluster.leader().await);
        match leader.propose(payload(command.clone())).await {
            Ok(Outcome::Done(_) | Outcome::Answered { .. }) => Some(()),
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

fn explain() -> v1::ExplainRequest {
    v1::ExplainRequest {
        service: SERVICE.into(),
    }
}

fn lost(node: u64) -> v1::WhatIfRequest {
    v1::WhatIfRequest {
        lost: failover_to(node).to,
    }
}

/// Asks for the first primary until the leader has heard of the node.
async fn first_primary(cluster: &Cluster, node: u64) -> v1::MovedResponse {
    eventually("the first primary serves", || async {
        let failover = |mut admin: AdminClient<Channel>| async move {
            let wanted = failover_to(node);
            admin.failover(wanted).await
        };
        match asked(cluster, None, failover).await {
            Ok(moved) => Some(moved),
            Err(status) => {
                assert_eq!(reason(&status), Reason::Held, "{status}");
                None
            }
        }
    })
    .await
}

async fn receipts(cluster: &Cluster, server: u64) -> Vec<v1::Receipt> {
    let receipts = |mut admin: AdminClient<Channel>| async move {
        let service = SERVICE.to_owned();
        admin
            .receipts(v1::ReceiptsRequest { service, limit: 0 })
            .await
    };
    let answer = asked(cluster, Some(server), receipts).await;
    answer.expect("receipts").receipts
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
    let switchover = |mut admin: AdminClient<Channel>| async move {
        let alone = v1::SwitchoverRequest {
            service: SERVICE.into(),
            ..v1::SwitchoverRequest::default()
        };
        admin.switchover(alone).await
    };
    let held = asked(&cluster, None, switchover).await;
    let held = held.expect_err("nobody else is there");
    assert_eq!(reason(&held), Reason::Held, "{held}");
    let hold = refusal(&held).and_then(|told| told.hold).expect("the hold");
    assert!(
        hold.code > 0 && held.message().contains(&hold.why),
        "{held}"
    );
    let ask = |mut admin: AdminClient<Channel>| async move { admin.explain(explain()).await };
    let explained = asked(&cluster, None, ask).await.expect("explained");
    assert!(explained.header.is_some_and(|header| header.revision > 0));
    assert_ne!(explained.decision.is_empty(), explained.hold.is_none());
    let ask = |mut admin: AdminClient<Channel>| async move { admin.what_if(lost(a)).await };
    let forecast = asked(&cluster, None, ask).await.expect("a forecast");
    let [forecast] = &forecast.forecasts[..] else {
        panic!("{forecast:?}")
    };
    assert_eq!((forecast.service.as_str(), forecast.node), (SERVICE, 0));
    assert!(forecast.hold.is_some());
    let ask = |mut admin: AdminClient<Channel>| async move {
        admin.history(v1::HistoryRequest::default()).await
    };
    let history = asked(&cluster, None, ask).await.expect("history").entries;
    let by_controller = history.iter().filter(|entry| entry.actor == "controller");
    let mut said = by_controller.map(|entry| &entry.what);
    assert!(
        said.any(|what| what.contains("ada: the first")),
        "{history:?}"
    );
    nodes.stop().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_names_the_leader_in_place_of_moving_primaries() {
    let cluster = Cluster::formed(3).await;
    // Asked anew should leadership move meanwhile.
    eventually("a follower names the leader", || async {
        let leader = cluster.leader().await;
        let mut other = admin(&cluster, leader % 3 + 1).await;
        let answers = [
            other.failover(failover_to(1)).await.map(drop),
            other.explain(explain()).await.map(drop),
            other.what_if(lost(1)).await.map(drop),
        ];
        let named = |answer: &Result<(), Status>| {
            let told = answer.as_ref().err().and_then(refusal)?;
            let leader = told.leader.as_ref().map(|leader| leader.id)?;
            (told.reason() == Reason::NotLeader).then_some(leader)
        };
        let named: Vec<Option<u64>> = answers.iter().map(named).collect();
        (named == [Some(leader); 3]).then_some(())
    })
    .await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_and_what_cannot_be_right_is_refused() {
    let cluster = Cluster::formed(1).await;
    let ask = |mut admin: AdminClient<Channel>| async move { admin.explain(explain()).await };
    let refused = asked(&cluster, None, ask).await;
    let refused = refused.expect_err("no such service");
    assert_eq!(reason(&refused), Reason::NotFound, "{refused}");
    let ask = |mut admin: AdminClient<Channel>| async move { admin.what_if(lost(99)).await };
    let refused = asked(&cluster, None, ask).await.expect_err("no such node");
    assert_eq!(reason(&refused), Reason::NotFound, "{refused}");
    let ask = |mut admin: AdminClient<Channel>| async move {
        let long = v1::FailoverRequest {
            reason: "x".repeat(600),
            ..failover_to(1)
        };
        admin.failover(long).await
    };
    let refused = asked(&cluster, None, ask).await.expect_err("too long");
    assert_eq!(reason(&refused), Reason::Invalid, "{refused}");
    assert_eq!(receipts(&cluster, 1).await, []);
    cluster.stop_all().await;
}
