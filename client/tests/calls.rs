//! Calls: finding the leader, trying again, giving up, and doing each change once.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{Cluster, Mishap, id, refusing};
use std::time::Duration;
use tenure_client::{Client, Error, Options};
use tenure_core::{Command, NodeName, RejectCode, RequestId};
use tenure_proto::{refusal, v1::refusal::Reason};
use tonic::Code;

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// Far longer than anything here takes.
fn patient() -> Options {
    Options {
        deadline: Duration::from_secs(60),
        attempt: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        ..Options::default()
    }
}

/// For tests in which a server never answers.
fn impatient() -> Options {
    Options {
        attempt: Duration::from_millis(150),
        ..patient()
    }
}

/// For tests that wait for the deadline.
fn within(deadline: Duration) -> Options {
    Options {
        deadline,
        ..patient()
    }
}

async fn connect(cluster: &Cluster, at: usize, options: Options) -> Client {
    Client::connect([cluster.api(at)], options).await.unwrap()
}

/// The ids under which commands other than registrations came.
fn sequences(requests: &[Option<RequestId>]) -> Vec<u64> {
    requests.iter().map(|id| id.unwrap().sequence).collect()
}

#[tokio::test]
async fn a_follower_is_enough_to_find_the_leader_and_all_servers() {
    let cluster = Cluster::start(3).await;
    let client = connect(&cluster, 2, patient()).await;
    assert_eq!(client.servers().len(), 3);
    let first = client.admin().add_node(name("a"), None).await.unwrap();
    let second = client.admin().add_node(name("b"), None).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(client.leader().unwrap().api, cluster.api(0));
    let inner = cluster.lock();
    assert_eq!(inner.executed_at.last(), Some(&0));
    assert_eq!(sequences(&inner.requests), [1, 2]);
    assert_eq!(inner.state.clients().len(), 1);
}

#[tokio::test]
async fn the_client_follows_a_leader_that_moves() {
    let cluster = Cluster::start(3).await;
    let client = connect(&cluster, 0, patient()).await;
    for (at, node) in [(0, "a"), (2, "b"), (1, "c")] {
        cluster.lock().leader = Some(at);
        client.admin().add_node(name(node), None).await.unwrap();
        assert_eq!(client.leader().unwrap().id, id(at));
    }
    assert_eq!(sequences(&cluster.lock().requests), [1, 2, 3]);
}

#[tokio::test]
async fn a_call_waits_for_an_election() {
    let cluster = Cluster::start(3).await;
    let client = connect(&cluster, 1, patient()).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    cluster.lock().leader = None;
    cluster.lock().elect = Some((40, 2));
    let writes = (0..64).map(|at| {
        let admin = client.admin();
        async move { admin.add_node(name(&format!("n{at}")), None).await }
    });
    for done in futures::future::join_all(writes).await {
        done.unwrap();
    }
    assert_eq!(client.leader().unwrap().id, id(2));
    assert_eq!(cluster.lock().state.nodes().len(), 65);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_endpoints() {
    let (_first, one) = refusing();
    let (_second, two) = refusing();
    let error = Client::connect([one.clone(), two.clone()], patient())
        .await
        .unwrap_err();
    let Error::Unreachable { tried, last } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*tried, [one, two]);
    assert!(last.contains("refused"), "{last}");
    assert!(error.is_retryable() && !error.may_have_happened());
}

#[tokio::test]
async fn servers_that_are_down_are_passed_over() {
    let cluster = Cluster::start(2).await;
    let (_held, down) = refusing();
    let endpoints = [down, cluster.api(1), format!("http://{}/", cluster.api(0))];
    let client = Client::connect(endpoints, patient()).await.unwrap();
    for node in ["a", "b", "c"] {
        client.admin().add_node(name(node), None).await.unwrap();
    }
    assert_eq!(sequences(&cluster.lock().requests), [1, 2, 3]);
}

#[tokio::test]
async fn without_a_leader_the_deadline_passes_and_nothing_happened() {
    let cluster = Cluster::start(3).await;
    cluster.lock().leader = None;
    let client = connect(&cluster, 0, within(Duration::from_millis(300))).await;
    let error = client.admin().add_node(name("a"), None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Deadline { last, .. } if last.contains("nobody leads")),
        "{error:?}"
    );
    assert!(error.is_retryable() && !error.may_have_happened());
    assert_eq!(cluster.lock().state.nodes().len(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_id() {
    for (mishap, options) in [
        (Mishap::LoseAnswer, patient()),
        (Mishap::LoseRequest, patient()),
        (Mishap::ApplyAndHang, impatient()),
    ] {
        let cluster = Cluster::start(3).await;
        let client = connect(&cluster, 0, options).await;
        cluster.lock().mishaps.push_back(mishap);
        client.admin().add_node(name("a"), None).await.unwrap();
        let inner = cluster.lock();
        let tries = sequences(&inner.requests);
        assert!(
            tries.len() > 1 && tries.iter().all(|sequence| *sequence == 1),
            "{tries:?}"
        );
        assert_eq!(inner.state.nodes().len(), 1);
    }
}

#[tokio::test]
async fn a_frozen_leader_is_left_for_its_successor() {
    let cluster = Cluster::start(3).await;
    let client = connect(&cluster, 0, impatient()).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    cluster.lock().mishaps.push_back(Mishap::ApplyAndHang);
    let admin = client.admin();
    let write = tokio::spawn(async move { admin.add_node(name("b"), None).await });
    let arrived = async {
        while !cluster.lock().mishaps.is_empty() {
            tokio::task::yield_now().await;
        }
        cluster.lock().leader = Some(1);
    };
    tokio::time::timeout(Duration::from_secs(30), arrived)
        .await
        .expect("the write arrives");
    write.await.unwrap().unwrap();
    let inner = cluster.lock();
    assert!(sequences(&inner.requests).ends_with(&[2, 2]));
    assert_eq!(inner.state.nodes().len(), 2);
}

#[tokio::test]
async fn what_was_sent_and_never_answered_is_unknown() {
    let cluster = Cluster::start(2).await;
    let client = connect(&cluster, 0, within(Duration::from_secs(1))).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    cluster.lock().lose_every_answer = true;
    let error = client.admin().add_node(name("b"), None).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert!(error.may_have_happened() && !error.is_retryable());
    let tries = sequences(&std::mem::take(&mut cluster.lock().requests));
    assert!(
        tries.len() > 2 && tries[1..].iter().all(|sequence| *sequence == 2),
        "{tries:?}"
    );
    assert_eq!(cluster.lock().state.nodes().len(), 2);
    cluster.lock().lose_every_answer = false;
    client.admin().add_node(name("c"), None).await.unwrap();
    // The attempt that the deadline cut short may still arrive before it.
    let next = cluster.lock().requests.last().copied().flatten().unwrap();
    assert_eq!(
        (next.sequence, next.first_incomplete),
        (3, 3),
        "the lost one is settled"
    );
}

fn forget_clients(cluster: &Cluster) {
    let mut inner = cluster.lock();
    let known: Vec<_> = inner.state.clients().keys().copied().collect();
    for client in known {
        drop(inner.apply(Command::CloseClient { client }, None));
    }
}

#[tokio::test]
async fn a_forgotten_client_registers_anew_for_what_was_not_sent_before() {
    let cluster = Cluster::start(1).await;
    let client = connect(&cluster, 0, patient()).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    forget_clients(&cluster);
    client.admin().add_node(name("b"), None).await.unwrap();
    let inner = cluster.lock();
    let clients: Vec<u64> = inner
        .requests
        .iter()
        .map(|id| id.unwrap().client.0)
        .collect();
    assert_eq!(clients[0], clients[1]);
    assert_ne!(clients[1], clients[2]);
    assert_eq!(sequences(&inner.requests), [1, 2, 1]);
}

#[tokio::test]
async fn a_forgotten_client_does_not_repeat_what_may_have_been_sent() {
    let cluster = Cluster::start(1).await;
    let client = connect(&cluster, 0, impatient()).await;
    cluster.lock().mishaps.push_back(Mishap::ApplyAndHang);
    let admin = client.admin();
    let write = tokio::spawn(async move { admin.add_node(name("a"), None).await });
    let arrived = async {
        while !cluster.lock().mishaps.is_empty() {
            tokio::task::yield_now().await;
        }
        forget_clients(&cluster);
    };
    tokio::time::timeout(Duration::from_secs(30), arrived)
        .await
        .expect("the write arrives");
    let error = write.await.unwrap().unwrap_err();
    assert!(error.may_have_happened(), "{error:?}");
    assert_eq!(cluster.lock().state.nodes().len(), 1);
    client.admin().add_node(name("b"), None).await.unwrap();
}

#[tokio::test]
async fn a_reject_is_final_and_tells_why() {
    let cluster = Cluster::start(1).await;
    let client = connect(&cluster, 0, patient()).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    let error = client.admin().add_node(name("a"), None).await.unwrap_err();
    let Error::Rejected(reject) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(reject.code, RejectCode::AlreadyExists);
    assert!(!error.is_retryable() && !error.may_have_happened());
    assert_eq!(cluster.lock().requests.len(), 2);
}

#[tokio::test]
async fn refusals_that_pass_are_waited_for() {
    let cluster = Cluster::start(2).await;
    let client = connect(&cluster, 0, patient()).await;
    for reason in [
        Reason::Overloaded,
        Reason::ShuttingDown,
        Reason::NotFormed,
        Reason::OutcomeUnknown,
    ] {
        let refusal = Box::new(refusal::because(reason, "not now"));
        cluster
            .lock()
            .mishaps
            .push_back(Mishap::Refuse(Code::Unavailable, refusal));
    }
    client.admin().add_node(name("a"), None).await.unwrap();
    assert_eq!(sequences(&cluster.lock().requests), [1, 1, 1, 1, 1]);
    for reason in [Reason::Invalid, Reason::Membership, Reason::Unspecified] {
        let refusal = Box::new(refusal::because(reason, "never"));
        cluster
            .lock()
            .mishaps
            .push_back(Mishap::Refuse(Code::InvalidArgument, refusal));
        let error = client.admin().add_node(name("b"), None).await.unwrap_err();
        assert!(
            !error.is_retryable() && error.to_string().contains("never"),
            "{error:?}"
        );
    }
    assert_eq!(cluster.lock().requests.len(), 8);
}

#[tokio::test]
async fn a_thousand_calls_at_once_stay_within_the_window() {
    let cluster = Cluster::start(3).await;
    let client = connect(&cluster, 1, patient()).await;
    cluster.lock().mishaps.push_back(Mishap::LoseAnswer);
    let writes = (0..1_000).map(|at| {
        let client = client.clone();
        tokio::spawn(async move { client.admin().add_node(name(&format!("n{at}")), None).await })
    });
    for done in futures::future::join_all(writes).await {
        done.unwrap().unwrap();
    }
    let inner = cluster.lock();
    assert_eq!(inner.state.nodes().len(), 1_000);
    assert_eq!(inner.state.clients().len(), 1);
    let ahead = |id: &Option<RequestId>| id.unwrap().sequence - id.unwrap().first_incomplete;
    assert!(inner.requests.iter().map(ahead).max() < Some(512));
}

#[tokio::test]
async fn closing_forgets_the_registration() {
    let cluster = Cluster::start(1).await;
    let client = connect(&cluster, 0, patient()).await;
    client.admin().add_node(name("a"), None).await.unwrap();
    assert_eq!(cluster.lock().state.clients().len(), 1);
    client.close().await.unwrap();
    assert_eq!(cluster.lock().state.clients().len(), 0);
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_anything_is_sent() {
    for endpoint in ["", "nowhere", "a:0", "http://", "a b:1", "http://a:1/path"] {
        let error = Client::connect([endpoint.to_owned()], Options::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(why) if why.contains("endpoint")),
            "{error:?}"
        );
    }
    let none: [String; 0] = [];
    let error = Client::connect(none, Options::default()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    let wrong = [
        Options {
            actor: "a\nb".to_owned(),
            ..Options::default()
        },
        Options {
            deadline: Duration::ZERO,
            ..Options::default()
        },
    ];
    for options in wrong {
        let error = Client::connect(["127.0.0.1:1".to_owned()], options)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(why) if why.contains("option")),
            "{error:?}"
        );
    }
    let cluster = Cluster::start(1).await;
    let client = connect(&cluster, 0, patient()).await;
    let hidden = Command::RetireServer { id: id(0) };
    let error = client.admin().execute(hidden).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(cluster.lock().executed_at.is_empty());
}
