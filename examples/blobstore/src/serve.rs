//! The way in: HTTP requests of users, and of the other nodes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tenure_client::core::copies::ItemName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::files::{DATA_BYTES_MAX, FileError, Sum};
use crate::gateway::{Gateway, GatewayError};
use crate::node::Node;
use crate::reach::{CHECKSUM, VERSION};

/// Connections at a time; more wait.
pub const CONNECTIONS_MAX: usize = 512;
/// How long one connection may last: it carries one request.
const CONNECTION_LASTS: Duration = Duration::from_secs(60);
/// How long the head of a request may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long its body may.
const BODY_WITHIN: Duration = Duration::from_secs(20);
/// How long to wait when the system gives no connection, as when there are too many open files.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

/// Why a request makes no sense: the status of the answer, and a sentence.
struct Wrong(u16, String);

impl Wrong {
    fn new(status: u16, why: impl ToString) -> Self {
        Self(status, why.to_string())
    }

    fn answer(self) -> Answer {
        say(self.0, self.1)
    }
}

/// What a connection needs to answer.
struct Desk {
    node: Arc<Node>,
    gateway: Gateway,
}

/// What `GET /status` answers.
#[derive(Serialize)]
struct StatusShape {
    node: u64,
    items: usize,
    bytes: u64,
    requests: usize,
}

/// Answers for as long as it is polled.
pub async fn run(listener: TcpListener, node: Arc<Node>) {
    let gateway = Gateway::new(node.clone());
    let desk = Arc::new(Desk { node, gateway });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(why) => {
                tracing::warn!(%why, "no connection can be taken");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _place = place;
            let _late = timeout(CONNECTION_LASTS, connection(stream, desk)).await;
        });
    }
}

async fn connection(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(why) = answered {
        tracing::debug!(%why, "a request was not answered");
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let _busy = self.node.begin();
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/items/") {
            match item(name) {
                Ok(item) => self.item(request, item).await,
                Err(wrong) => wrong.answer(),
            }
        } else if let Some(name) = path.strip_prefix("/copies/") {
            match item(name).and_then(|item| Ok((item, version(&request)?))) {
                Ok((item, version)) => self.copy(request, item, version).await,
                Err(wrong) => wrong.answer(),
            }
        } else if path == "/status" && request.method() == Method::GET {
            self.status()
        } else {
            say(
                404,
                "there are /items/NAME, /copies/NAME?version=N and /status",
            )
        }
    }

    fn status(&self) -> Answer {
        let (items, bytes) = self.node.files().total();
        let shape = StatusShape {
            node: self.node.id.0,
            items,
            bytes,
            requests: self.node.busy(),
        };
        match serde_json::to_vec(&shape) {
            Ok(body) => answer(200, "application/json", body.into()),
            Err(why) => say(500, why),
        }
    }

    async fn item(&self, request: Request<Incoming>, item: ItemName) -> Answer {
        if request.method() == Method::GET {
            return match self.gateway.get(&item).await {
                Ok(read) => data(read.version, read.sum, read.data),
                Err(why) => refused(&why),
            };
        }
        if request.method() == Method::DELETE {
            return match self.gateway.delete(&item).await {
                Ok(()) => say(204, ""),
                Err(why) => refused(&why),
            };
        }
        if request.method() != Method::PUT {
            return say(405, "an item takes GET, PUT and DELETE");
        }
        let body = match body(request).await {
            Ok(body) => body,
            Err(wrong) => return wrong.answer(),
        };
        match self.gateway.put(&item, body).await {
            Ok(written) => data(written.version, written.sum, Bytes::new()),
            Err(why) => refused(&why),
        }
    }

    async fn copy(&self, request: Request<Incoming>, item: ItemName, version: u64) -> Answer {
        let name = item.as_str().to_owned();
        if request.method() == Method::GET {
            let read = self.node.on_disk(move |files| files.read(&name, version));
            return match read.await {
                Ok((held, bytes)) => data(version, held.sum, bytes.into()),
                Err(why) => self.failed(&item, &why),
            };
        }
        if request.method() == Method::POST {
            let settled = self.node.on_disk(move |files| files.settle(&name, version));
            return match settled.await {
                Ok(()) => say(204, ""),
                Err(why) => self.failed(&item, &why),
            };
        }
        if request.method() != Method::PUT {
            return say(405, "a copy takes GET, PUT and POST");
        }
        let told = request.headers().get(CHECKSUM);
        let told = told.and_then(|value| value.to_str().ok()?.parse::<Sum>().ok());
        let body = match body(request).await {
            Ok(body) => body,
            Err(wrong) => return wrong.answer(),
        };
        if told != Some(Sum::of(&body)) {
            return say(
                400,
                "the data are not those of the checksum, or there is none",
            );
        }
        let kept = self
            .node
            .on_disk(move |files| files.keep(&name, version, &body, false));
        match kept.await {
            Ok(sum) => data(version, sum, Bytes::new()),
            Err(why) => self.failed(&item, &why),
        }
    }

    fn failed(&self, item: &ItemName, why: &FileError) -> Answer {
        let status = match why {
            FileError::Absent { .. } => 404,
            FileError::Taken { .. } => 409,
            FileError::Damaged { .. } => 410,
            FileError::TooMany { .. } => 429,
            FileError::Disk { .. } => 500,
        };
        if status >= 410 {
            tracing::warn!(%item, %why, "a copy was not given or taken");
        }
        let mut answer = say(status, why);
        if let Some(latest) = self.node.files().latest(item.as_str()) {
            answer.headers_mut().insert(VERSION, latest.into());
        }
        answer
    }
}

fn item(encoded: &str) -> Result<ItemName, Wrong> {
    let name = percent_decode_str(encoded).decode_utf8();
    let name = name.map_err(|why| Wrong::new(400, why))?;
    ItemName::new(&name).map_err(|why| Wrong::new(400, why))
}

fn version(request: &Request<Incoming>) -> Result<u64, Wrong> {
    let query = request.uri().query().unwrap_or_default();
    let text = query.strip_prefix("version=");
    let version = text.and_then(|text| text.parse().ok());
    version.ok_or_else(|| Wrong::new(400, "say which version: ?version=N"))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Wrong> {
    let read = Limited::new(request.into_body(), DATA_BYTES_MAX).collect();
    match timeout(BODY_WITHIN, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(why)) => Err(Wrong::new(
            413,
            format!("at most {DATA_BYTES_MAX} bytes: {why}"),
        )),
        Err(_) => Err(Wrong::new(408, "the data did not arrive in time")),
    }
}

fn refused(why: &GatewayError) -> Answer {
    let status = match why {
        GatewayError::NotFound(_) => 404,
        GatewayError::Refused(_) => 400,
        GatewayError::TooLate { .. } => 503,
    };
    say(status, why)
}

fn data(version: u64, sum: Sum, bytes: Bytes) -> Answer {
    let mut answer = answer(200, "application/octet-stream", bytes);
    let headers = answer.headers_mut();
    headers.insert(VERSION, version.into());
    if let Ok(sum) = sum.to_string().parse() {
        headers.insert(CHECKSUM, sum);
    }
    answer
}

fn say(status: u16, text: impl ToString) -> Answer {
    let mut text = text.to_string();
    if !text.is_empty() {
        text.push('\n');
    }
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn answer(status: u16, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = hyper::header::HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
