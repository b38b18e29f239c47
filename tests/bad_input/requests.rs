//! Requests that cannot be right, and bytes that are no requests.

use bytes::Bytes;
use tenure_proto::v1::command::Kind;
use tenure_proto::v1::refusal::Reason;
use tenure_proto::v1::{self, admin_client::AdminClient, discovery_client::DiscoveryClient};
use tenure_tests::cluster::registers::add_node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::one_server;
use crate::wire::{call, connect};

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

/// Commands that cannot be right, and what the answer has to name.
fn wrong_commands() -> Vec<(Option<Kind>, &'static str)> {
    let labels = [("k".to_owned(), "v\u{0}".to_owned())].into();
    let many: Vec<Kind> = (0..4_097)
        .map(|at| Kind::AddNode(node(&format!("n-{at}"))))
        .collect();
    let service = |name: &str| {
        Kind::AddService(v1::AddService {
            name: name.to_owned(),
            policy: None,
        })
    };
    let in_sync = (1..=MANY as u64).collect();
    vec![
        (None, "kind"),
        (Some(Kind::AddNode(node(""))), "add_node.name"),
        (Some(Kind::AddNode(node("a\nb"))), "add_node.name"),
        (Some(Kind::AddNode(node("\u{1b}[2J"))), "add_node.name"),
        (Some(Kind::AddNode(node(&"x".repeat(64)))), "add_node.name"),
        (
            Some(Kind::AddNode(v1::AddNode {
                zone: "z\u{7f}".to_owned(),
                ..node("n")
            })),
            "add_node.zone",
        ),
        (
            Some(Kind::AddNode(v1::AddNode {
                labels,
                ..node("n")
            })),
            "add_node.labels",
        ),
        (
            Some(Kind::AddNode(v1::AddNode {
                weight: u32::MAX,
                ..node("n")
            })),
            "add_node.weight",
        ),
        (Some(service("web")), "add_service.policy"),
        (Some(service("Web\r\n")), "add_service.name"),
        (
            Some(Kind::CloseClient(v1::CloseClient { client: 0 })),
            "close_client.client",
        ),
        (
            Some(Kind::JoinNode(v1::JoinNode {
                node: None,
                last: 0,
            })),
            "join_node.node",
        ),
        (
            Some(Kind::SetLifecycle(v1::SetLifecycle {
                node: by_name("n"),
                ..v1::SetLifecycle::default()
            })),
            "set_lifecycle.to",
        ),
        (
            Some(Kind::SetPin(v1::SetPin {
                node: by_name("n"),
                ..v1::SetPin::default()
            })),
            "set_pin.kind",
        ),
        (
            Some(Kind::RemoveNode(v1::RemoveNode {
                node: by_name("n"),
                expected: 1,
                reason: "\u{7}".to_owned(),
            })),
            "remove_node.reason",
        ),
        (
            Some(Kind::SetInSync(v1::SetInSync {
                service: "s".to_owned(),
                in_sync,
                ..v1::SetInSync::default()
            })),
            "set_in_sync.in_sync",
        ),
        (
            Some(batch([batch([Kind::OpenClient(v1::OpenClient {})])])),
            "do not nest",
        ),
        (
            Some(batch([
                Kind::AddNode(node("ok")),
                Kind::AddNode(node("not ok")),
            ])),
            "commands[1].add_node.name",
        ),
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
    let before = cluster
        .calls(0)
        .raft_status()
        .await
        .expect("a status")
        .last_log;
    let mut admin = AdminClient::new(connect(&cluster.endpoints()[0]).await);
    for (kind, text) in wrong_commands() {
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
    let after = cluster
        .calls(0)
        .raft_status()
        .await
        .expect("a status")
        .last_log;
    assert_eq!(after, before, "none of them went into the log");
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
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_messages_are_refused() {
    let mut cluster = one_server().await;
    let channel = connect(&cluster.endpoints()[0]).await;
    let execute = "/tenure.v1.Admin/Execute";
    for bytes in [
        &b"\xff\xff\xff\xff"[..],
        b"\x1a\xff\x01short",
        &[0x0b; 300],
        &[0x1a; 4_000],
    ] {
        let status = call(&channel, execute, Bytes::copy_from_slice(bytes))
            .await
            .expect_err("no message");
        assert!(
            matches!(status.code(), Code::Internal | Code::InvalidArgument),
            "{status}"
        );
        assert!(status.message().contains("decode"), "{status}");
    }
    let large = Bytes::from(vec![0; (4 << 20) + 1]);
    let status = call(&channel, execute, large).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("4194304"), "{status}");
    for method in [
        "/tenure.v1.Admin/Explode",
        "/tenure.v9.Admin/Execute",
        "/x",
        "/",
    ] {
        let status = call(&channel, method, Bytes::new())
            .await
            .expect_err("no such method");
        assert_eq!(status.code(), Code::Unimplemented, "{method}: {status}");
    }
    // Deep nesting is refused before it can exhaust a stack.
    let mut deep = vec![];
    for _ in 0..10_000 {
        let mut outer = vec![];
        prost::encoding::encode_key(21, prost::encoding::WireType::LengthDelimited, &mut outer);
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.append(&mut deep);
        let mut batch = vec![];
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut batch);
        prost::encoding::encode_varint(outer.len() as u64, &mut batch);
        batch.append(&mut outer);
        deep = batch;
    }
    let mut request = vec![];
    prost::encoding::encode_key(3, prost::encoding::WireType::LengthDelimited, &mut request);
    prost::encoding::encode_varint(deep.len() as u64, &mut request);
    request.append(&mut deep);
    let status = call(&channel, execute, request.into())
        .await
        .expect_err("too deep");
    assert!(
        matches!(status.code(), Code::Internal | Code::InvalidArgument),
        "{status}"
    );
    cluster
        .execute(&add_node("fine"))
        .await
        .expect("the server goes on");
    goes_on(&channel).await;
    cluster.stop().await.expect("a clean end");
}

async fn goes_on(channel: &Channel) {
    let mut admin = AdminClient::new(channel.clone());
    admin
        .raft_status(v1::RaftStatusRequest {})
        .await
        .expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_a_port_harms_nobody_else() {
    let mut cluster = one_server().await;
    let listed = cluster.forming()[0].clone();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend_from_slice(&[0xff; 4_096]);
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let garbage: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        &preface,
        &noise,
        b"",
    ];
    for address in [&listed.api, &listed.raft] {
        for bytes in garbage {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            // The server may close while it is written to.
            let _closed = stream.write_all(bytes).await;
            let _closed = stream.shutdown().await;
            let mut answer = vec![];
            let _closed = stream.read_to_end(&mut answer).await;
        }
        cluster
            .execute(&add_node(&address.replace([':', '.'], "-")))
            .await
            .expect("the server goes on");
    }
    cluster.check().expect("it did not end");
    cluster.stop().await.expect("a clean end");
}
