//! Watches: one stream across connections and servers.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{
    Cluster, Watched,
    script::{changes, message, part, progress},
};
use std::time::Duration;
use tenure_client::{Client, Error, Options, Watch, WatchEvent};
use tenure_core::{Filter, Key, NodeId, Record, Revision, ServiceName};
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
