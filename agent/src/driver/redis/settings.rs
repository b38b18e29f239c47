//! What an operator may set of the `redis` driver.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tenure_core::{Endpoint, Millis};

use super::super::settings::{program, secret, typed, within};
use super::super::{ConfigError, InstanceAt};
use super::tls::{Tls, TlsSettings};

/// What is done with writes that nobody else has, when a former primary is told to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnDiverged {
    /// They are saved to a file, then discarded.
    SaveAndResync,
    /// The instance stays fenced until an operator has decided.
    Hold,
}

/// What is done about an instance that would come up taking writes when it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnRestart {
    /// Its configuration file is made to say that it comes up fenced.
    Fence,
    /// Its configuration file is left alone.
    Leave,
}

/// The table as it is written. Times are in milliseconds unless something else is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Where the agent reaches the instance; where everybody does, when it is not set.
    endpoint: Option<Endpoint>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    /// One login for all replicas. When it is not set each has a user of its own, which the agent of the
    /// primary makes: then whoever is no member is kept away, and not only detached.
    replication_username: Option<String>,
    replication_password: Option<String>,
    replication_password_file: Option<PathBuf>,
    tls: Option<TlsSettings>,
    start: Option<Vec<String>>,
    stop: Option<Vec<String>>,
    kill_when_stuck: bool,
    connect_within: Millis,
    answer_within: Millis,
    fence_within: Millis,
    link_within: Millis,
    start_within: Millis,
    probe_every: Millis,
    min_replicas_max_lag: u32,
    on_restart: OnRestart,
    on_diverged: OnDiverged,
    save_dir: Option<PathBuf>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            endpoint: None,
            username: None,
            password: None,
            password_file: None,
            replication_username: None,
            replication_password: None,
            replication_password_file: None,
            tls: None,
            start: None,
            stop: None,
            kill_when_stuck: false,
            connect_within: Millis(250),
            answer_within: Millis(250),
            fence_within: Millis(500),
            link_within: Millis(100),
            start_within: Millis(10_000),
            probe_every: Millis(250),
            min_replicas_max_lag: 3,
            on_restart: OnRestart::Fence,
            on_diverged: OnDiverged::SaveAndResync,
            save_dir: None,
        }
    }
}

/// A name and a password, either of which may be absent.
#[derive(Clone, Default)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.username)
    }
}

/// The settings, checked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where the agent reaches the instance.
    pub(super) endpoint: Endpoint,
    /// How the agent logs in, here and at other instances of the service.
    pub(super) login: Login,
    /// How the instance logs in at its primary.
    pub(super) replication: Login,
    pub(super) tls: Option<Tls>,
    pub(super) start: Option<Vec<String>>,
    pub(super) stop: Option<Vec<String>>,
    pub(super) kill_when_stuck: bool,
    pub(super) connect_within: Duration,
    /// How long one round trip may take.
    pub(super) answer_within: Duration,
    /// How long a fence may wait for an answer before it turns to its last resort.
    pub(super) fence_within: Duration,
    /// How long following waits for its link.
    pub(super) link_within: Duration,
    pub(super) start_within: Duration,
    pub(super) probe_every: Duration,
    /// In seconds, for Redis knows no smaller unit.
    pub(super) min_replicas_max_lag: u32,
    pub(super) on_restart: OnRestart,
    pub(super) on_diverged: OnDiverged,
    pub(super) save_dir: PathBuf,
}

impl Settings {
    /// Reads the table.
    pub(super) fn parse(instance: &InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        let written: Written = typed(table)?;
        let password = secret("password", written.password, written.password_file.as_ref())?;
        let replication_password = secret(
            "replication_password",
            written.replication_password,
            written.replication_password_file.as_ref(),
        )?;
        named("username", written.username.as_ref(), password.as_ref())?;
        let replicator = written.replication_username;
        let secret = replication_password.as_ref();
        named("replication_username", replicator.as_ref(), secret)?;
        let lag = written.min_replicas_max_lag;
        if !(1..=3_600).contains(&lag) {
            // 0 would switch the whole check off, and with it every fence.
            return Err(ConfigError(format!(
                "min_replicas_max_lag = {lag} is out of range: 1 to 3600 (seconds)"
            )));
        }
        let argv = |key, argv: Option<Vec<String>>| argv.map(|argv| program(key, argv)).transpose();
        Ok(Self {
            endpoint: written.endpoint.unwrap_or(instance.endpoint.clone()),
            login: Login {
                username: written.username,
                password,
            },
            replication: Login {
                username: replicator,
                password: replication_password,
            },
            tls: written.tls.map(Tls::load).transpose()?,
            start: argv("start", written.start)?,
            stop: argv("stop", written.stop)?,
            kill_when_stuck: written.kill_when_stuck,
            connect_within: within("connect_within", written.connect_within, 10, 10_000)?,
            answer_within: within("answer_within", written.answer_within, 10, 10_000)?,
            fence_within: within("fence_within", written.fence_within, 10, 60_000)?,
            link_within: within("link_within", written.link_within, 1, 10_000)?,
            start_within: within("start_within", written.start_within, 100, 600_000)?,
            probe_every: within("probe_every", written.probe_every, 20, 60_000)?,
            min_replicas_max_lag: lag,
            on_restart: written.on_restart,
            on_diverged: written.on_diverged,
            save_dir: written.save_dir.unwrap_or(instance.folder.join("tails")),
        })
    }
}

/// A name without a password logs nobody in.
fn named(key: &str, name: Option<&String>, secret: Option<&String>) -> Result<(), ConfigError> {
    match (name, secret) {
        (Some(name), None) => {
            let password = key.replace("username", "password");
            Err(ConfigError(format!(
                "{key} = {name:?} is set without {password}: set {password} or {password}_file too"
            )))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::ServiceName;

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        let instance = InstanceAt {
            service: ServiceName::new("redis-server").unwrap(),
            endpoint: Endpoint::new("10.0.0.1:6379").unwrap(),
            folder: PathBuf::from("/nowhere"),
        };
        Settings::parse(&instance, text.parse().unwrap())
    }

    #[test]
    fn what_is_not_set_is_sensible() {
        let settings = parse("").unwrap();
        assert_eq!(settings.endpoint.as_str(), "10.0.0.1:6379");
        assert_eq!(settings.save_dir, PathBuf::from("/nowhere/tails"));
        assert!(!settings.kill_when_stuck && settings.start.is_none());
    }

    #[test]
    fn an_error_names_the_key_and_the_value() {
        let table = [
            (
                "endpoint = 'x'",
                "\"x\" is not HOST:PORT with a port from 1 to 65535 (IPv6 in brackets) in `endpoint`",
            ),
            ("port = 1", "unknown field `port`, expected one of"),
            (
                "probe_every = 5",
                "probe_every = 5 is out of range: 20 to 60000 (milliseconds)",
            ),
            (
                "probe_every = '1s'",
                "invalid type: string \"1s\", expected u64 in `probe_every`",
            ),
            (
                "min_replicas_max_lag = 0",
                "min_replicas_max_lag = 0 is out of range: 1 to 3600 (seconds)",
            ),
            (
                "on_diverged = 'merge'",
                "unknown variant `merge`, expected `save-and-resync` or `hold` in `on_diverged`",
            ),
            ("start = []", "start = [] names no program"),
            ("username = 'a'", "username = \"a\" is set without password"),
            (
                "replication_username = 'a'",
                "set replication_password or replication_password_file too",
            ),
            (
                "password = 'a'\npassword_file = 'b'",
                "password and password_file = \"b\" are both set",
            ),
            (
                "password_file = '/nowhere/b'",
                "password_file = \"/nowhere/b\" cannot be read: No such file",
            ),
            (
                "[tls]\nca_file = '/nowhere/ca'",
                "tls.ca_file = \"/nowhere/ca\" cannot be read: No such file",
            ),
            (
                "[tls]\nca = '/nowhere/ca'",
                "unknown field `ca`, expected one of",
            ),
        ];
        for (text, sentence) in table {
            let refused = parse(text).expect_err(text).to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
    }
}
