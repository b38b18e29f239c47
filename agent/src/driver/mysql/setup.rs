//! What an instance needs before it can be primary or replica: the agent's own tables, and accounts.
//!
//! The tables are replicated like any other. The accounts are each server's own: they are made without a
//! trace in the log, since a replica must be able to log in before anything can be replicated to it, and
//! what a primary takes from one replica is not to be taken from it everywhere.

use tenure_core::Endpoint;

use super::dialect::Dialect;
use super::gtid::Gtids;
use super::line::{host_and_port, quoted};
use super::settings::Login;
use super::{DriverError, Mysql};

/// Every account of a replica begins so.
pub(super) const REPLICA_PREFIX: &str = "tenure-replica-";
/// The account of the progress probe.
const PROBE: &str = "tenure-probe";

/// The schemas that every server comes with.
const OWN_SCHEMAS: &str = "'mysql', 'sys', 'information_schema', 'performance_schema', 'tenure'";

const TABLES: &str = "CREATE DATABASE IF NOT EXISTS tenure; \
     CREATE TABLE IF NOT EXISTS tenure.epochs (epoch BIGINT UNSIGNED PRIMARY KEY, \
     began BIGINT UNSIGNED NOT NULL, gtids TEXT NOT NULL, \
     at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4; \
     CREATE TABLE IF NOT EXISTS tenure.progress (id TINYINT PRIMARY KEY, \
     epoch BIGINT UNSIGNED NOT NULL, written BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB";

/// The account by which the instance at an endpoint logs in at its primary. MySQL's names are short.
pub(super) fn replica_user(endpoint: &Endpoint) -> String {
    let mut digest = tenure_core::Digest::new();
    digest.update(endpoint.as_str().as_bytes());
    format!("{REPLICA_PREFIX}{digest}")
}

impl Mysql {
    /// The login of the progress probe.
    pub(super) fn probe_login(settings: &super::Settings) -> Login {
        Login {
            username: PROBE.to_owned(),
            password: Some(settings.replication_password.clone()),
        }
    }

    /// The statements that make an account of a replica, where it is not there.
    pub(super) fn making_replica(&self, user: &str) -> String {
        let secret = quoted_secret(&self.settings.replication_password);
        format!(
            "SET SESSION sql_log_bin = 0; \
             CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY {secret}; \
             GRANT REPLICATION SLAVE ON *.* TO '{user}'@'%'; SET SESSION sql_log_bin = 1"
        )
    }

    /// Makes what is each server's own, once in each run of it: the probe's account, and MySQL's plug-ins.
    /// All replicas may log in again, whomever it kept away when it was last primary.
    pub(super) async fn prepare(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        if self.prepared {
            return Ok(());
        }
        let secret = quoted_secret(&self.settings.replication_password);
        let locked = format!(
            "SELECT DISTINCT User AS user FROM mysql.user WHERE User LIKE '{REPLICA_PREFIX}%'"
        );
        let answers = self.told("to list the replicas' accounts", &locked).await?;
        let unlocking = answers.iter().flatten().map(|row| {
            let user = row.text("user");
            format!("ALTER USER '{user}'@'%' ACCOUNT UNLOCK; ")
        });
        let text = format!(
            "SET SESSION sql_log_bin = 0; \
             CREATE USER IF NOT EXISTS '{PROBE}'@'%' IDENTIFIED BY {secret}; \
             ALTER USER '{PROBE}'@'%' IDENTIFIED BY {secret}; \
             GRANT SELECT, INSERT, UPDATE ON tenure.* TO '{PROBE}'@'%'; {} \
             SET SESSION sql_log_bin = 1",
            unlocking.collect::<String>()
        );
        self.half_opened(dialect).await?;
        self.told("to make the agent's accounts", &text).await?;
        self.install_plugins(dialect).await?;
        self.prepared = true;
        Ok(())
    }

    /// MySQL, unlike MariaDB, lets nobody write who is super-read-only, not even without a trace.
    async fn half_opened(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        if dialect == Dialect::MySql {
            self.told("to write as the agent", "SET GLOBAL super_read_only = 0")
                .await?;
        }
        Ok(())
    }

    pub(super) async fn install_plugins(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        for (name, library) in dialect.plugins() {
            let there = format!(
                "SELECT COUNT(*) AS count FROM information_schema.PLUGINS \
                 WHERE PLUGIN_NAME = '{name}' AND PLUGIN_STATUS = 'ACTIVE'"
            );
            let answers = self.told("to look for a plug-in", &there).await?;
            let count = answers
                .first()
                .and_then(|rows| rows.first()?.number("count"));
            if count == Some(0) {
                let text = format!("INSTALL PLUGIN {name} SONAME '{library}'");
                self.told("INSTALL PLUGIN", &text).await?;
            }
        }
        Ok(())
    }

    /// Whether it holds no data but what every server comes with.
    pub(super) async fn is_empty(&mut self) -> Result<bool, DriverError> {
        let text = format!(
            "SELECT COUNT(*) AS count FROM information_schema.SCHEMATA \
             WHERE SCHEMA_NAME NOT IN ({OWN_SCHEMAS})"
        );
        let answers = self.told("to look for data", &text).await?;
        let count = answers
            .first()
            .and_then(|rows| rows.first()?.number("count"));
        Ok(count == Some(0))
    }

    /// Makes the agent's tables, as the primary that it is about to be. A server that holds nothing yet
    /// forgets its log first: what made its accounts is in it, and would be made at every replica again.
    pub(super) async fn make_tables(
        &mut self,
        dialect: Dialect,
        done: &Gtids,
    ) -> Result<(), DriverError> {
        if !done.is_empty() && self.is_empty().await? {
            let version = self.version.clone();
            self.told(
                "to forget an empty server's log",
                dialect.forget_log(&version),
            )
            .await?;
            if dialect == Dialect::MariaDb {
                self.told("to begin anew", "SET GLOBAL gtid_slave_pos = ''")
                    .await?;
            }
        }
        self.told("to make the agent's tables", TABLES).await?;
        self.has_tables = true;
        Ok(())
    }

    /// By what the instance follows: host, port, account and password, in this dialect's words.
    pub(super) fn following(&self, dialect: Dialect, primary: &Endpoint) -> String {
        let (host, port) = host_and_port(primary);
        let user = replica_user(&self.announced);
        let (host, secret) = (
            quoted(&host),
            quoted_secret(&self.settings.replication_password),
        );
        match dialect {
            Dialect::MariaDb => format!(
                "SET GLOBAL slave_net_timeout = 5; \
                 CHANGE MASTER TO MASTER_HOST = {host}, MASTER_PORT = {port}, MASTER_USER = '{user}', \
                 MASTER_PASSWORD = {secret}, MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, \
                 MASTER_HEARTBEAT_PERIOD = 1"
            ),
            Dialect::MySql => format!(
                "SET GLOBAL replica_net_timeout = 5; \
                 CHANGE REPLICATION SOURCE TO SOURCE_HOST = {host}, SOURCE_PORT = {port}, \
                 SOURCE_USER = '{user}', SOURCE_PASSWORD = {secret}, SOURCE_AUTO_POSITION = 1, \
                 SOURCE_CONNECT_RETRY = 1, SOURCE_HEARTBEAT_PERIOD = 1, GET_SOURCE_PUBLIC_KEY = 1"
            ),
        }
    }
}

/// A password as a plain literal: statements about accounts take nothing else.
fn quoted_secret(secret: &str) -> String {
    let escaped = secret.replace('\\', "\\\\").replace('\'', "''");
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replica_has_an_account_of_its_own_with_a_short_name() {
        let one = replica_user(&Endpoint::new("10.0.0.1:3306").unwrap());
        let other = replica_user(&Endpoint::new("10.0.0.2:3306").unwrap());
        assert!(one != other && one.len() <= 32, "{one}");
    }

    #[test]
    fn a_password_cannot_leave_its_literal() {
        assert_eq!(quoted_secret("a'b\\c"), "'a''b\\\\c'");
    }
}
