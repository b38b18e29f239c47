//! What operators ask of the leader: moving primaries, why, what if, receipts, and how it decides.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::Cluster;
use std::time::Duration;
use tenure_client::{Client, Consistency, Error, FailoverOptions, Options, Refusal};
use tenure_core::{
    Account, Automation, Cause, Completeness, Epoch, FenceProof, Incarnation, Member, Millis,
    NodeId, NodeName, NodeRef, Note, Receipt, RejectCode, Revision, Scope, ServiceName, Timeline,
    Timestamp,
    controller::{Hold, HoldCode},
};
use tenure_proto::{
    refusal::{because, status},
    v1::{self, refusal::Reason},
};
use tonic::{Code, Status};

fn options() -> Options {
    Options {
        deadline: Duration::from_secs(60),
        attempt: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        actor: "ann".to_owned(),
        ..Options::default()
    }
}

async fn connect(cluster: &Cluster) -> Client {
    Client::connect([cluster.api(1)], options()).await.unwrap()
}

fn redis() -> ServiceName {
    ServiceName::new("redis").unwrap()
}

fn note(text: &str) -> Note {
    Note::new(text).unwrap()
}

fn receipt(service: &str, epoch: u64) -> Receipt {
    let member = |node| Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    };
    Receipt {
        service: ServiceName::new(service).unwrap(),
        epoch: Epoch(epoch),
        from: Some(member(1)),
        to: member(2),
        account: Account {
            cause: Cause::Switchover,
            fence: FenceProof::Confirmed,
            completeness: Completeness::Equal,
            evidence: vec![note("an operator asked")],
            considered: vec![],
            timeline: Timeline::default(),
        },
        stamp: Timestamp(5),
        acknowledged: false,
        returned: Note::default(),
    }
}

fn held(code: u32, why: &str) -> Status {
    let hold = Some(v1::Hold {
        code,
        why: why.to_owned(),
    });
    let refusal = v1::Refusal {
        hold,
        ..because(Reason::Held, why)
    };
    status(Code::FailedPrecondition, refusal)
}

#[tokio::test]
async fn a_primary_is_moved_and_its_receipt_told() {
    let cluster = Cluster::start(3).await;
    let moved = v1::MovedResponse {
        node: 2,
        epoch: 7,
        receipt: Some((&receipt("redis", 7)).into()),
    };
    let unconfirmed = v1::MovedResponse {
        receipt: None,
        ..moved.clone()
    };
    cluster.lock().moves.extend([Ok(moved), Ok(unconfirmed)]);
    let admin = connect(&cluster).await.admin();
    let to = NodeRef::Name(NodeName::new("db-2").unwrap());
    let moved = admin.switchover(&redis(), Some(to), note("patches")).await;
    let moved = moved.unwrap();
    assert_eq!((moved.node, moved.epoch), (NodeId(2), Epoch(7)));
    assert_eq!(moved.receipt, Some(receipt("redis", 7)));
    let forced = FailoverOptions {
        accept_loss: true,
        fenced: true,
        ..FailoverOptions::default()
    };
    let moved = admin.failover(&redis(), forced).await.unwrap();
    assert_eq!(moved.receipt, None);
    let asked = cluster.lock().asked_to_move.clone();
    assert_eq!(asked, ["redis by ann", "redis loss true fenced true"]);
}

#[tokio::test]
async fn a_hold_is_told_with_its_code_and_its_sentence() {
    let cluster = Cluster::start(1).await;
    let pinned = HoldCode::Pinned.number();
    cluster.lock().moves.extend([
        Err(held(pinned, "node db-1 is pinned up until 18:00")),
        Err(held(4_711, "the moon is full")),
        Err(Status::unavailable("the connection broke")),
    ]);
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let admin = client.admin();
    let redis = redis();
    let move_it = || admin.switchover(&redis, None, Note::default());
    let error = move_it().await.unwrap_err();
    let hold = error.held().unwrap();
    assert_eq!(hold.code, Some(HoldCode::Pinned));
    assert_eq!(hold.why, "node db-1 is pinned up until 18:00");
    assert!(!error.is_retryable() && !error.may_have_happened());
    let newer = move_it().await.unwrap_err();
    let hold = newer.held().unwrap();
    assert_eq!((hold.code, hold.number), (None, 4_711));
    assert_eq!(hold.why, "the moon is full");
    let unknown = move_it().await.unwrap_err();
    assert!(
        unknown.may_have_happened() && unknown.held().is_none(),
        "a move is not asked for twice: {unknown:?}"
    );
    assert_eq!(cluster.lock().asked_to_move.len(), 3);
}

#[tokio::test]
async fn the_leader_explains_and_foresees() {
    let cluster = Cluster::start(3).await;
    let header = Some(v1::Header {
        revision: 12,
        age_ms: 0,
        server: 1,
    });
    let no_candidate = Hold::new(HoldCode::NoCandidate, "nobody follows");
    let forecast = v1::what_if_response::Forecast {
        service: "redis".to_owned(),
        node: 2,
        facts: vec!["db-2 is in sync".to_owned()],
        outage_least_ms: Some(1_020),
        outage_most_ms: Some(1_310),
        ..v1::what_if_response::Forecast::default()
    };
    let hopeless = v1::what_if_response::Forecast {
        service: "mysql".to_owned(),
        hold: Some((&no_candidate).into()),
        ..v1::what_if_response::Forecast::default()
    };
    {
        let mut inner = cluster.lock();
        inner.explained = v1::ExplainResponse {
            header,
            hold: Some((&no_candidate).into()),
            ..v1::ExplainResponse::default()
        };
        inner.foreseen = v1::WhatIfResponse {
            header,
            forecasts: vec![forecast, hopeless],
        };
    }
    let admin = connect(&cluster).await.admin();
    let (header, explanation) = admin.explain(&redis()).await.unwrap();
    assert_eq!(header.revision, Revision(12));
    assert_eq!(explanation.decision, Err(no_candidate.clone()));
    assert_eq!(explanation.facts, ["asked for redis"]);
    let (_, forecasts) = admin.what_if_lost(&NodeRef::Id(NodeId(1))).await.unwrap();
    assert_eq!(forecasts[0].decision, Ok(NodeId(2)));
    assert_eq!(forecasts[0].outage_ms, Some((1_020, 1_310)));
    assert_eq!(forecasts[1].decision, Err(no_candidate));
    assert_eq!(forecasts[1].outage_ms, None);
}

#[tokio::test]
async fn receipts_come_of_one_service_or_of_all() {
    let cluster = Cluster::start(1).await;
    let all = [
        receipt("redis", 3),
        receipt("mysql", 2),
        receipt("redis", 2),
    ];
    cluster.lock().receipts = all.iter().map(Into::into).collect();
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let admin = client.admin();
    let (_, found) = admin.receipts(None, 20).await.unwrap();
    assert_eq!(found, all);
    let (_, found) = admin.receipts(Some(&redis()), 1).await.unwrap();
    assert_eq!(found, [receipt("redis", 3)]);
    cluster.lock().receipts[0].to = None;
    let error = admin.receipts(None, 20).await.unwrap_err();
    let unreadable = matches!(
        &error,
        Error::Refused { reason: Refusal::Unreadable, detail, .. } if detail.contains("receipts")
    );
    assert!(unreadable, "{error:?}");
}

#[tokio::test]
async fn how_the_cluster_decides_by_itself_is_set_and_paused() {
    let cluster = Cluster::start(1).await;
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let admin = client.admin();
    raise_feature_level(&admin).await;
    let linearizable = Consistency::Linearizable;
    let defaults = admin.automation(linearizable).await.unwrap();
    assert_eq!(defaults, Automation::default());
    let wanted = Automation {
        fast_lease: Millis(2_000),
        ..defaults
    };
    admin
        .set_automation(defaults.modified, wanted)
        .await
        .unwrap();
    let set = admin.automation(linearizable).await.unwrap();
    assert_eq!(set.fast_lease, Millis(2_000));
    let late = admin.set_automation(defaults.modified, wanted).await;
    assert!(
        matches!(&late, Err(Error::Rejected(reject)) if reject.code == RejectCode::Changed),
        "{late:?}"
    );
    let reason = note("moving racks");
    let scope = Scope::Cluster;
    let until = Some(Timestamp(u64::MAX / 2));
    let set = admin.pause(scope.clone(), None, until, reason.clone());
    set.await.unwrap();
    let pauses = admin.pauses(linearizable).await.unwrap();
    assert_eq!(pauses.len(), 1);
    assert_eq!((&pauses[0].scope, &pauses[0].reason), (&scope, &reason));
    admin.resume(scope, pauses[0].modified).await.unwrap();
    assert_eq!(admin.pauses(linearizable).await.unwrap().len(), 0);
    let nothing = admin.acknowledge(redis(), Epoch(1)).await;
    assert!(matches!(nothing, Err(Error::Rejected(_))), "{nothing:?}");
}

async fn raise_feature_level(admin: &tenure_client::Admin) {
    let raise = tenure_core::Command::RaiseFeatureLevel { from: 1, to: 2 };
    admin.execute(raise).await.unwrap();
}
