//! Reaching the copies of other nodes over HTTP. Whatever arrives is compared with the checksum that was asked for.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tenure_client::core::Endpoint;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::files::{DATA_BYTES_MAX, Sum};

/// How long it may take to reach a node.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How long it may take to send one item, or to say which version is its.
pub const DONE_WITHIN: Duration = Duration::from_secs(10);

/// How long a node may take for an item, with all that it tries again.
const ITEM_WITHIN: Duration = Duration::from_secs(20);

/// Holds the version of data.
pub const VERSION: &str = "x-item-version";
/// Holds the checksum of data.
pub const CHECKSUM: &str = "x-item-checksum";

/// What of a name stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Why a copy of another node could not be read or written. A retry is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The node does not answer, or not in time.
    #[error("{at} cannot be reached: {why}")]
    Silent {
        /// The node's endpoint.
        at: Endpoint,
        /// What went wrong.
        why: String,
    },
    /// It has no such version.
    #[error("{at} has no such version: {why}")]
    Absent {
        /// The node's endpoint.
        at: Endpoint,
        /// What it said.
        why: String,
    },
    /// It has other data under this version.
    #[error("{at} has other data under this version; its latest is {latest}")]
    Taken {
        /// The node's endpoint.
        at: Endpoint,
        /// The latest version that it has.
        latest: u64,
    },
    /// What it sent is not what was asked for.
    #[error("{at} sent data of checksum {found}, {expected} was asked for")]
    Differs {
        /// The node's endpoint.
        at: Endpoint,
        /// Of what it sent.
        found: Sum,
        /// Of what was asked for.
        expected: Sum,
    },
    /// It could not do it.
    #[error("{at} says {status}: {why}")]
    Refused {
        /// The node's endpoint.
        at: Endpoint,
        /// The status of its answer.
        status: u16,
        /// What it said.
        why: String,
    },
}

/// The path of an item below a root such as `/items/`.
#[must_use]
pub fn path(root: &str, item: &str) -> String {
    format!("{root}{}", utf8_percent_encode(item, PLAIN))
}

/// Fetches a copy within so long, and compares it with a checksum where one is known.
///
/// # Errors
/// [`ReachError`].
pub async fn fetch(
    at: &Endpoint,
    item: &str,
    version: u64,
    expected: Option<Sum>,
    within: Duration,
) -> Result<Bytes, ReachError> {
    let target = target(item, version);
    let data = send(at, Method::GET, &target, None, within).await?;
    let found = Sum::of(&data);
    match expected.filter(|expected| *expected != found) {
        None => Ok(data),
        Some(expected) => Err(ReachError::Differs {
            at: at.clone(),
            found,
            expected,
        }),
    }
}

/// Writes a copy. It is durable when this succeeds.
///
/// # Errors
/// [`ReachError`].
pub async fn store(
    at: &Endpoint,
    item: &str,
    version: u64,
    sum: Sum,
    data: Bytes,
) -> Result<(), ReachError> {
    let (target, body) = (target(item, version), Some((data, sum)));
    let sent = send(at, Method::PUT, &target, body, DONE_WITHIN).await;
    sent.map(drop)
}

/// Tells a node which version is the item's, so that it lets go of those before.
///
/// # Errors
/// [`ReachError`]; the node finds out by itself later.
pub async fn settle(at: &Endpoint, item: &str, version: u64) -> Result<(), ReachError> {
    let target = target(item, version);
    let sent = send(at, Method::POST, &target, None, DONE_WITHIN).await;
    sent.map(drop)
}

/// Reads an item through a node, whichever nodes have it. Gives its version and its data.
///
/// # Errors
/// [`ReachError`]; [`ReachError::Absent`] when there is no such item.
pub async fn get_item(at: &Endpoint, item: &str) -> Result<(u64, Bytes), ReachError> {
    let target = path("/items/", item);
    let got = request(at, Method::GET, &target, None, ITEM_WITHIN).await?;
    Ok((got.version.unwrap_or(0), got.body))
}

/// Writes an item through a node. Gives the version that it has from now on.
///
/// # Errors
/// [`ReachError`]; unless it is [`ReachError::Absent`] it may have been written. To write the same again is harmless.
pub async fn put_item(at: &Endpoint, item: &str, data: Bytes) -> Result<u64, ReachError> {
    let (target, sum) = (path("/items/", item), Sum::of(&data));
    let put = request(at, Method::PUT, &target, Some((data, sum)), ITEM_WITHIN).await?;
    Ok(put.version.unwrap_or(0))
}

/// Lets an item go, through a node.
///
/// # Errors
/// [`ReachError`]; [`ReachError::Absent`] when there is no such item (any more).
pub async fn delete_item(at: &Endpoint, item: &str) -> Result<(), ReachError> {
    let target = path("/items/", item);
    let deleted = request(at, Method::DELETE, &target, None, ITEM_WITHIN).await;
    deleted.map(drop)
}

fn target(item: &str, version: u64) -> String {
    format!("{}?version={version}", path("/copies/", item))
}

/// What came back.
struct Answer {
    status: StatusCode,
    /// The version of what is sent, or the latest that the node has.
    version: Option<u64>,
    body: Bytes,
}

async fn send(
    at: &Endpoint,
    method: Method,
    target: &str,
    body: Option<(Bytes, Sum)>,
    within: Duration,
) -> Result<Bytes, ReachError> {
    let answer = request(at, method, target, body, within).await;
    answer.map(|answer| answer.body)
}

/// One request over a connection of its own.
async fn request(
    at: &Endpoint,
    method: Method,
    target: &str,
    body: Option<(Bytes, Sum)>,
    within: Duration,
) -> Result<Answer, ReachError> {
    let silent = |why: String| ReachError::Silent {
        at: at.clone(),
        why,
    };
    let answer = match timeout(within, exchange(at, method, target, body)).await {
        Ok(answered) => answered.map_err(silent)?,
        Err(_) => return Err(silent(format!("no answer within {within:?}"))),
    };
    let why = || {
        let text = String::from_utf8_lossy(&answer.body);
        text.chars().take(300).collect::<String>().trim().to_owned()
    };
    let at = at.clone();
    match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(answer),
        StatusCode::NOT_FOUND => Err(ReachError::Absent { at, why: why() }),
        StatusCode::CONFLICT => Err(ReachError::Taken {
            at,
            latest: answer.version.unwrap_or(0),
        }),
        other => Err(ReachError::Refused {
            at,
            status: other.as_u16(),
            why: why(),
        }),
    }
}

async fn exchange(
    at: &Endpoint,
    method: Method,
    target: &str,
    body: Option<(Bytes, Sum)>,
) -> Result<Answer, String> {
    let connected = timeout(CONNECT_WITHIN, TcpStream::connect(at.as_str())).await;
    let stream = connected.map_err(|_| format!("no connection within {CONNECT_WITHIN:?}"))?;
    let stream = stream.map_err(|why| why.to_string())?;
    stream.set_nodelay(true).map_err(|why| why.to_string())?;
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(|why| why.to_string())?;
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(hyper::header::HOST, at.as_str())
        .header(hyper::header::CONNECTION, "close");
    let mut data = Bytes::new();
    if let Some((body, sum)) = body {
        request = request.header(CHECKSUM, sum.to_string());
        data = body;
    }
    let request = request
        .body(Full::new(data))
        .map_err(|why| why.to_string())?;
    let answered = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|why| why.to_string())?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, DATA_BYTES_MAX).collect().await;
        let body = body.map_err(|why| why.to_string())?.to_bytes();
        Ok(Answer {
            status: head.status,
            version: head.headers.get(VERSION).and_then(number),
            body,
        })
    };
    tokio::pin!(answered, connection);
    // The connection is driven until the answer is there, and goes with it.
    tokio::select! {
        answer = &mut answered => answer,
        ended = &mut connection => match ended {
            Ok(()) => answered.await,
            Err(why) => Err(why.to_string()),
        },
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}
