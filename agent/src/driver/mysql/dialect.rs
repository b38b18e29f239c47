//! The two dialects of one tongue: how MariaDB and MySQL name the same things.

/// Which of the two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// GTIDs are `domain-server-sequence`.
    MariaDb,
    /// GTIDs are `uuid:interval`.
    MySql,
}

impl Dialect {
    /// By what an instance says of its version.
    pub(super) fn of(version: &str, comment: &str) -> Self {
        let said = format!("{version} {comment}").to_lowercase();
        if said.contains("mariadb") {
            Self::MariaDb
        } else {
            Self::MySql
        }
    }

    /// What a look reads: the variables, the replication threads, and how the semi-synchronous wait goes.
    pub(super) fn look(self) -> &'static str {
        match self {
            Self::MariaDb => {
                "SHOW SLAVE STATUS; \
                 SELECT @@read_only AS read_only, @@gtid_binlog_pos AS done, \
                 @@gtid_binlog_state AS lineage, @@gtid_slave_pos AS follows_from, @@log_bin AS log_bin, \
                 @@log_slave_updates AS log_updates, @@sync_binlog AS sync_binlog, \
                 @@innodb_flush_log_at_trx_commit AS flush_log, @@gtid_strict_mode AS strict, \
                 @@rpl_semi_sync_master_enabled AS semi_enabled, \
                 @@rpl_semi_sync_master_timeout AS semi_timeout, \
                 @@rpl_semi_sync_master_wait_no_slave AS semi_alone, \
                 @@rpl_semi_sync_master_wait_point AS semi_point, 1 AS semi_count, \
                 @@rpl_semi_sync_slave_enabled AS semi_replica, @@server_id AS server_id, \
                 @@datadir AS datadir; \
                 SELECT LOWER(VARIABLE_NAME) AS name, VARIABLE_VALUE AS value \
                 FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN \
                 ('RPL_SEMI_SYNC_MASTER_STATUS', 'RPL_SEMI_SYNC_MASTER_CLIENTS', 'UPTIME')"
            }
            Self::MySql => {
                "SHOW REPLICA STATUS; \
                 SELECT @@super_read_only AS read_only, @@gtid_executed AS done, \
                 @@gtid_executed AS lineage, '' AS follows_from, @@log_bin AS log_bin, \
                 @@log_replica_updates AS log_updates, @@sync_binlog AS sync_binlog, \
                 @@innodb_flush_log_at_trx_commit AS flush_log, @@gtid_mode AS strict, \
                 @@rpl_semi_sync_source_enabled AS semi_enabled, \
                 @@rpl_semi_sync_source_timeout AS semi_timeout, \
                 @@rpl_semi_sync_source_wait_no_replica AS semi_alone, \
                 @@rpl_semi_sync_source_wait_point AS semi_point, \
                 @@rpl_semi_sync_source_wait_for_replica_count AS semi_count, \
                 @@rpl_semi_sync_replica_enabled AS semi_replica, @@server_id AS server_id, \
                 @@datadir AS datadir; \
                 SELECT LOWER(VARIABLE_NAME) AS name, VARIABLE_VALUE AS value \
                 FROM performance_schema.global_status WHERE VARIABLE_NAME IN \
                 ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_clients', 'Uptime')"
            }
        }
    }

    /// The replication threads' state alone.
    pub(super) fn replication(self) -> &'static str {
        match self {
            Self::MariaDb => "SHOW SLAVE STATUS; SELECT @@gtid_binlog_pos AS done",
            Self::MySql => "SHOW REPLICA STATUS; SELECT @@gtid_executed AS done",
        }
    }

    /// Takes no writes, whoever sends them.
    pub(super) fn close(self) -> &'static str {
        match self {
            Self::MariaDb => "SET GLOBAL read_only = 1",
            Self::MySql => "SET GLOBAL super_read_only = 1",
        }
    }

    /// Takes writes.
    pub(super) fn open(self) -> &'static str {
        match self {
            Self::MariaDb => "SET GLOBAL read_only = 0",
            Self::MySql => "SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0",
        }
    }

    /// What keeps everybody out but who may write regardless, so that the agent can write first.
    pub(super) fn half_open(self) -> &'static str {
        match self {
            // The agent's account has READ ONLY ADMIN.
            Self::MariaDb => "SET GLOBAL read_only = 1",
            Self::MySql => "SET GLOBAL super_read_only = 0",
        }
    }

    pub(super) fn is_closed(self) -> &'static str {
        match self {
            Self::MariaDb => "SELECT @@read_only AS read_only, @@gtid_binlog_pos AS done",
            Self::MySql => "SELECT @@super_read_only AS read_only, @@gtid_executed AS done",
        }
    }

    pub(super) fn stop_receiving(self) -> &'static str {
        match self {
            Self::MariaDb => "STOP SLAVE IO_THREAD",
            Self::MySql => "STOP REPLICA IO_THREAD",
        }
    }

    pub(super) fn stop_replication(self) -> &'static str {
        match self {
            Self::MariaDb => "STOP SLAVE",
            Self::MySql => "STOP REPLICA",
        }
    }

    pub(super) fn start_replication(self) -> &'static str {
        match self {
            Self::MariaDb => "START SLAVE",
            Self::MySql => "START REPLICA",
        }
    }

    pub(super) fn start_applying(self) -> &'static str {
        match self {
            Self::MariaDb => "START SLAVE SQL_THREAD",
            Self::MySql => "START REPLICA SQL_THREAD",
        }
    }

    /// Forgets whom it followed.
    pub(super) fn forget_primary(self) -> &'static str {
        match self {
            Self::MariaDb => "STOP SLAVE; RESET SLAVE ALL",
            Self::MySql => "STOP REPLICA; RESET REPLICA ALL",
        }
    }

    /// A primary's commit waits until `acks` replicas have it, for ever: the timeout is the longest that
    /// there is (49 days), so that the wait never falls back to none. Nothing waits with 0.
    pub(super) fn semi_sync(self, acks: u32) -> String {
        let on = u32::from(acks > 0);
        match self {
            Self::MariaDb => format!(
                "SET GLOBAL rpl_semi_sync_slave_enabled = 0; \
                 SET GLOBAL rpl_semi_sync_master_timeout = {SEMI_TIMEOUT}; \
                 SET GLOBAL rpl_semi_sync_master_wait_no_slave = 1; \
                 SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC; \
                 SET GLOBAL rpl_semi_sync_master_enabled = {on}"
            ),
            Self::MySql => format!(
                "SET GLOBAL rpl_semi_sync_replica_enabled = 0; \
                 SET GLOBAL rpl_semi_sync_source_timeout = {SEMI_TIMEOUT}; \
                 SET GLOBAL rpl_semi_sync_source_wait_no_replica = 1; \
                 SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_SYNC; \
                 SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = {}; \
                 SET GLOBAL rpl_semi_sync_source_enabled = {on}",
                acks.max(1)
            ),
        }
    }

    /// A replica acknowledges what it has written to its relay log. Only ever set while the server runs: a
    /// server that finds it set when it recovers from a crash throws away what it had not heard
    /// acknowledged, unsaved (MDEV-21117).
    pub(super) fn acknowledge(self) -> &'static str {
        match self {
            Self::MariaDb => {
                "SET GLOBAL rpl_semi_sync_master_enabled = 0; \
                 SET GLOBAL rpl_semi_sync_slave_enabled = 1"
            }
            Self::MySql => {
                "SET GLOBAL rpl_semi_sync_source_enabled = 0; \
                 SET GLOBAL rpl_semi_sync_replica_enabled = 1"
            }
        }
    }

    /// MySQL has the semi-synchronous wait in two plug-ins; MariaDB has it built in.
    pub(super) fn plugins(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::MariaDb => &[],
            Self::MySql => &[
                ("rpl_semi_sync_source", "semisync_source.so"),
                ("rpl_semi_sync_replica", "semisync_replica.so"),
            ],
        }
    }

    /// Forgets all that the server has ever logged.
    pub(super) fn forget_log(self, version: &str) -> &'static str {
        match self {
            Self::MySql if at_least(version, (8, 4)) => "RESET BINARY LOGS AND GTIDS",
            Self::MariaDb | Self::MySql => "RESET MASTER",
        }
    }
}

/// In milliseconds: what both dialects take at most.
pub(super) const SEMI_TIMEOUT: u64 = 4_294_967_295;

/// Whether a version is this one or a later one.
pub(super) fn at_least(version: &str, wanted: (u32, u32)) -> bool {
    let mut parts = version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_are_told_apart() {
        let table = [
            (
                "10.11.19-MariaDB-0+deb12u1-log",
                "Debian 12",
                Dialect::MariaDb,
            ),
            (
                "11.4.2",
                "mariadb.org binary distribution (MariaDB)",
                Dialect::MariaDb,
            ),
            ("8.0.36", "MySQL Community Server - GPL", Dialect::MySql),
            (
                "8.0.35-27",
                "Percona Server (GPL), Release 27",
                Dialect::MySql,
            ),
        ];
        for (version, comment, dialect) in table {
            assert_eq!(Dialect::of(version, comment), dialect, "{version}");
        }
        assert!(at_least("8.4.0", (8, 4)) && at_least("9.0.1", (8, 4)));
        assert!(!at_least("8.0.36", (8, 4)) && !at_least("", (8, 4)));
    }

    #[test]
    fn a_wait_for_nobody_is_none() {
        assert!(
            Dialect::MariaDb
                .semi_sync(0)
                .ends_with("master_enabled = 0")
        );
        assert!(
            Dialect::MariaDb
                .semi_sync(1)
                .ends_with("master_enabled = 1")
        );
        assert!(Dialect::MySql.semi_sync(2).contains("replica_count = 2"));
    }
}
