//! Reads: where they go, how old they may be; and what operators look at.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod fake;

use fake::{Cluster, id, refusing};
use std::{collections::BTreeSet, time::Duration};
use tenure_client::{Client, Consistency, Error, Options, Refusal, Target};
use tenure_core::{
    Command, Endpoint, Epoch, Filter, Key, Kind, NodeName, NodeRef, Note, Policy, RecordKind,
    ServiceName, Topology, TopologyNode,
};

fn options() -> Options {
    Options {
        deadline: Duration::from_secs(60),
        attempt: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        ..Options::default()
    }
}

fn redis() -> ServiceName {
    ServiceName::new("redis-server").unwrap()
}

fn node() -> NodeRef {
    NodeRef::Name(NodeName::new("db-1").unwrap())
}

/// A client that has made a service with one primary.
async fn prepared(cluster: &Cluster, options: Options) -> Client {
    let client = Client::connect([cluster.api(1)], options).await.unwrap();
    let admin = client.admin();
    admin
        .add_node(NodeName::new("db-1").unwrap(), None)
        .await
        .unwrap();
    admin
        .add_service(redis(), Policy::default_for(Kind::Primary))
        .await
        .unwrap();
    let endpoint = Endpoint::new("10.0.0.1:6379").unwrap();
    admin.add_instance(redis(), node(), endpoint).await.unwrap();
    let epoch = admin
        .set_primary(redis(), node(), Epoch(0), false, Note::default())
        .await;
    assert_eq!(epoch, Ok(Epoch(1)));
    client
}

#[tokio::test]
async fn a_service_is_resolved_with_its_primary() {
    let cluster = Cluster::start(3).await;
    let client = prepared(&cluster, options()).await;
    let found = client
        .discovery()
        .resolve(&redis(), Consistency::Linearizable)
        .await
        .unwrap();
    assert_eq!(found.primary().unwrap().endpoint.as_str(), "10.0.0.1:6379");
    assert_eq!(found.assignment.as_ref().unwrap().epoch, Epoch(1));
    assert_eq!(found.nodes[0].name.as_str(), "db-1");
    assert_eq!(found.header.revision, cluster.lock().state.revision());
    let one = client
        .discovery()
        .instance(&redis(), &node(), Consistency::Linearizable)
        .await;
    assert_eq!(one.unwrap().1, found.instances[0]);
    let none = ServiceName::new("none").unwrap();
    let error = client
        .discovery()
        .resolve(&none, Consistency::Linearizable)
        .await
        .unwrap_err();
    let not_found = matches!(
        error,
        Error::Refused {
            reason: Refusal::NotFound,
            ..
        }
    );
    assert!(not_found && !error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn reads_go_to_the_leader_or_to_all() {
    for spread_reads in [false, true] {
        let cluster = Cluster::start(3).await;
        let client = prepared(
            &cluster,
            Options {
                spread_reads,
                ..options()
            },
        )
        .await;
        for _ in 0..12 {
            client
                .discovery()
                .resolve(&redis(), Consistency::Linearizable)
                .await
                .unwrap();
        }
        let servers: BTreeSet<usize> = cluster.lock().resolved_at.iter().copied().collect();
        assert_eq!(servers.len(), if spread_reads { 3 } else { 1 });
        assert!(servers.contains(&0));
    }
}

#[tokio::test]
async fn a_local_read_finds_a_server_that_is_fresh_enough() {
    let cluster = Cluster::start(3).await;
    let client = prepared(&cluster, options()).await;
    cluster.lock().ages = vec![900, 80, 900];
    let fresh = Consistency::Local {
        max_age: Duration::from_millis(100),
    };
    for _ in 0..6 {
        let found = client.discovery().resolve(&redis(), fresh).await.unwrap();
        assert_eq!((found.header.server, found.header.age.0), (id(1), 80));
    }
    cluster.lock().ages = vec![900, 900, 900];
    let error = client
        .discovery()
        .resolve(&redis(), fresh)
        .await
        .unwrap_err();
    let stale = matches!(
        error,
        Error::Refused {
            reason: Refusal::TooStale { age_ms: 900 },
            ..
        }
    );
    assert!(stale && error.is_retryable(), "{error:?}");
    client
        .discovery()
        .resolve(&redis(), Consistency::ANY_AGE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_list_comes_whole_and_in_order() {
    let cluster = Cluster::start(3).await;
    let client = prepared(&cluster, options()).await;
    let all = client
        .discovery()
        .list(&Filter::default(), Consistency::Linearizable)
        .await
        .unwrap();
    let keys: Vec<Key> = all.records.iter().map(tenure_core::Record::key).collect();
    assert!(keys.is_sorted() && keys.len() == 8, "{keys:?}");
    let nodes = Filter {
        kinds: [RecordKind::Node].into(),
        ..Filter::default()
    };
    let nodes = client
        .discovery()
        .list(&nodes, Consistency::ANY_AGE)
        .await
        .unwrap();
    assert_eq!(nodes.records.len(), 1);
}

#[tokio::test]
async fn operators_see_status_plan_and_history() {
    let cluster = Cluster::start(3).await;
    let client = prepared(&cluster, options()).await;
    let admin = client.admin();
    let status = admin.status(Consistency::ANY_AGE).await.unwrap();
    assert_eq!((status.leader, status.findings.len()), (Some(id(0)), 1));
    let mut topology = Topology::default();
    let wanted = TopologyNode {
        zone: None,
        labels: Default::default(),
        weight: 1,
    };
    topology.nodes.insert(NodeName::new("b").unwrap(), wanted);
    let plan = admin.plan(&topology, true).await.unwrap();
    assert!(matches!(plan.steps[0].command, Command::RemoveNode { .. }));
    assert_eq!(plan.holds, ["a hold"]);
    let history = admin.history(2, Consistency::Linearizable).await.unwrap();
    assert!(history.len() == 2 && history[0].revision > history[1].revision);
}

#[tokio::test]
async fn one_server_is_asked_about_itself() {
    let cluster = Cluster::start(3).await;
    let client = prepared(&cluster, options()).await;
    let admin = client.admin();
    for at in 0..3 {
        let status = admin.raft_status(id(at).into()).await.unwrap();
        assert_eq!(status.server, id(at));
        assert_eq!(admin.digest(id(at).into()).await.unwrap().server, id(at));
    }
    let (_held, down) = refusing();
    let down = Target::At(Endpoint::new(&down).unwrap());
    let error = admin.raft_status(down).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let error = admin.raft_status(id(9).into()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Refusal::NotFound,
                ..
            }
        ),
        "{error:?}"
    );
    let error = admin.checkpoint(id(1).into()).await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error:?}");
}

#[tokio::test]
async fn a_change_of_the_servers_is_not_repeated_blindly() {
    let cluster = Cluster::start(3).await;
    let client = Client::connect([cluster.api(1)], options()).await.unwrap();
    let admin = client.admin();
    let endpoint = Endpoint::new("127.0.0.1:1").unwrap();
    let error = admin
        .add_server(id(3), endpoint.clone(), endpoint, false)
        .await
        .unwrap_err();
    assert!(error.may_have_happened(), "{error:?}");
    assert_eq!(cluster.lock().membership_calls, 1);
    let error = admin.remove_server(id(2)).await.unwrap_err();
    assert!(error.may_have_happened(), "{error:?}");
    assert_eq!(cluster.lock().membership_calls, 2);
    assert_eq!(admin.transfer_leader(Some(id(2))).await, Ok(id(2)));
    assert_eq!(client.leader().unwrap().id, id(2));
}
