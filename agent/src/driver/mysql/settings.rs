//! What an operator may set of the `mysql` driver.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tenure_core::{Endpoint, Millis};

use super::super::settings::{program, secret, typed, within};
use super::super::{ConfigError, InstanceAt};

/// What is done with transactions that nobody else has, when an instance is told to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnDiverged {
    /// They are saved to a file, then all data is copied from the primary anew.
    SaveAndResync,
    /// The instance stays fenced until an operator has decided.
    Hold,
}

/// The table as it is written. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Where the agent reaches the instance; where everybody does, when it is not set.
    endpoint: Option<Endpoint>,
    username: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
    /// By which replicas log in; the agent's own when it is not set.
    replication_password: Option<String>,
    replication_password_file: Option<PathBuf>,
    start: Option<Vec<String>>,
    stop: Option<Vec<String>>,
    kill_when_stuck: bool,
    connect_within: Millis,
    answer_within: Millis,
    fence_within: Millis,
    link_within: Millis,
    apply_within: Millis,
    start_within: Millis,
    probe_every: Millis,
    on_diverged: OnDiverged,
    save_dir: Option<PathBuf>,
    backup: Option<Vec<String>>,
    reclone: Option<Vec<String>>,
    reclone_within: Millis,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            endpoint: None,
            username: "tenure".to_owned(),
            password: None,
            password_file: None,
            replication_password: None,
            replication_password_file: None,
            start: None,
            stop: None,
            kill_when_stuck: false,
            connect_within: Millis(250),
            answer_within: Millis(500),
            fence_within: Millis(500),
            link_within: Millis(100),
            apply_within: Millis(2_000),
            start_within: Millis(30_000),
            probe_every: Millis(250),
            on_diverged: OnDiverged::SaveAndResync,
            save_dir: None,
            backup: None,
            reclone: None,
            reclone_within: Millis(14_400_000),
        }
    }
}

/// A name and a password, which may be absent.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) username: String,
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
    /// The password of every account that the agent makes for a replica.
    pub(super) replication_password: String,
    pub(super) start: Option<Vec<String>>,
    pub(super) stop: Option<Vec<String>>,
    pub(super) kill_when_stuck: bool,
    pub(super) connect_within: Duration,
    /// How long one round trip may take.
    pub(super) answer_within: Duration,
    /// How long a fence may wait for what is under way before it ends every connection, and as long again
    /// before it turns to its last resort.
    pub(super) fence_within: Duration,
    /// How long following waits for its link.
    pub(super) link_within: Duration,
    /// For how long one call waits until what was received is applied.
    pub(super) apply_within: Duration,
    pub(super) start_within: Duration,
    pub(super) probe_every: Duration,
    pub(super) on_diverged: OnDiverged,
    pub(super) save_dir: PathBuf,
    /// Prints a physical copy of the primary's data, as a stream of `xbstream`.
    pub(super) backup: Option<Vec<String>>,
    /// Copies the data of the primary in some way of the operator's.
    pub(super) reclone: Option<Vec<String>>,
    pub(super) reclone_within: Duration,
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
        let Some(replication_password) = replication_password.or(password.clone()) else {
            return Err(ConfigError(
                "password_file is not set: name a file that only the agent can read, with the password of \
                 its account alone in it"
                    .to_owned(),
            ));
        };
        let argv = |key, argv: Option<Vec<String>>| argv.map(|argv| program(key, argv)).transpose();
        Ok(Self {
            endpoint: written.endpoint.unwrap_or(instance.endpoint.clone()),
            login: Login {
                username: written.username,
                password,
            },
            replication_password,
            start: argv("start", written.start)?,
            stop: argv("stop", written.stop)?,
            kill_when_stuck: written.kill_when_stuck,
            connect_within: within("connect_within", written.connect_within, 10, 10_000)?,
            answer_within: within("answer_within", written.answer_within, 10, 10_000)?,
            fence_within: within("fence_within", written.fence_within, 10, 60_000)?,
            link_within: within("link_within", written.link_within, 1, 10_000)?,
            apply_within: within("apply_within", written.apply_within, 10, 60_000)?,
            start_within: within("start_within", written.start_within, 100, 600_000)?,
            probe_every: within("probe_every", written.probe_every, 20, 60_000)?,
            on_diverged: written.on_diverged,
            save_dir: written.save_dir.unwrap_or(instance.folder.join("tails")),
            backup: argv("backup", written.backup)?,
            reclone: argv("reclone", written.reclone)?,
            reclone_within: within("reclone_within", written.reclone_within, 1_000, 604_800_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::ServiceName;

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        let instance = InstanceAt {
            service: ServiceName::new("mysql-server").unwrap(),
            endpoint: Endpoint::new("10.0.0.1:3306").unwrap(),
            folder: PathBuf::from("/nowhere"),
        };
        Settings::parse(&instance, text.parse().unwrap())
    }

    #[test]
    fn what_is_not_set_is_sensible() {
        let settings = parse("password = 'a'").unwrap();
        assert_eq!(settings.endpoint.as_str(), "10.0.0.1:3306");
        assert_eq!(settings.login.username, "tenure");
        assert_eq!(settings.replication_password, "a");
        assert_eq!(settings.save_dir, PathBuf::from("/nowhere/tails"));
        assert!(!settings.kill_when_stuck && settings.start.is_none());
        assert_eq!(format!("{:?}", settings.login), "Login(\"tenure\")");
    }

    #[test]
    fn an_error_names_the_key_and_the_value() {
        let table = [
            ("", "password_file is not set"),
            ("port = 1", "unknown field `port`, expected one of"),
            (
                "password = 'a'\nprobe_every = 5",
                "probe_every = 5 is out of range: 20 to 60000 (milliseconds)",
            ),
            (
                "password = 'a'\non_diverged = 'merge'",
                "unknown variant `merge`, expected `save-and-resync` or `hold`",
            ),
            ("password = 'a'\nstart = []", "start = [] names no program"),
            (
                "password_file = '/nowhere/b'",
                "password_file = \"/nowhere/b\" cannot be read: No such file",
            ),
        ];
        for (text, sentence) in table {
            let refused = parse(text).expect_err(text).to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
    }
}
