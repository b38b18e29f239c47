//! Connections to instances, and what is said on them: text in, rows of text out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, IoError, OptsBuilder, Value};
use tenure_core::Endpoint;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::error::DriverError;
use super::dialect::Dialect;
use super::process::{self, Process};
use super::settings::{Login, Settings};

/// What every connection is told first: that the instance is not to close it because it rests, and that
/// no lock is waited for beyond what its caller waits.
const GREETING: &str = "SET SESSION wait_timeout = 31536000, lock_wait_timeout = 5, autocommit = 1; \
                        SHOW GLOBAL STATUS LIKE 'Uptime'; \
                        SELECT @@version AS version, @@version_comment AS comment, @@pid_file AS pid_file";

/// Why an instance was not heard, or did not do what it was told.
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
    /// It answered that it did not do it.
    Said {
        /// The error's number in MariaDB and MySQL.
        code: u16,
        /// Its words.
        message: String,
    },
}

impl Trouble {
    fn of(error: Error) -> Self {
        match error {
            Error::Server(said) => Self::Said {
                code: said.code,
                message: said.message,
            },
            Error::Io(IoError::Io(error))
                if error.kind() == std::io::ErrorKind::ConnectionRefused =>
            {
                Self::Refused
            }
            error @ (Error::Io(_) | Error::Driver(_) | Error::Other(_) | Error::Url(_)) => {
                Self::Unreachable(error.to_string())
            }
        }
    }

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
            Self::Said { code, message } => DriverError::Refused {
                what: format!("{what} at {endpoint}"),
                answer: format!("error {code}: {message}"),
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
            Self::Said { code, message } => write!(f, "error {code}: {message}"),
        }
    }
}

/// One row of an answer, by the lower-case names of its columns. NULL is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Row(BTreeMap<String, String>);

impl Row {
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }

    pub(super) fn text(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }

    /// None when it is NULL, not there, or no number.
    pub(super) fn number(&self, column: &str) -> Option<u64> {
        self.0.get(column)?.parse().ok()
    }

    /// Whether a variable of the kind `ON` or `OFF` is on.
    pub(super) fn is_on(&self, column: &str) -> bool {
        matches!(self.text(column), "1" | "ON" | "on" | "Yes" | "YES")
    }
}

/// The answers to some statements: for each, its rows.
pub(super) type Answers = Vec<Vec<Row>>;

fn row(row: mysql_async::Row) -> Row {
    let columns = row.columns();
    let names = columns
        .iter()
        .map(|column| column.name_str().to_lowercase());
    let texts = mysql_async::Row::unwrap(row).into_iter().map(text);
    let pairs = names.zip(texts);
    Row(pairs
        .filter_map(|(name, text)| Some((name, text?)))
        .collect())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        other @ (Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..)) => {
            Some(other.as_sql(true))
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

    /// The same instance by another login.
    pub(super) fn by(&self, login: Login) -> Self {
        Self {
            login: Arc::new(login),
            ..self.clone()
        }
    }

    /// A TCP connection on which nothing is said: whether anybody listens.
    pub(super) async fn tcp(&self) -> Result<TcpStream, Trouble> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        match timeout(self.within, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(Trouble::Refused)
            }
            Ok(Err(error)) => Err(Trouble::Unreachable(error.to_string())),
            Err(_) => Err(Trouble::Silent(self.within)),
        }
    }

    /// A connection for statements, logged in. It is not said of whom the process is.
    pub(super) async fn conn(&self) -> Result<Conn, Trouble> {
        let opts = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.login.username.clone()))
            .pass(self.login.password.clone())
            .prefer_socket(false)
            .tcp_nodelay(true)
            .stmt_cache_size(0)
            // Known beforehand they are not asked for.
            .max_allowed_packet(Some(16 * 1024 * 1024))
            .wait_timeout(Some(31_536_000));
        match timeout(self.within, Conn::new(opts)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(match Trouble::of(error) {
                Trouble::Said { code, message } => {
                    Trouble::Denied(format!("error {code}: {message}"))
                }
                other @ (Trouble::Refused
                | Trouble::Unreachable(_)
                | Trouble::Silent(_)
                | Trouble::Denied(_)) => other,
            }),
            Err(_) => Err(Trouble::Silent(self.within)),
        }
    }

    /// A connection for statements, logged in, of which it is known what answers there.
    pub(super) async fn line(&self) -> Result<Line, Trouble> {
        let until = Instant::now() + self.within;
        let mut conn = self.conn().await?;
        let asking = statements(&mut conn, GREETING);
        let answers = match timeout_at(until, asking).await {
            Ok(answers) => answers.map_err(Trouble::of)?,
            Err(_) => return Err(Trouble::Silent(self.within)),
        };
        let said = answers.last().and_then(|rows| rows.first());
        let Some(said) = said else {
            return Err(Trouble::Unreachable(
                "it does not say what it is".to_owned(),
            ));
        };
        let uptime = answers.iter().flatten().find_map(|row| row.number("value"));
        let process = Process::find(said.text("pid_file"), self.port);
        Ok(Line {
            dialect: Dialect::of(said.text("version"), said.text("comment")),
            version: said.text("version").to_owned(),
            run: match &process {
                Some(process) => process.name.clone(),
                None => process::began(uptime.unwrap_or(0)),
            },
            process,
            conn,
        })
    }
}

async fn statements(conn: &mut Conn, text: &str) -> Result<Answers, Error> {
    let mut result = conn.query_iter(text).await?;
    let mut answers = Vec::new();
    while !result.is_empty() {
        let rows: Vec<mysql_async::Row> = result.collect().await?;
        answers.push(rows.into_iter().map(row).collect());
    }
    Ok(answers)
}

/// A connection for statements. It is used by one at a time; whoever turns away in the midst of a
/// question drops it, so that a late answer is nobody else's.
#[derive(Debug)]
pub(super) struct Line {
    conn: Conn,
    pub(super) dialect: Dialect,
    pub(super) version: String,
    /// Which run of the server answers here, as [`process::is_same`] compares it.
    pub(super) run: String,
    /// Its process, where it is one of this machine's.
    pub(super) process: Option<Process>,
}

impl Line {
    /// By which the instance names this connection.
    pub(super) fn id(&self) -> u32 {
        self.conn.id()
    }

    /// All answers to some statements, sent at once. The first that fails ends them; what came before it
    /// was done.
    pub(super) async fn ask(&mut self, text: &str, within: Duration) -> Result<Answers, Trouble> {
        match timeout(within, statements(&mut self.conn, text)).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => Err(Trouble::of(error)),
            Err(_) => Err(Trouble::Silent(within)),
        }
    }
}

/// Asks on the warm connection, or on a fresh one when there is none or it turns out to be closed, and
/// leaves a warm one behind when it was answered. What is asked must bear being asked twice.
pub(super) async fn ask(
    warm: &mut Option<Line>,
    dial: &Dial,
    text: &str,
    within: Duration,
) -> Result<Answers, Trouble> {
    if let Some(mut line) = warm.take() {
        match line.ask(text, within).await {
            Err(Trouble::Refused | Trouble::Unreachable(_) | Trouble::Denied(_)) => {}
            Err(Trouble::Silent(within)) => return Err(Trouble::Silent(within)),
            answered @ (Ok(_) | Err(Trouble::Said { .. })) => {
                *warm = Some(line);
                return answered;
            }
        }
    }
    let mut line = dial.line().await?;
    let answered = line.ask(text, within).await;
    if matches!(answered, Ok(_) | Err(Trouble::Said { .. })) {
        *warm = Some(line);
    }
    answered
}

/// A text as a literal of SQL, whatever the SQL mode says of backslashes.
pub(super) fn quoted(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    if text.contains(['\'', '\\', '\0']) {
        return format!("CONVERT(X'{hex}' USING utf8mb4)");
    }
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(quoted("0-1-3"), "'0-1-3'");
        assert_eq!(quoted("a'b"), "CONVERT(X'612762' USING utf8mb4)");
        assert!(!quoted("x\\' OR 1").contains('\\'));
    }

    #[test]
    fn what_is_null_or_no_number_is_none() {
        let row = Row::of(&[("a", "7"), ("b", "x"), ("c", "ON")]);
        assert_eq!(
            (row.number("a"), row.number("b"), row.number("d")),
            (Some(7), None, None)
        );
        assert!(row.is_on("c") && !row.is_on("a1") && row.text("d").is_empty());
    }
}
