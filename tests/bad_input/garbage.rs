//! Bytes that are no requests, on both ports.

use bytes::Bytes;
use prost::encoding::WireType;
use tenure_proto::v1::{self, admin_client::AdminClient};
use tenure_tests::cluster::registers::add_node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Channel;

use crate::one_server;
use crate::wire::{call, connect};

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
    let status = call(&channel, execute, deep(10_000))
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

/// A request whose command is a batch in a batch, and so on.
fn deep(levels: usize) -> Bytes {
    let within = |field, bytes: Vec<u8>| {
        let mut outer = vec![];
        prost::encoding::encode_key(field, WireType::LengthDelimited, &mut outer);
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend_from_slice(&bytes);
        outer
    };
    // A batch of one command, which is a batch: fields 1 and 21.
    let command = (0..levels).fold(vec![], |inner, _| within(21, within(1, inner)));
    within(3, command).into()
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
