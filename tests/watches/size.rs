//! Snapshots and changes that are far larger than one message.

use std::collections::BTreeMap;

use tenure_core::{Command, NodeRef, Policy, Record, Revision, ServiceName};
use tenure_tests::watches::content::{add_nodes, execute, join, list, name, patient};
use tenure_tests::watches::picture::{Picture, Records};
use tenure_tests::watches::raw::{MESSAGE_MAX, RawWatch, Seen};

use crate::{one_server, settle};

const NODES: usize = 4_000;
const INSTANCES: usize = 2_000;

/// What the cluster held at each revision that the test made.
type Past = BTreeMap<Revision, Records>;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_in_parts_is_true_to_its_revision_while_records_change_and_go() {
    let cluster = one_server(100_000).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let service = fill(&client).await;
    let mut watch = RawWatch::open(&cluster.endpoints()[0], None)
        .await
        .expect("a watch");
    let mut past = Past::new();
    let mut parts: u64 = 0;
    // Each part is followed by changes to records that came already, that are to come, and that are gone then.
    loop {
        let (revision, records) = list(&client).await.expect("a list");
        past.insert(revision, records);
        match watch.next().await.expect("the snapshot goes on") {
            Seen::Part => parts += 1,
            Seen::Snapshot => break,
            other @ (Seen::Progress | Seen::More | Seen::Changes | Seen::Compacted) => {
                panic!("{other:?} came within a snapshot")
            }
        }
        change(&client, &service, parts).await;
    }
    let (revision, expected) = past
        .range(..=watch.picture.revision)
        .next_back()
        .expect("a list before the end");
    assert_eq!(
        *revision, watch.picture.revision,
        "the snapshot is of a revision that there was"
    );
    assert_eq!(
        tenure_tests::watches::picture::difference(&watch.picture.records, expected),
        None
    );
    println!(
        "{parts} parts and the last, {} records taken back, longest message {} bytes",
        watch.gone, watch.longest
    );
    assert!(parts >= 10, "the snapshot came in {parts} parts only");
    assert!(
        watch.gone > 0,
        "records that were sent before they went have to be taken back"
    );
    settle(&mut watch, &client).await;
    drop(watch);
    cluster.stop().await.expect("a clean end");
}

/// Nodes of a kilobyte each, and small instances on half of them.
async fn fill(client: &tenure_client::Client) -> ServiceName {
    add_nodes(client, NODES, 1_000).await.expect("nodes");
    let service = ServiceName::new("web").expect("a name");
    let policy = Policy::Peers(tenure_core::PeersPolicy::default());
    execute(
        client,
        Command::AddService {
            name: service.clone(),
            policy,
        },
    )
    .await
    .expect("a service");
    let add = |at| Command::AddInstance {
        service: service.clone(),
        node: NodeRef::Name(name(at)),
        endpoint: tenure_core::Endpoint::new("10.0.0.1:80").expect("host:port"),
        preference: 100,
    };
    execute(client, Command::Batch((0..INSTANCES).map(add).collect()))
        .await
        .expect("instances");
    service
}

fn as_instance(record: &Record) -> Option<&tenure_core::Instance> {
    if let Record::Instance(instance) = record {
        Some(instance)
    } else {
        None
    }
}

/// Changes 400 nodes all over the range, and removes 100 instances and adds 50 of them again.
async fn change(client: &tenure_client::Client, service: &ServiceName, round: u64) {
    let (_, records) = list(client).await.expect("a list");
    let node = |at| Command::JoinNode {
        node: NodeRef::Name(name(at)),
        last: tenure_core::Incarnation(round - 1),
    };
    let joins = (0..NODES).step_by(10).map(node);
    let mine = records.values().filter_map(as_instance);
    let (first, last) = (mine.clone().take(50), mine.rev().take(50));
    let removals = first.chain(last).map(|instance| Command::RemoveInstance {
        service: service.clone(),
        node: NodeRef::Id(instance.node),
        expected: instance.modified,
    });
    execute(client, Command::Batch(joins.chain(removals).collect()))
        .await
        .expect("changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_revision_of_many_megabytes_is_cut_into_messages() {
    const LARGE: usize = 4_096;
    let cluster = one_server(100_000).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    add_nodes(&client, LARGE, 8_000).await.expect("large nodes");
    let (before, records) = list(&client).await.expect("a list");
    let api = &cluster.endpoints()[0];
    let picture = Picture::of(records, before);
    let mut following = RawWatch::open(api, Some(picture.clone()))
        .await
        .expect("a watch that follows");
    assert_eq!(following.next().await, Ok(Seen::Progress));

    let revision = execute(&client, join(0..LARGE, 0))
        .await
        .expect("one revision");
    let mut resuming = RawWatch::open(api, Some(picture))
        .await
        .expect("a watch that resumes");
    for watch in [&mut following, &mut resuming] {
        let mut messages = 0;
        loop {
            messages += 1;
            let seen = watch
                .until(&[Seen::More, Seen::Changes])
                .await
                .expect("the watch goes on");
            if seen == Seen::Changes {
                break;
            }
            assert_eq!(
                watch.picture.revision, before,
                "nothing of a revision is shown before all of it came"
            );
        }
        assert_eq!(watch.picture.revision, revision);
        assert_eq!(watch.picture.told.changes, 1);
        println!(
            "{LARGE} events in {messages} messages, the longest of {} bytes",
            watch.longest
        );
        assert!(
            messages > 8 && watch.longest < MESSAGE_MAX,
            "{messages} messages"
        );
        settle(watch, &client).await;
    }
    let changed =
        |record: &Record| matches!(record, Record::Node(node) if node.modified == revision);
    let changed = following
        .picture
        .records
        .values()
        .filter(|record| changed(record));
    assert_eq!(changed.count(), LARGE);
    drop(resuming);
    cluster.stop().await.expect("a clean end");
}
