//! Following who is primary, and spreading requests over peers: what most programs make of a watch.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{
    Cluster, Watched,
    script::{changes, part, progress},
};
use std::time::Duration;
use tenure_client::{BalanceOptions, Client, Error, Options, Primacy};
use tenure_core::{
    Assignment, Endpoint, Epoch, Health, Incarnation, Instance, Lifecycle, Member, NodeId, Report,
    Revision, Role, ServiceName,
};
use tenure_proto::v1;

/// Far longer than anything here takes.
fn options() -> Options {
    Options {
        attempt: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        watch_silence: Duration::from_secs(30),
        watch_twice: false,
        ..Options::default()
    }
}

fn redis() -> ServiceName {
    ServiceName::new("redis").unwrap()
}

fn assigned(node: u64, epoch: u64) -> v1::Record {
    let member = Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    };
    let held = Assignment {
        primary: Some(member),
        epoch: Epoch(epoch),
        ..Assignment::vacant(redis(), Revision(1))
    };
    v1::Record {
        kind: Some(v1::record::Kind::Assignment((&held).into())),
    }
}

/// An instance that says that it is primary by an epoch, or says nothing yet.
fn instance(node: u64, primary_by: Option<u64>) -> v1::Record {
    let role = primary_by.map(|epoch| (Role::Primary, Epoch(epoch)));
    let instance = Instance {
        service: redis(),
        node: NodeId(node),
        endpoint: Endpoint::new(&format!("10.0.0.{node}:6379")).unwrap(),
        preference: 100,
        report: Report {
            role,
            ..Report::default()
        },
        reported_in: Incarnation(1),
        created: Revision(1),
        modified: Revision(1),
    };
    v1::Record {
        kind: Some(v1::record::Kind::Instance((&instance).into())),
    }
}

#[tokio::test]
async fn a_primary_is_followed_across_servers_and_counts_when_it_confirms() {
    let cluster = Cluster::start(2).await;
    cluster.lock().watches.extend([
        vec![
            part(3, vec![assigned(1, 1), instance(1, Some(1))], true, true),
            Watched::End,
        ],
        vec![
            progress(4, 0),
            changes(5, vec![instance(2, None)]),
            changes(6, vec![assigned(2, 2)]),
            Watched::End,
        ],
        vec![changes(7, vec![instance(2, Some(2))]), Watched::Hang],
    ]);
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let mut follow = client.follow(redis()).await.unwrap();
    let told = async {
        loop {
            match follow.primacy() {
                Primacy::Nobody => panic!("there always is one"),
                Primacy::Serves(now) if now.epoch == Epoch(2) => break now,
                Primacy::Serves(now) => {
                    assert_eq!(now.endpoint.as_str(), "10.0.0.1:6379");
                    assert_eq!(follow.current(), Some(now));
                }
                Primacy::Moved(now) => {
                    assert_eq!(now.endpoint.as_str(), "10.0.0.2:6379");
                    assert_eq!(follow.current(), None, "it has not confirmed");
                    assert_eq!(follow.assigned(), Some(now));
                }
            }
            follow.changed().await.unwrap();
        }
    };
    let now = tokio::time::timeout(Duration::from_secs(30), told)
        .await
        .expect("it is told");
    assert_eq!(now.endpoint.as_str(), "10.0.0.2:6379");
    assert_eq!(now.member.node, NodeId(2));
    assert_eq!(follow.serving().await, Ok(now.clone()));
    assert_eq!(follow.current(), Some(now));
}

#[tokio::test]
async fn following_gives_up_when_nobody_tells() {
    let cluster = Cluster::start(1).await;
    let options = Options {
        deadline: Duration::from_millis(150),
        ..options()
    };
    let client = Client::connect([cluster.api(0)], options).await.unwrap();
    let error = client.follow(redis()).await.unwrap_err();
    assert!(
        matches!(error, Error::Deadline { .. }) && error.is_retryable(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_frozen_delays_no_news() {
    let cluster = Cluster::start(2).await;
    let all = || vec![assigned(1, 1), instance(1, Some(1)), instance(2, None)];
    cluster.lock().watches.extend([
        vec![part(3, all(), true, true), Watched::Hang],
        vec![
            part(3, all(), true, true),
            changes(6, vec![assigned(2, 2)]),
            changes(7, vec![instance(2, Some(2))]),
            Watched::Hang,
        ],
    ]);
    let options = Options {
        watch_twice: true,
        ..options()
    };
    let client = Client::connect([cluster.api(0)], options).await.unwrap();
    let mut follow = client.follow(redis()).await.unwrap();
    let told = async {
        while follow.current().is_none_or(|now| now.epoch != Epoch(2)) {
            follow.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .expect("it is told long before the silence is noticed");
    let watched = cluster.lock().watched.clone();
    assert_eq!(watched.len(), 2);
    assert_ne!(watched[0].0, watched[1].0, "each at a server of its own");
}

#[tokio::test]
async fn a_watch_that_lags_behind_the_other_tells_nothing_old() {
    let cluster = Cluster::start(2).await;
    let ahead = vec![assigned(2, 2), instance(1, None), instance(2, Some(2))];
    let behind = vec![assigned(1, 1), instance(1, Some(1))];
    cluster.lock().watches.extend([
        vec![part(9, ahead, true, true), Watched::Hang],
        vec![
            part(3, behind, true, true),
            changes(10, vec![assigned(2, 2), instance(2, None)]),
            Watched::Hang,
        ],
    ]);
    let options = Options {
        watch_twice: true,
        ..options()
    };
    let client = Client::connect([cluster.api(0)], options).await.unwrap();
    let mut follow = client.follow(redis()).await.unwrap();
    let mut epochs = Vec::new();
    let told = async {
        loop {
            match follow.primacy() {
                Primacy::Moved(now) if now.epoch == Epoch(2) => break,
                Primacy::Serves(now) => epochs.push(now.epoch),
                wrong @ (Primacy::Nobody | Primacy::Moved(_)) => panic!("never so: {wrong:?}"),
            }
            follow.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .expect("the later one is told");
    assert!(epochs.is_sorted(), "{epochs:?}");
}

fn node(id: u64) -> v1::Record {
    let node = v1::Node {
        id,
        name: format!("web-{id}"),
        weight: 100,
        incarnation: 1,
        lifecycle: v1::Lifecycle::from(Lifecycle::Active).into(),
        ..v1::Node::default()
    };
    v1::Record {
        kind: Some(v1::record::Kind::Node(node)),
    }
}

fn peer(id: u64, health: Health) -> v1::Record {
    let mut record = instance(id, None);
    if let Some(v1::record::Kind::Instance(peer)) = &mut record.kind {
        let report = Report {
            health,
            ..Report::default()
        };
        peer.report = Some((&report).into());
    }
    record
}

#[tokio::test]
async fn requests_are_spread_over_peers_that_serve() {
    let cluster = Cluster::start(2).await;
    let all = vec![
        node(1),
        node(2),
        peer(1, Health::Healthy),
        peer(2, Health::Healthy),
    ];
    cluster.lock().watches.extend([
        vec![part(3, all, true, true), Watched::End],
        vec![changes(5, vec![peer(1, Health::Failing)]), Watched::Hang],
    ]);
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let options = BalanceOptions {
        failures: 1,
        ..BalanceOptions::default()
    };
    let balance = client.balance(redis(), options).await.unwrap();
    let failing_is_left = async {
        while balance.endpoints().len() == 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), failing_is_left)
        .await
        .expect("it is told");
    let picked = balance.pick().unwrap();
    assert_eq!(picked.node(), NodeId(2));
    assert_eq!(picked.endpoint().as_str(), "10.0.0.2:6379");
    picked.report(false);
    let last_resort = balance.pick().unwrap();
    assert_eq!(last_resort.node(), NodeId(2), "better than nobody");
    let wrong = BalanceOptions {
        failures: 0,
        ..BalanceOptions::default()
    };
    let refused = client.balance(redis(), wrong).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
}
