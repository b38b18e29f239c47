//! One check of a peer.

use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tenure_core::{Endpoint, Presence};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::DriverError;
use super::super::run::{Errand, run};
use super::settings::{Check, Settings};

const OUTPUT_MAX: usize = 64 * 1024;

/// A check that went well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// The load that it told of, if it did.
    pub(super) load: Option<u64>,
}

/// A check that did not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) presence: Presence,
    pub(super) why: String,
}

impl Failed {
    fn new(presence: Presence, why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self { presence, why }
    }
}

pub(super) async fn check(settings: &Settings) -> Result<Checked, Failed> {
    let checking = async {
        match &settings.check {
            Check::Tcp(endpoint) => connect(endpoint).await.map(|_| Checked { load: None }),
            Check::Http {
                endpoint,
                path,
                host,
                load_header,
            } => get(endpoint, path, host, load_header.as_deref()).await,
            Check::Command(program) => command(program, settings).await,
        }
    };
    let within = settings.within;
    timeout(within, checking).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} ms", within.as_millis());
        Err(Failed::new(Presence::Unknown, why))
    })
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, Failed> {
    TcpStream::connect(endpoint.as_str())
        .await
        .map_err(|error| {
            let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
            let presence = if refused {
                Presence::Exited
            } else {
                Presence::Unknown
            };
            Failed::new(presence, format!("{endpoint}: {error}"))
        })
}

/// The task that moves the bytes of one connection, which ends with the check.
struct Moving(JoinHandle<()>);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn get(
    endpoint: &Endpoint,
    path: &str,
    host: &str,
    load_header: Option<&str>,
) -> Result<Checked, Failed> {
    let failed =
        |error: hyper::Error| Failed::new(Presence::Running, format!("{endpoint}: {error}"));
    let stream = TokioIo::new(connect(endpoint).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    let _moving = Moving(tokio::spawn(async move {
        // What goes wrong is told to whoever waits for the answer.
        let _ = connection.await;
    }));
    let request = Request::get(path)
        .header("host", host)
        .header("connection", "close")
        .header("user-agent", "tenure")
        .body(Empty::<&[u8]>::new())
        .map_err(|error| Failed::new(Presence::Running, error))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() && !status.is_redirection() {
        return Err(Failed::new(
            Presence::Running,
            format!("{path} is answered with {status}"),
        ));
    }
    Ok(Checked {
        load: load_header.and_then(|name| load_in(answer.headers(), name)),
    })
}

fn load_in(headers: &HeaderMap, name: &str) -> Option<u64> {
    whole_part(headers.get(name)?.to_str().ok()?)
}

/// The whole part of a number that is written in decimals.
fn whole_part(text: &str) -> Option<u64> {
    text.trim().split('.').next()?.parse().ok()
}

async fn command(program: &[String], settings: &Settings) -> Result<Checked, Failed> {
    let ran = run(Errand {
        argv: program,
        verb: None,
        environment: &[],
        within: settings.within,
        output_max: OUTPUT_MAX,
    });
    let ran = ran
        .await
        .map_err(|error: DriverError| Failed::new(Presence::Unknown, error))?;
    if !ran.status.success() {
        let why = format!("{}: {} {}", program[0], ran.status, ran.complaint);
        return Err(Failed::new(Presence::Unknown, why.trim_end()));
    }
    let mut lines = ran.output.lines();
    Ok(Checked {
        load: lines.find_map(|line| whole_part(line.trim().strip_prefix("load=")?)),
    })
}
