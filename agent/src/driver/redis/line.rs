//! Connections to instances: plain or TLS, for commands or raw.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};
use tenure_core::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use super::super::error::DriverError;
use super::settings::{Login, Settings};
use super::tls::Tls;

/// Bytes in both directions, whatever is below.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Why an instance was not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody listens there.
    Refused,
    /// It cannot be reached, or the connection broke.
    Unreachable(String),
    /// It did not answer in time.
    Silent(Duration),
    /// It answered that it will not speak with us.
    Denied(String),
}

impl Trouble {
    /// The same as an error of an action.
    pub(super) fn about(self, endpoint: &Endpoint, what: &str) -> DriverError {
        let endpoint = endpoint.as_str().to_owned();
        match self {
            Self::Refused => DriverError::Unreachable {
                endpoint,
                why: "nobody listens there".to_owned(),
            },
            Self::Unreachable(why) => DriverError::Unreachable { endpoint, why },
            Self::Silent(within) => DriverError::timed_out(format!("{what} at {endpoint}"), within),
            Self::Denied(answer) => DriverError::Refused {
                what: format!("to log in at {endpoint}"),
                answer,
            },
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => write!(f, "nobody listens there"),
            Self::Unreachable(why) => write!(f, "{why}"),
            Self::Silent(within) => write!(f, "no answer within {} ms", within.as_millis()),
            Self::Denied(answer) => write!(f, "it will not speak with the agent: {answer}"),
        }
    }
}

/// How an instance is reached.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    pub(super) endpoint: Endpoint,
    host: String,
    port: u16,
    login: Arc<Login>,
    tls: Option<Tls>,
    pub(super) within: Duration,
}

/// The host (an IPv6 address without its brackets) and the port of an endpoint.
pub(super) fn host_and_port(endpoint: &Endpoint) -> (String, u16) {
    let (host, port) = endpoint.as_str().rsplit_once(':').unwrap_or(("", ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host.to_owned(), port.parse().unwrap_or(0))
}

impl Dial {
    pub(super) fn new(settings: &Settings) -> Self {
        let (host, port) = host_and_port(&settings.endpoint);
        Self {
            endpoint: settings.endpoint.clone(),
            host,
            port,
            login: Arc::new(settings.login.clone()),
            tls: settings.tls.clone(),
            within: settings.connect_within,
        }
    }

    /// Another instance of the service, reached in the same way.
    pub(super) fn to(&self, endpoint: &Endpoint) -> Self {
        let (host, port) = host_and_port(endpoint);
        Self {
            endpoint: endpoint.clone(),
            host,
            port,
            ..self.clone()
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A TCP connection on which nothing is said.
    pub(super) async fn tcp(&self) -> Result<TcpStream, Trouble> {
        let until = Instant::now() + self.within;
        self.tcp_until(until).await
    }

    async fn tcp_until(&self, until: Instant) -> Result<TcpStream, Trouble> {
        let began = Instant::now();
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        match timeout_at(until, connecting).await {
            Ok(Ok(stream)) => {
                // A hint; without it everything works, later.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(Trouble::Refused)
            }
            Ok(Err(error)) => Err(Trouble::Unreachable(error.to_string())),
            Err(_) => Err(Trouble::Silent(began.elapsed())),
        }
    }

    /// A connection that was secured where that is set, on which nothing was said yet.
    pub(super) async fn wire(&self) -> Result<Box<dyn Wire>, Trouble> {
        let until = Instant::now() + self.within;
        let stream = self.tcp_until(until).await?;
        self.secured(stream, until).await
    }

    async fn secured(&self, stream: TcpStream, until: Instant) -> Result<Box<dyn Wire>, Trouble> {
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(self.host.clone())
                .map_err(|error| Trouble::Unreachable(error.to_string()))?,
        };
        match timeout_at(until, tls.connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(Trouble::Unreachable(format!("TLS: {error}"))),
            Err(_) => Err(Trouble::Silent(self.within)),
        }
    }

    /// A connection for commands, logged in.
    pub(super) async fn line(&self) -> Result<Line, Trouble> {
        let until = Instant::now() + self.within;
        let stream = self.tcp_until(until).await?;
        let address = stream.local_addr().ok().map(|address| address.to_string());
        let wire = self.secured(stream, until).await?;
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &self.login.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.login.password {
            info = info.set_password(password);
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opening = MultiplexedConnection::new_with_config(&info, wire, config);
        match timeout_at(until, opening).await {
            Ok(Ok((connection, driving))) => Ok(Line {
                connection,
                address,
                driving: tokio::spawn(driving),
            }),
            Ok(Err(error)) if error.is_io_error() || error.is_connection_dropped() => {
                Err(Trouble::Unreachable(error.to_string()))
            }
            Ok(Err(error)) => Err(Trouble::Denied(error.to_string())),
            Err(_) => Err(Trouble::Silent(self.within)),
        }
    }

    /// What is sent once by hand on a raw connection so that it is logged in; nothing when there is
    /// no password.
    pub(super) fn login_words(&self) -> Option<Vec<&str>> {
        let password = self.login.password.as_deref()?;
        Some(match self.login.username.as_deref() {
            Some(username) => vec!["AUTH", username, password],
            None => vec!["AUTH", password],
        })
    }
}

/// A connection for commands. It is used by one at a time; whoever turns away in the midst of a
/// question drops it, so that a late answer is nobody else's.
#[derive(Debug)]
pub(super) struct Line {
    connection: MultiplexedConnection,
    /// This end of it, as the instance sees it.
    address: Option<String>,
    driving: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Line {
    pub(super) fn address(&self) -> Option<String> {
        self.address.clone()
    }

    /// Whether it was seen to be closed.
    pub(super) fn is_closed(&self) -> bool {
        self.driving.is_finished()
    }

    /// All answers to some commands, sent at once; an error of one is among the answers.
    pub(super) async fn ask(
        &mut self,
        pipe: &Pipeline,
        within: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        let asking = self.connection.send_packed_commands(pipe, 0, pipe.len());
        match tokio::time::timeout(within, asking).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => Err(Trouble::Unreachable(error.to_string())),
            Err(_) => Err(Trouble::Silent(within)),
        }
    }
}

/// Asks on the warm connection, or on a fresh one when there is none or it turns out to be closed, and
/// leaves a warm one behind when it was answered. What is asked must bear being asked twice.
pub(super) async fn ask(
    warm: &mut Option<Line>,
    dial: &Dial,
    pipe: &Pipeline,
    within: Duration,
) -> Result<Vec<Value>, Trouble> {
    if let Some(mut line) = warm.take().filter(|line| !line.is_closed()) {
        match line.ask(pipe, within).await {
            Ok(answers) => {
                *warm = Some(line);
                return Ok(answers);
            }
            Err(Trouble::Silent(within)) => return Err(Trouble::Silent(within)),
            Err(Trouble::Refused | Trouble::Unreachable(_) | Trouble::Denied(_)) => {}
        }
    }
    let mut line = dial.line().await?;
    let answers = line.ask(pipe, within).await?;
    *warm = Some(line);
    Ok(answers)
}
