//! A service that stores copies, on nodes that have joined, and what is asked of it over the API of the leader.
#![allow(dead_code, missing_docs)]

use super::member::Member;
use super::{Cluster, eventually, payload};
use tenure_core::{
    Command, CopiesPolicy, Endpoint, Millis, NodeId, NodeRef, Outcome, Policy, RejectCode,
    ServiceName, Settings,
};
use tenure_proto::v1::{self, copies_client::CopiesClient};
use tonic::transport::Channel;

pub const SERVICE: &str = "git-server";

/// Commits a command, which may have been committed by an attempt before.
pub async fn commit(cluster: &Cluster, command: Command) {
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

pub async fn newest_level(cluster: &Cluster) {
    eventually("the newest feature level", || async {
        let reader = cluster.consensus(cluster.leader().await).reader();
        let level = reader.read(|state| state.settings().feature_level);
        (level == Settings::FEATURE_LEVEL_SUPPORTED).then_some(())
    })
    .await;
}

pub fn service() -> ServiceName {
    ServiceName::new(SERVICE).expect("a name")
}

pub fn policy(copies: u32, grace: u64) -> Policy {
    Policy::Copies(CopiesPolicy {
        copies,
        write_min: 2.min(copies),
        repair_grace_ms: Millis(grace),
        ..CopiesPolicy::default()
    })
}

/// Members on nodes with an instance of the service each; every one has a session with every server.
pub async fn site(cluster: &Cluster, nodes: u64, policy: Policy) -> Vec<Member> {
    newest_level(cluster).await;
    let name = service();
    commit(cluster, Command::AddService { name, policy }).await;
    let servers: Vec<u64> = cluster.running.keys().copied().collect();
    let mut members = Vec::new();
    for node in 1..=nodes {
        let member = Member::join(cluster, &format!("git-{node}"), &servers).await;
        let endpoint = Endpoint::new(&format!("127.0.0.1:{}", 1_000 + node)).expect("one");
        let add = Command::AddInstance {
            service: service(),
            node: NodeRef::Id(NodeId(member.node)),
            endpoint,
            preference: 100,
        };
        commit(cluster, add).await;
        members.push(member);
    }
    members
}

pub async fn copies_at(cluster: &Cluster, server: u64) -> CopiesClient<Channel> {
    let api = cluster.running[&server].api_addr();
    CopiesClient::connect(format!("http://{api}"))
        .await
        .expect("an API")
}

pub async fn copies(cluster: &Cluster) -> CopiesClient<Channel> {
    copies_at(cluster, cluster.leader().await).await
}

pub fn place(names: &[&str]) -> v1::PlaceItemsRequest {
    let item = |name: &&str| v1::place_items_request::Item {
        name: (*name).to_owned(),
        copies: 0,
    };
    v1::PlaceItemsRequest {
        service: SERVICE.into(),
        items: names.iter().map(item).collect(),
        actor: "test".into(),
    }
}

pub fn wrote(name: &str, replaces: u64, holders: &[u64]) -> v1::ReportedItem {
    v1::ReportedItem {
        name: name.into(),
        replaces,
        version: replaces + 1,
        checksum: sum(name, replaces + 1).into(),
        size: 10,
        holders: holders.to_vec(),
    }
}

/// The checksum of an item's version in these tests.
pub fn sum(name: &str, version: u64) -> Vec<u8> {
    let mut digest = tenure_core::Digest::new();
    digest.update(name.as_bytes());
    digest.update(&version.to_be_bytes());
    digest.value().to_be_bytes().to_vec()
}

pub fn reports(items: Vec<v1::ReportedItem>) -> v1::ReportCopiesRequest {
    v1::ReportCopiesRequest {
        service: SERVICE.into(),
        items,
        actor: "test".into(),
    }
}

pub fn locate(names: &[&str]) -> v1::LocateRequest {
    v1::LocateRequest {
        service: SERVICE.into(),
        items: names.iter().map(|name| (*name).to_owned()).collect(),
        zone: String::new(),
        consistency: None,
    }
}
