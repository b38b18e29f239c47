//! The HTTP checks: what load balancers and people ask of this node.

mod answer;
mod status;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tenure_client::Attendance;
use tenure_core::{Member, Millis};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::board::Board;
use crate::clock;
use crate::register::Troubles;
use answer::{Answer, Check};
use status::{Server, Status};

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 256;
/// How long one connection may last: it carries one request.
const CONNECTION_LASTS: Duration = Duration::from_secs(5);
/// How long a request may take to arrive.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait when the system gives no connection, as when there are too many open files.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What the checks answer from.
pub(crate) struct Sight {
    pub(crate) cluster: String,
    pub(crate) node: String,
    /// Set when the node has joined.
    pub(crate) joined: OnceLock<Joined>,
}

/// What there is to see once the node has joined.
pub(crate) struct Joined {
    pub(crate) member: Member,
    pub(crate) board: Arc<Board>,
    pub(crate) attendance: Attendance,
    pub(crate) troubles: Troubles,
    pub(crate) pace: watch::Receiver<Millis>,
}

/// Opens the address at which the checks are asked.
///
/// # Errors
/// What the system says.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers checks for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, sight: Arc<Sight>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(why) => {
                tracing::debug!(%why, "no connection for a check");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        let sight = sight.clone();
        tokio::spawn(async move {
            let _place = place;
            // Whoever is too slow asks again.
            let _late = timeout(CONNECTION_LASTS, connection(stream, &sight)).await;
        });
    }
}

async fn connection(stream: TcpStream, sight: &Sight) {
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| async move { Ok::<_, Infallible>(respond(sight, &request)) }),
        )
        .await;
    if let Err(why) = answered {
        tracing::debug!(%why, "a check was not answered");
    }
}

fn respond(sight: &Sight, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return plain(&Answer {
            status: 405,
            line: "only GET, HEAD and OPTIONS".to_owned(),
        });
    }
    if path == "/status" {
        return match serde_json::to_vec_pretty(&sight.status()) {
            Ok(body) => response(200, "application/json", body.into()),
            Err(why) => plain(&Answer::no(why.to_string())),
        };
    }
    plain(&sight.check(path))
}

fn plain(answer: &Answer) -> Response<Full<Bytes>> {
    let line = format!("{}\n", answer.line);
    response(answer.status, "text/plain; charset=utf-8", line.into())
}

fn response(status: u16, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Sight {
    fn check(&self, path: &str) -> Answer {
        let Some((check, service)) = Check::of(path) else {
            return Answer::unknown(
                "ask for /primary/SERVICE, /replica/SERVICE, /peer/SERVICE or /status",
            );
        };
        let Some(joined) = self.joined.get() else {
            return Answer::no("the node has not joined the cluster yet");
        };
        let pace = *joined.pace.borrow();
        answer::answer(&joined.board.lock(), clock::now(), pace, check, service)
    }

    fn status(&self) -> Status<'_> {
        let mut status = Status {
            cluster: &self.cluster,
            node: &self.node,
            version: env!("CARGO_PKG_VERSION"),
            member: None,
            troubles: Vec::new(),
            servers: Vec::new(),
            services: Default::default(),
        };
        let Some(joined) = self.joined.get() else {
            let trouble = "the node has not joined the cluster yet";
            status.troubles.push(trouble.to_owned());
            return status;
        };
        status.member = Some(joined.member);
        status.troubles = joined.troubles.now();
        let servers = joined.attendance.now().into_iter();
        status.servers = servers.map(Server::from).collect();
        let inner = joined.board.lock();
        if let Some(why) = &inner.unkept {
            status.troubles.push(format!(
                "what the agent has promised cannot be kept, so it promises nothing: {why}"
            ));
        }
        status.services = status::services(&inner, clock::now());
        status
    }
}
