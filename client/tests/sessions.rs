//! Sessions: one with each server, kept up whatever the servers do; and pledges between agents.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{Cluster, Watched, id, refusing, session::granting, until};
use std::{collections::BTreeSet, time::Duration};
use tenure_client::{Client, Options, Sessions, pledge};
use tenure_core::{
    ControlLoss, Endpoint, Epoch, Grant, Health, Heartbeat, Incarnation, Member, Millis, NodeId,
    Note, PledgeRequest, Presence, Report, ServerId, ServiceName, Sign, Standing,
};
use tenure_proto::v1::{self, watch_response::Kind};
use tonic::Status;

const SESSION: u64 = 77;
const BOUND: Duration = Duration::from_secs(30);

fn member() -> Member {
    Member {
        node: NodeId(3),
        incarnation: Incarnation(2),
    }
}

/// Far longer than anything here takes.
fn options() -> Options {
    Options {
        attempt: BOUND,
        connect: Duration::from_secs(10),
        watch_silence: BOUND,
        ..Options::default()
    }
}

async fn sessions(cluster: &Cluster) -> Sessions {
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    Sessions::start(&client, member(), SESSION, "c")
}

fn beat(sequence: u64) -> Heartbeat {
    let sign = Sign {
        service: ServiceName::new("redis").unwrap(),
        report: Report {
            health: Health::Healthy,
            note: Note::new(&"x".repeat(500)).unwrap(),
            ..Report::default()
        },
        presence: Presence::Running,
        standing: Standing::Idle(Epoch(0)),
        permits: vec![],
        linked: false,
        whole: true,
        stalled: Millis(0),
        sees_primary: None,
        surveyed: None,
        returned: None,
        store: None,
    };
    Heartbeat {
        session: SESSION,
        sequence,
        heard: (0, 0),
        agent: None,
        leaving: false,
        signs: vec![sign],
    }
}

fn grant(server: ServerId, number: u64) -> Grant {
    Grant {
        server,
        term: 1,
        number,
        member: member(),
        session: SESSION,
        answers: 1,
        lease: Millis(1_000),
        heartbeat: Millis(100),
        drift_permille: 10,
        control_loss: ControlLoss::Pledge,
        directives: vec![],
    }
}

fn says(cluster: &Cluster, at: usize, message: Result<v1::ServerMessage, Status>) {
    cluster.lock().sayings[&at].send(message).unwrap();
}

async fn next(sessions: &mut Sessions) -> Grant {
    let grant = tokio::time::timeout(BOUND, sessions.next()).await;
    grant.expect("a grant comes").unwrap()
}

/// The servers that a heartbeat has reached.
fn heard(inner: &fake::Inner, sequence: u64) -> BTreeSet<usize> {
    let beats = inner.beats.iter();
    let it = beats.filter(|(_, beat)| beat.sequence == sequence);
    it.map(|(at, _)| *at).collect()
}

#[tokio::test]
async fn every_server_hears_every_heartbeat_and_may_grant() {
    let cluster = Cluster::start(3).await;
    let mut sessions = sessions(&cluster).await;
    let all: BTreeSet<usize> = [0, 1, 2].into();
    until(&cluster, "three sessions", |inner| inner.sayings.len() == 3).await;
    for sequence in 1..=3 {
        sessions.beat(beat(sequence));
        let everybody = |inner: &fake::Inner| heard(inner, sequence) == all;
        until(&cluster, "everybody heard it", everybody).await;
    }
    for (_, hello) in &cluster.lock().hellos {
        assert_eq!((hello.cluster.as_str(), hello.session), ("c", SESSION));
        assert_eq!(hello.member, Some(member().into()));
        assert!(!hello.version.is_empty());
    }
    for at in [2, 0, 1] {
        let granted = grant(id(at), 5);
        says(&cluster, at, Ok(granting(&granted)));
        assert_eq!(next(&mut sessions).await, granted);
    }
    let attended: Vec<_> = sessions.attendance().now();
    assert_eq!(attended.len(), 3);
    assert!(attended.iter().all(|one| one.trouble.is_none()));
    drop(sessions);
    until(&cluster, "all sessions closed", |inner| {
        inner.sayings.values().all(|saying| saying.is_closed())
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_is_opened_again_and_begins_with_the_latest_heartbeat() {
    let cluster = Cluster::start(2).await;
    let mut sessions = sessions(&cluster).await;
    sessions.beat(beat(1));
    until(&cluster, "both heard it", |inner| {
        heard(inner, 1).len() == 2
    })
    .await;
    says(&cluster, 1, Err(Status::unavailable("it is shutting down")));
    let again = |inner: &fake::Inner| inner.hellos.iter().filter(|(at, _)| *at == 1).count() == 2;
    until(&cluster, "a second hello", again).await;
    let repeated = |inner: &fake::Inner| {
        let beats = inner.beats.iter();
        beats
            .filter(|(at, beat)| *at == 1 && beat.sequence == 1)
            .count()
            == 2
    };
    until(&cluster, "the latest heartbeat again", repeated).await;
    says(&cluster, 1, Ok(granting(&grant(id(1), 9))));
    assert_eq!(next(&mut sessions).await.number, 9);
}

#[tokio::test]
async fn a_refusal_is_told_and_tried_again() {
    let cluster = Cluster::start(1).await;
    let why = "hello.cluster: this server belongs to cluster \"other\"";
    cluster.lock().refused.insert(0, why.to_owned());
    let mut sessions = sessions(&cluster).await;
    until(&cluster, "three hellos", |inner| inner.hellos.len() >= 3).await;
    let attended = sessions.attendance().now();
    let trouble = attended[0].trouble.as_deref().unwrap();
    assert!(trouble.contains(why), "{trouble}");
    assert_eq!(attended[0].server, None);
    cluster.lock().refused.clear();
    until(&cluster, "a session", |inner| !inner.sayings.is_empty()).await;
    says(&cluster, 0, Ok(granting(&grant(id(0), 1))));
    assert_eq!(next(&mut sessions).await.number, 1);
    assert_eq!(sessions.attendance().now()[0].server, Some(id(0)));
}

#[tokio::test]
async fn a_slow_server_holds_nobody_up_and_gets_the_latest_heartbeat() {
    let cluster = Cluster::start(1).await;
    let sessions = sessions(&cluster).await;
    until(&cluster, "a session", |inner| !inner.sayings.is_empty()).await;
    cluster.shared.hearing.send_replace(false);
    // More than any window of the connection holds.
    let last = 4_000;
    for sequence in 1..=last {
        sessions.beat(beat(sequence));
        tokio::task::yield_now().await;
    }
    cluster.shared.hearing.send_replace(true);
    until(&cluster, "the latest", |inner| {
        !heard(inner, last).is_empty()
    })
    .await;
    let sequences: Vec<u64> = cluster
        .lock()
        .beats
        .iter()
        .map(|(_, beat)| beat.sequence)
        .collect();
    assert!(sequences.is_sorted());
    let count = u64::try_from(sequences.len()).unwrap();
    assert!(count < last / 2, "{count} of {last} were kept for it");
}

fn servers(revision: u64, named: &[(u64, &str, v1::ServerStatus)]) -> Watched {
    let records = named.iter().map(|(id, api, status)| {
        let server = v1::ServerRecord {
            id: *id,
            raft: (*api).to_owned(),
            api: (*api).to_owned(),
            status: (*status).into(),
            modified: revision,
            ..v1::ServerRecord::default()
        };
        v1::Record {
            kind: Some(v1::record::Kind::Server(server)),
        }
    });
    let part = v1::watch_response::Snapshot {
        records: records.collect(),
        first: true,
        last: true,
        gone: vec![],
    };
    let header = v1::Header {
        revision,
        age_ms: 0,
        server: 1,
    };
    Watched::Send(Box::new(v1::WatchResponse {
        header: Some(header),
        kind: Some(Kind::Snapshot(part)),
    }))
}

#[tokio::test]
async fn sessions_follow_which_servers_there_are() {
    let cluster = Cluster::start(3).await;
    let admitted = v1::ServerStatus::Admitted;
    let apis: Vec<String> = (0..3).map(|at| cluster.api(at)).collect();
    let now = servers(
        9,
        &[
            (1, &apis[0], v1::ServerStatus::Retired),
            (2, &apis[1], admitted),
            (3, &apis[2], admitted),
        ],
    );
    cluster.lock().watches.push_back(vec![now, Watched::Hang]);
    // One server is enough to begin with, although it does not take part any more.
    let client = Client::new([cluster.api(0)], options()).unwrap();
    let sessions = Sessions::start(&client, member(), SESSION, "c");
    sessions.beat(beat(1));
    until(&cluster, "the others are attended", |inner| {
        heard(inner, 1).is_superset(&[1, 2].into())
    })
    .await;
    let attended: BTreeSet<String> = sessions
        .attendance()
        .now()
        .into_iter()
        .map(|one| one.api.to_string())
        .collect();
    assert_eq!(attended, [apis[1].clone(), apis[2].clone()].into());
    until(&cluster, "the first one is left", |inner| {
        let saying = inner.sayings.get(&0);
        saying.is_none_or(|saying| saying.is_closed())
    })
    .await;
}

#[tokio::test]
async fn a_client_may_begin_without_any_server() {
    let (_held, api) = refusing();
    let client = Client::new([api], options()).unwrap();
    let sessions = Sessions::start(&client, member(), SESSION, "c");
    let told = async {
        while !sessions.attendance().now().iter().any(|one| {
            one.trouble
                .as_ref()
                .is_some_and(|why| why.contains("refused"))
        }) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, told)
        .await
        .expect("the trouble is told");
}

fn pledge_request(epoch: u64) -> PledgeRequest {
    PledgeRequest {
        service: ServiceName::new("redis").unwrap(),
        of: NodeId(6),
        holder: member(),
        epoch: Epoch(epoch),
        lasting: Millis(1_000),
    }
}

#[tokio::test]
async fn agents_ask_one_another_for_pledges() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut questions = pledge::serve(listen).await.unwrap();
    let there = Endpoint::new(&questions.address().to_string()).unwrap();
    let answering = tokio::spawn(async move {
        for _ in 0..2 {
            let question = questions.next().await.unwrap();
            let pledged = question.request.epoch == Epoch(4);
            question.answer(pledged);
        }
        // One is dropped without an answer.
        drop(questions.next().await);
        questions
    });
    let asker = pledge::Asker::new();
    assert!(asker.ask(&there, &pledge_request(4), BOUND).await);
    assert!(!asker.ask(&there, &pledge_request(5), BOUND).await);
    assert!(!asker.ask(&there, &pledge_request(4), BOUND).await);
    let questions = answering.await.unwrap();
    // Nobody takes the question: whoever asks goes on all the same.
    let short = Duration::from_millis(20);
    assert!(!asker.ask(&there, &pledge_request(4), short).await);
    drop(questions);
    let (_held, nobody) = refusing();
    let nobody = Endpoint::new(&nobody).unwrap();
    assert!(!asker.ask(&nobody, &pledge_request(4), BOUND).await);
}

/// One that is slow has pledged all the same; meanwhile others are asked over another connection.
#[tokio::test]
async fn an_answer_that_takes_long_counts() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut questions = pledge::serve(listen).await.unwrap();
    let there = Endpoint::new(&questions.address().to_string()).unwrap();
    let answering = tokio::spawn(async move {
        let slow = questions.next().await.unwrap();
        // It has not heard of the later one before that is asked.
        questions.next().await.unwrap().answer(true);
        slow.answer(true);
        questions
    });
    let asker = pledge::Asker::new();
    let within = Duration::from_secs(2);
    let early = pledge_request(4);
    let late = async {
        // Longer than a quarter of it.
        tokio::time::sleep(Duration::from_millis(600)).await;
        asker.ask(&there, &pledge_request(4), within).await
    };
    let both = tokio::join!(asker.ask(&there, &early, within), late);
    assert_eq!(both, (true, true));
    drop(answering.await.unwrap());
}
