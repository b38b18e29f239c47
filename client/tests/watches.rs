//! Watches: one stream across connections and servers, and following a primary with it.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{Cluster, Watched};
use std::time::Duration;
use tenure_client::{Client, Error, Options, Watch, WatchEvent};
use tenure_core::{
    Assignment, Endpoint, Epoch, Filter, Incarnation, Instance, Key, Member, NodeId, Record,
    Revision, ServiceName,
};
use tenure_proto::v1::{self, watch_response::Kind};

/// Far longer than anything here takes.
fn options() -> Options {
    Options {
        attempt: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        watch_silence: Duration::from_secs(30),
        ..Options::default()
    }
}

async fn watch(cluster: &Cluster) -> Watch {
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    client.watch(&Filter::default())
}

/// The next event, or a failure that says that nothing came.
async fn next(watch: &mut Watch) -> Result<WatchEvent, Error> {
    let event = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
    event.expect("the watch goes on")
}

fn message(revision: u64, age_ms: u64, kind: Kind) -> Watched {
    let header = v1::Header {
        revision,
        age_ms,
        server: 1,
    };
    Watched::Send(Box::new(v1::WatchResponse {
        header: Some(header),
        kind: Some(kind),
    }))
}

fn pin(node: u64, modified: u64) -> v1::Record {
    let pin = v1::Pin {
        node,
        kind: v1::PinKind::Up.into(),
        modified,
        ..v1::Pin::default()
    };
    v1::Record {
        kind: Some(v1::record::Kind::Pin(pin)),
    }
}

fn part(revision: u64, records: Vec<v1::Record>, first: bool, last: bool) -> Watched {
    let part = v1::watch_response::Snapshot {
        records,
        first,
        last,
        gone: vec![],
    };
    message(revision, 0, Kind::Snapshot(part))
}

fn changes(revision: u64, records: Vec<v1::Record>) -> Watched {
    let event = |record: v1::Record| {
        let key = Record::try_from(record.clone()).unwrap().key();
        v1::watch_response::Event {
            key: Some((&key).try_into().unwrap()),
            after: Some(record),
        }
    };
    let events = records.into_iter().map(event).collect();
    message(
        revision,
        0,
        Kind::Changes(v1::watch_response::Changes {
            events,
            more: false,
        }),
    )
}

fn progress(revision: u64, age_ms: u64) -> Watched {
    message(
        revision,
        age_ms,
        Kind::Progress(v1::watch_response::Progress {}),
    )
}

fn revision(event: &WatchEvent) -> u64 {
    match event {
        WatchEvent::Snapshot { revision, .. }
        | WatchEvent::Changes { revision, .. }
        | WatchEvent::Progress { revision, .. } => revision.0,
        WatchEvent::Compacted { .. } | WatchEvent::Interrupted { .. } => {
            panic!("it has no revision: {event:?}")
        }
    }
}

fn is_interrupted(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Interrupted { .. })
}

#[tokio::test]
async fn a_broken_watch_resumes_at_another_server_without_gap_or_repetition() {
    let cluster = Cluster::start(3).await;
    cluster.lock().watches.extend([
        vec![
            part(5, vec![pin(1, 1)], true, false),
            part(6, vec![pin(2, 2)], false, true),
            changes(8, vec![pin(3, 8)]),
            Watched::Break,
        ],
        vec![
            changes(8, vec![pin(3, 8)]),
            changes(9, vec![pin(1, 9)]),
            progress(11, 0),
            Watched::End,
        ],
        vec![
            progress(10, 0),
            changes(11, vec![pin(1, 4)]),
            changes(12, vec![pin(2, 12)]),
            Watched::Hang,
        ],
    ]);
    let mut watch = watch(&cluster).await;
    let snapshot = next(&mut watch).await.unwrap();
    let WatchEvent::Snapshot {
        revision: Revision(6),
        records,
    } = &snapshot
    else {
        panic!("{snapshot:?}");
    };
    let keys: Vec<Key> = records.iter().map(Record::key).collect();
    assert_eq!(keys, [Key::Pin(NodeId(1)), Key::Pin(NodeId(2))]);
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 8);
    assert!(is_interrupted(&next(&mut watch).await.unwrap()));
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 9);
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 11);
    assert!(is_interrupted(&next(&mut watch).await.unwrap()));
    assert_eq!(
        revision(&next(&mut watch).await.unwrap()),
        11,
        "a lagging server is not believed"
    );
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 12);
    let watched = cluster.lock().watched.clone();
    let after: Vec<Option<u64>> = watched.iter().map(|(_, after)| *after).collect();
    assert_eq!(after, [None, Some(8), Some(11)]);
    assert!(watched[0].0 != watched[1].0 && watched[1].0 != watched[2].0);
}

#[tokio::test]
async fn a_compacted_watch_says_so_and_starts_over_and_never_goes_backwards() {
    let cluster = Cluster::start(2).await;
    let compacted = || {
        message(
            50,
            0,
            Kind::Compacted(v1::watch_response::Compacted { oldest: 50 }),
        )
    };
    cluster.lock().watches.extend([
        vec![
            part(6, vec![pin(1, 1)], true, true),
            compacted(),
            part(60, vec![], true, false),
            Watched::Break,
        ],
        vec![part(4, vec![], true, true)],
        vec![part(61, vec![pin(9, 61)], true, true), Watched::Hang],
    ]);
    let mut watch = watch(&cluster).await;
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 6);
    let told = next(&mut watch).await.unwrap();
    assert_eq!(
        told,
        WatchEvent::Compacted {
            oldest: Revision(50)
        }
    );
    assert!(is_interrupted(&next(&mut watch).await.unwrap()));
    let snapshot = next(&mut watch).await.unwrap();
    assert!(
        matches!(&snapshot, WatchEvent::Snapshot { revision: Revision(61), records } if records.len() == 1)
    );
    let after: Vec<Option<u64>> = cluster
        .lock()
        .watched
        .iter()
        .map(|(_, after)| *after)
        .collect();
    assert_eq!(after, [None, None, None], "only a snapshot will do");
}

#[tokio::test]
async fn silent_and_outdated_servers_are_left() {
    let cluster = Cluster::start(3).await;
    cluster.lock().watches.extend([
        vec![part(6, vec![], true, true), Watched::Hang],
        vec![progress(6, 1_001), Watched::Hang],
        vec![progress(7, 1_000), Watched::Hang],
    ]);
    let options = Options {
        watch_silence: Duration::from_secs(1),
        ..options()
    };
    let client = Client::connect([cluster.api(0)], options).await.unwrap();
    let mut watch = client.watch(&Filter::default());
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 6);
    let silent = next(&mut watch).await.unwrap();
    assert!(
        matches!(&silent, WatchEvent::Interrupted { why } if why.contains("silent")),
        "{silent:?}"
    );
    assert_eq!(revision(&next(&mut watch).await.unwrap()), 7);
    assert_eq!(cluster.lock().watched.len(), 3);
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let cluster = Cluster::start(1).await;
    let script = (2..40).map(|at| changes(at, vec![pin(at, at)]));
    let first = part(1, vec![], true, true);
    cluster
        .lock()
        .watches
        .push_back([first].into_iter().chain(script).collect());
    let mut watch = watch(&cluster).await;
    let mut seen = Vec::new();
    let all = async {
        while seen.len() < 39 {
            tokio::select! {
                biased;
                event = watch.next() => seen.push(revision(&event.unwrap())),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("all changes come");
    assert_eq!(seen, (1..40).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_is_refused_for_good_ends_the_watch() {
    let cluster = Cluster::start(2).await;
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let services = [ServiceName::new("forbidden").unwrap()].into();
    let mut watch = client.watch(&Filter {
        services,
        ..Filter::default()
    });
    let error = next(&mut watch).await.unwrap_err();
    assert_eq!(error, Error::Invalid("services[0] is forbidden".to_owned()));
    assert!(next(&mut watch).await.is_err());
    assert_eq!(cluster.lock().watched.len(), 1);
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

fn instance(node: u64) -> v1::Record {
    let instance = Instance {
        service: redis(),
        node: NodeId(node),
        endpoint: Endpoint::new(&format!("10.0.0.{node}:6379")).unwrap(),
        preference: 100,
        report: tenure_core::Report::default(),
        reported_in: Incarnation(1),
        created: Revision(1),
        modified: Revision(1),
    };
    v1::Record {
        kind: Some(v1::record::Kind::Instance((&instance).into())),
    }
}

#[tokio::test]
async fn a_primary_is_followed_across_servers() {
    let cluster = Cluster::start(2).await;
    cluster.lock().watches.extend([
        vec![
            part(3, vec![assigned(1, 1), instance(1)], true, true),
            Watched::End,
        ],
        vec![
            progress(4, 0),
            changes(5, vec![instance(2)]),
            changes(6, vec![assigned(2, 2)]),
            Watched::Hang,
        ],
    ]);
    let client = Client::connect([cluster.api(0)], options()).await.unwrap();
    let mut follow = client.follow(redis()).await.unwrap();
    let told = async {
        loop {
            let now = follow.current().expect("there is a primary");
            match now.epoch {
                Epoch(1) => assert_eq!(now.endpoint.as_str(), "10.0.0.1:6379"),
                Epoch(_) => break now,
            }
            follow.changed().await.unwrap();
        }
    };
    let now = tokio::time::timeout(Duration::from_secs(30), told)
        .await
        .expect("it is told");
    assert_eq!(
        (now.epoch, now.endpoint.as_str()),
        (Epoch(2), "10.0.0.2:6379")
    );
    assert_eq!(now.member.node, NodeId(2));
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
