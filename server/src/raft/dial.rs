//! Opening a connection to another server, and making sure that it is the right one.

use std::time::Duration;

use tenure_proto::net;
use tenure_proto::raft as pb;
use tenure_proto::raft::raft_client::RaftClient;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::MESSAGE_MAX;
use super::link::LinkError;
use super::peers::{Hello, Links};

/// How long a TCP connection may take: servers are close together.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a server may take to say who it is; it does so without touching its disk.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// When nothing comes for so long the other end is asked for a sign of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(500);
/// How long it may take to give one.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// What may be under way unread, per stream.
const STREAM_WINDOW: u32 = 8 << 20;
/// What may be under way unread, over all streams.
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Opens a connection.
async fn connect(address: &str) -> Result<RaftClient<Channel>, LinkError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| LinkError::Unreachable(format!("{address} is no address: {error}")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    // The endpoint's own limit covers the TCP connection alone, not the greeting that follows it.
    let channel = timeout(HELLO_TIMEOUT, net::connect(&endpoint))
        .await
        .map_err(|_| LinkError::Unreachable(format!("{address} does not answer")))?
        .map_err(|error| LinkError::Unreachable(format!("{address}: {}", deepest(&error))))?;
    Ok(RaftClient::new(channel)
        .max_decoding_message_size(MESSAGE_MAX)
        .max_encoding_message_size(MESSAGE_MAX))
}

/// The error that the others stand for: "connection refused" says more than "transport error".
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Connects, and asks the other end who it is.
pub(super) async fn hello(
    links: &Links,
    target: u64,
    address: &str,
) -> Result<(RaftClient<Channel>, Hello), LinkError> {
    let mut client = connect(address).await?;
    let request = pb::HelloRequest {
        identity: Some(links.identity(target)),
    };
    let answer = timeout(HELLO_TIMEOUT, client.hello(request))
        .await
        .map_err(|_| LinkError::Unreachable(format!("{address} does not say who it is")))?
        .map_err(|status| refused(address, &status))?
        .into_inner();
    let hello = links
        .check_answerer(target, &answer)
        .map_err(|refusal| LinkError::Refused(format!("at {address}: {refusal}")))?;
    Ok((client, hello))
}

/// Tells "no" apart from "not now".
pub(super) fn refused(address: &str, status: &tonic::Status) -> LinkError {
    let why = format!("{address}: {}", status.message());
    if status.code() == tonic::Code::PermissionDenied {
        LinkError::Refused(why)
    } else {
        LinkError::Unreachable(why)
    }
}
