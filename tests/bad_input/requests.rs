//! Requests that cannot be right.

use tenure_core::Key;
use tenure_proto::v1::command::Kind;
use tenure_proto::v1::refusal::Reason;
use tenure_proto::v1::{self, admin_client::AdminClient, discovery_client::DiscoveryClient};
use tenure_tests::cluster::registers::add_node;
use tenure_tests::watches::content::{list, patient};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::one_server;
use crate::wire::connect;

const MANY: usize = 1_000_000;

fn execute(kind: Option<Kind>) -> v1::ExecuteRequest {
    v1::ExecuteRequest {
        command: Some(v1::Command { kind }),
        ..v1::ExecuteRequest::default()
    }
}

fn node(name: &str) -> v1::AddNode {
    v1::AddNode {
        name: name.to_owned(),
        weight: 100,
        ..v1::AddNode::default()
    }
}

fn by_name(name: &str) -> Option<v1::NodeRef> {
    Some(v1::NodeRef {
        id: 0,
        name: name.to_owned(),
    })
}

fn batch(commands: impl IntoIterator<Item = Kind>) -> Kind {
    let commands = commands
        .into_iter()
        .map(|kind| v1::Command { kind: Some(kind) });
    Kind::Batch(v1::Batch {
        commands: commands.collect(),
    })
}

/// A command that cannot be right, and what the answer has to name.
type Wrong = (Option<Kind>, &'static str);

fn wrong_nodes() -> Vec<Wrong> {
    let labels = [("k".to_owned(), "v\u{0}".to_owned())].into();
    let zone = "z\u{7f}".to_owned();
    let weight = u32::MAX;
    let add = |node| Some(Kind::AddNode(node));
    vec![
        (None, "kind"),
        (add(node("")), "add_node.name"),
        (add(node("a\nb")), "add_node.name"),
        (add(node("\u{1b}[2J")), "add_node.name"),
        (add(node(&"x".repeat(64))), "add_node.name"),
        (add(v1::AddNode { zone, ..node("n") }), "add_node.zone"),
        (
            add(v1::AddNode {
                labels,
                ..node("n")
            }),
            "add_node.labels",
        ),
        (
            add(v1::AddNode {
                weight,
                ..node("n")
            }),
            "add_node.weight",
        ),
    ]
}

fn wrong_fields() -> Vec<Wrong> {
    let service = |name: &str| {
        let name = name.to_owned();
        Kind::AddService(v1::AddService { name, policy: None })
    };
    let (node, reason) = (by_name("n"), "\u{7}".to_owned());
    let close = v1::CloseClient { client: 0 };
    let join = v1::JoinNode {
        node: None,
        last: 0,
    };
    let lifecycle = v1::SetLifecycle {
        node: node.clone(),
        ..v1::SetLifecycle::default()
    };
    let pin = v1::SetPin {
        node: node.clone(),
        ..v1::SetPin::default()
    };
    let remove = v1::RemoveNode {
        node,
        expected: 1,
        reason,
    };
    let wrong = [
        (service("web"), "add_service.policy"),
        (service("Web\r\n"), "add_service.name"),
        (Kind::CloseClient(close), "close_client.client"),
        (Kind::JoinNode(join), "join_node.node"),
        (Kind::SetLifecycle(lifecycle), "set_lifecycle.to"),
        (Kind::SetPin(pin), "set_pin.kind"),
        (Kind::RemoveNode(remove), "remove_node.reason"),
    ];
    wrong
        .into_iter()
        .map(|(kind, text)| (Some(kind), text))
        .collect()
}

fn wrong_sizes() -> Vec<Wrong> {
    let many = (0..4_097).map(|at| Kind::AddNode(node(&format!("n-{at}"))));
    let (service, in_sync) = ("s".to_owned(), (1..=MANY as u64).collect());
    let in_sync = v1::SetInSync {
        service,
        in_sync,
        ..v1::SetInSync::default()
    };
    let heavy = (0..300).map(|at| {
        let labels = (0..5).map(|key| (format!("k{key}"), "v".repeat(1_000)));
        let labels = labels.collect();
        let name = node(&format!("h-{at}"));
        Kind::AddNode(v1::AddNode { labels, ..name })
    });
    let nested = batch([batch([Kind::OpenClient(v1::OpenClient {})])]);
    let half = batch([Kind::AddNode(node("ok")), Kind::AddNode(node("not ok"))]);
    vec![
        (Some(Kind::SetInSync(in_sync)), "at most 1024"),
        (Some(batch(heavy)), "go into one log entry"),
        (Some(nested), "do not nest"),
        (Some(half), "commands[1].add_node.name"),
        (Some(batch(many)), "at most 4096"),
    ]
}

#[track_caller]
fn check_invalid(status: &Status, text: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let refusal = tenure_proto::refusal::refusal(status).expect("a typed refusal");
    assert_eq!(refusal.reason(), Reason::Invalid, "{status}");
    assert!(
        refusal.detail.contains(text),
        "{text:?} is not in {:?}",
        refusal.detail
    );
    let printable = !refusal.detail.chars().any(char::is_control);
    assert!(
        printable,
        "control characters are not sent back: {:?}",
        refusal.detail
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_cannot_be_right_are_refused_with_the_field() {
    let mut cluster = one_server().await;
    let mut admin = AdminClient::new(connect(&cluster.endpoints()[0]).await);
    for (kind, text) in wrong_nodes()
        .into_iter()
        .chain(wrong_fields())
        .chain(wrong_sizes())
    {
        let status = admin.execute(execute(kind)).await.expect_err(text);
        check_invalid(&status, text);
    }
    let open = || execute(Some(Kind::OpenClient(v1::OpenClient {})));
    let empty = v1::ExecuteRequest::default();
    check_invalid(
        &admin.execute(empty).await.expect_err("no command"),
        "command",
    );
    let actor = v1::ExecuteRequest {
        actor: "me\u{1b}".to_owned(),
        ..open()
    };
    check_invalid(&admin.execute(actor).await.expect_err("an actor"), "actor");
    let request = v1::ExecuteRequest {
        request: Some(v1::RequestId::default()),
        ..open()
    };
    check_invalid(
        &admin.execute(request).await.expect_err("no client 0"),
        "request",
    );
    let large = (0..120).map(|at| {
        let labels = (0..8)
            .map(|key| (format!("k{key}"), "v".repeat(1_000)))
            .collect();
        Kind::AddNode(v1::AddNode {
            labels,
            ..node(&format!("n-{at}"))
        })
    });
    let large = v1::ExecuteRequest {
        actor: String::new(),
        ..execute(Some(batch(large.chain(some_more()))))
    };
    check_invalid(
        &admin.execute(large).await.expect_err("too large an entry"),
        "send it in parts",
    );
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let (_, records) = list(&client).await.expect("a list");
    let touched = records
        .keys()
        .find(|key| matches!(key, Key::Node(_) | Key::Service(_)));
    assert_eq!(touched, None, "none of them had an effect");
    cluster
        .execute(&add_node("fine"))
        .await
        .expect("the server goes on");
    cluster.stop().await.expect("a clean end");
}

/// So that the batch is larger than a log entry may be, and smaller than a message may be.
fn some_more() -> impl Iterator<Item = Kind> {
    (0..60).map(|at| {
        let labels = (0..8)
            .map(|key| (format!("k{key}"), "w".repeat(1_000)))
            .collect();
        Kind::AddNode(v1::AddNode {
            labels,
            ..node(&format!("m-{at}"))
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_cannot_be_right_are_refused_with_the_field() {
    let cluster = one_server().await;
    let channel = connect(&cluster.endpoints()[0]).await;
    let mut discovery = DiscoveryClient::new(channel.clone());
    let kinds = |kinds: Vec<i32>| v1::WatchRequest {
        kinds,
        ..v1::WatchRequest::default()
    };
    for wrong in [vec![0], vec![3, 99], vec![-1], vec![0; MANY]] {
        let status = discovery
            .watch(kinds(wrong))
            .await
            .expect_err("no such kind");
        check_invalid(&status, "kinds[");
    }
    let names = |services: Vec<String>| v1::ListRequest {
        services,
        ..v1::ListRequest::default()
    };
    let status = discovery
        .list(names(vec!["a\tb".to_owned()]))
        .await
        .expect_err("no name");
    check_invalid(&status, "services[0]");
    let status = discovery
        .list(names(vec![String::new(); MANY]))
        .await
        .expect_err("too many names");
    check_invalid(&status, "has 1000000 names");
    let resolve = v1::ResolveRequest {
        service: "\u{85}".to_owned(),
        consistency: None,
    };
    check_invalid(
        &discovery.resolve(resolve).await.expect_err("no name"),
        "service",
    );
    let get = v1::GetInstanceRequest {
        service: "web".to_owned(),
        node: None,
        consistency: None,
    };
    check_invalid(
        &discovery.get_instance(get).await.expect_err("no node"),
        "node",
    );

    wrong_servers(channel).await;
    cluster.stop().await.expect("a clean end");
}

async fn wrong_servers(channel: Channel) {
    let mut admin = AdminClient::new(channel);
    let server = v1::AddServerRequest {
        id: 0,
        raft: "h:1".to_owned(),
        api: "h:2".to_owned(),
        learner: false,
    };
    check_invalid(
        &admin
            .add_server(server.clone())
            .await
            .expect_err("no server 0"),
        "id",
    );
    let nowhere = v1::AddServerRequest {
        id: 2,
        raft: "here".to_owned(),
        ..server
    };
    check_invalid(
        &admin.add_server(nowhere).await.expect_err("no address"),
        "raft",
    );
    let plan = v1::PlanRequest {
        topology: None,
        remove: true,
    };
    check_invalid(
        &admin.plan(plan).await.expect_err("no topology"),
        "topology",
    );
}
