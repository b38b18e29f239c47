//! What an instance says of itself in one look.

use super::super::error::DriverError;
use super::dialect::{Dialect, SEMI_TIMEOUT};
use super::gtid::Gtids;
use super::line::{Answers, Row};

/// How an instance follows a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) host: String,
    pub(super) port: u16,
    /// As whom it logs in there.
    pub(super) user: String,
    /// `Yes`, `No`, `Connecting`.
    pub(super) receiving: String,
    pub(super) applies: bool,
    /// What stopped it, or keeps it from its primary.
    pub(super) receive_error: String,
    pub(super) apply_error: String,
    /// By how many seconds what it applies is older than what its primary writes.
    pub(super) behind_s: Option<u64>,
    /// What it has received, applied or not.
    pub(super) received: Gtids,
    pub(super) by_gtid: bool,
}

/// A column under either dialect's name.
fn either<'a>(row: &'a Row, old: &str, new: &str) -> &'a str {
    let text = row.text(new);
    if text.is_empty() { row.text(old) } else { text }
}

impl Replica {
    fn read(dialect: Dialect, row: &Row) -> Option<Self> {
        let host = either(row, "master_host", "source_host").to_owned();
        // MySQL keeps an empty row once there was a replica.
        if host.is_empty() {
            return None;
        }
        let port = either(row, "master_port", "source_port").parse().ok()?;
        let (received, by_gtid) = match dialect {
            Dialect::MariaDb => (row.text("gtid_io_pos"), row.text("using_gtid") != "No"),
            Dialect::MySql => (
                row.text("retrieved_gtid_set"),
                row.text("auto_position") == "1",
            ),
        };
        let behind = either(row, "seconds_behind_master", "seconds_behind_source");
        Some(Self {
            host,
            port,
            user: either(row, "master_user", "source_user").to_owned(),
            receiving: either(row, "slave_io_running", "replica_io_running").to_owned(),
            applies: either(row, "slave_sql_running", "replica_sql_running") == "Yes",
            receive_error: row.text("last_io_error").to_owned(),
            apply_error: row.text("last_sql_error").to_owned(),
            behind_s: behind.parse().ok(),
            received: Gtids::read(dialect, received)?,
            by_gtid,
        })
    }

    pub(super) fn receives(&self) -> bool {
        self.receiving == "Yes"
    }

    /// Whether what it does is to follow: both halves work.
    pub(super) fn is_linked(&self) -> bool {
        self.receives() && self.applies
    }
}

/// How an instance replicates, and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replication {
    pub(super) replica: Option<Replica>,
    /// What is applied, and in its own log.
    pub(super) done: Gtids,
}

impl Replication {
    /// Reads the answers to [`Dialect::replication`].
    pub(super) fn read(dialect: Dialect, answers: &Answers) -> Result<Self, DriverError> {
        let row = answers.first().and_then(|rows| rows.first());
        let replica = row.and_then(|row| Replica::read(dialect, row));
        let done = answers.get(1).and_then(|rows| rows.first());
        let done = done.map_or("", |row| row.text("done"));
        let done = Gtids::read(dialect, done).ok_or_else(|| unreadable("its position", done))?;
        Ok(Self { replica, done })
    }

    /// What it has received and not applied yet; nothing when there is none.
    pub(super) fn unapplied(&self) -> Option<Gtids> {
        let replica = self.replica.as_ref()?;
        let behind = !self.done.has_all_of(&replica.received);
        behind.then(|| replica.received.without(&self.done))
    }

    /// How many transactions those are.
    pub(super) fn lag(&self) -> u64 {
        let all = self.all();
        all.count().saturating_sub(self.done.count())
    }

    /// All that it has, applied or not.
    pub(super) fn all(&self) -> Gtids {
        match &self.replica {
            Some(replica) => self.done.with(&replica.received),
            None => self.done.clone(),
        }
    }
}

pub(super) fn unreadable(what: &str, found: &str) -> DriverError {
    DriverError::Unreadable {
        what: what.to_owned(),
        why: format!("found {found:?}"),
    }
}

/// How a primary's commits wait for replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SemiSync {
    pub(super) enabled: bool,
    /// Whether commits wait at present.
    pub(super) waits: bool,
    /// How many replicas may acknowledge.
    pub(super) clients: u64,
    timeout: u64,
    alone: bool,
    point: String,
    pub(super) count: u64,
}

impl SemiSync {
    /// Why a commit could be acknowledged with fewer than `acks` replicas having it; None when it cannot.
    pub(super) fn gap(&self, acks: u32) -> Option<String> {
        if acks == 0 {
            return None;
        }
        let why = if !self.enabled {
            "it is switched off".to_owned()
        } else if !self.waits {
            "it has fallen back to asynchronous".to_owned()
        } else if self.timeout < SEMI_TIMEOUT {
            format!("it falls back to asynchronous after {} ms", self.timeout)
        } else if !self.alone {
            "it does not wait where too few replicas are attached".to_owned()
        } else if self.point != "AFTER_SYNC" {
            format!("it waits at {}, after others can see the write", self.point)
        } else if self.count < u64::from(acks) {
            format!("it waits for {} of {acks}", self.count)
        } else {
            return None;
        };
        Some(format!("semi-synchronous replication does not hold: {why}"))
    }
}

/// What one look says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) read_only: bool,
    pub(super) replication: Replication,
    /// What its log has ever had, as the dialect says it.
    pub(super) written: String,
    /// What a replica would ask its primary for what comes after; MariaDB keeps it apart from its log.
    pub(super) follows_from: String,
    pub(super) semi: SemiSync,
    /// Whether it acknowledges as a replica.
    pub(super) acknowledges: bool,
    /// Why what it has committed may be lost with its machine, or cannot be followed.
    pub(super) unsafe_settings: Vec<String>,
    /// For how many seconds it has run.
    pub(super) uptime_s: u64,
    pub(super) datadir: String,
}

impl Seen {
    /// Reads the answers to [`Dialect::look`].
    pub(super) fn read(dialect: Dialect, answers: &Answers) -> Result<Self, DriverError> {
        let replication = Replication::read(dialect, answers)?;
        let row = answers.get(1).and_then(|rows| rows.first());
        let row = row.ok_or_else(|| unreadable("its variables", ""))?;
        let status = |name: &str| {
            let rows = answers.get(2).map(Vec::as_slice).unwrap_or_default();
            let row = rows.iter().find(|row| row.text("name") == name);
            row.map_or("", |row| row.text("value")).to_owned()
        };
        let semi = |last: &str| match dialect {
            Dialect::MariaDb => status(&format!("rpl_semi_sync_master_{last}")),
            Dialect::MySql => status(&format!("rpl_semi_sync_source_{last}")),
        };
        Ok(Self {
            read_only: row.is_on("read_only"),
            written: row.text("lineage").to_owned(),
            follows_from: row.text("follows_from").to_owned(),
            semi: SemiSync {
                enabled: row.is_on("semi_enabled"),
                waits: semi("status") == "ON",
                clients: semi("clients").parse().unwrap_or(0),
                timeout: row.number("semi_timeout").unwrap_or(0),
                alone: row.is_on("semi_alone"),
                point: row.text("semi_point").to_owned(),
                count: row.number("semi_count").unwrap_or(0),
            },
            acknowledges: row.is_on("semi_replica"),
            unsafe_settings: unsafe_settings(row),
            uptime_s: status("uptime").parse().unwrap_or(0),
            datadir: row.text("datadir").to_owned(),
            replication,
        })
    }

    /// Whether what it has acknowledged survives its process and its machine.
    pub(super) fn is_durable(&self) -> bool {
        self.unsafe_settings.is_empty()
    }
}

fn unsafe_settings(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |is: bool, what: &str| {
        if !is {
            wrong.push(what.to_owned());
        }
    };
    want(row.is_on("log_bin"), "set log_bin");
    want(
        row.is_on("log_updates"),
        "set log_slave_updates (log_replica_updates) = 1",
    );
    want(
        row.is_on("strict"),
        "set gtid_strict_mode = 1 (gtid_mode = ON)",
    );
    want(row.text("sync_binlog") == "1", "set sync_binlog = 1");
    want(
        row.text("flush_log") == "1",
        "set innodb_flush_log_at_trx_commit = 1",
    );
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(replica: &[(&str, &str)], variables: &[(&str, &str)]) -> Answers {
        let replica = (!replica.is_empty()).then(|| Row::of(replica));
        let status = [
            ("rpl_semi_sync_master_status", "ON"),
            ("rpl_semi_sync_master_clients", "2"),
            ("uptime", "7"),
        ];
        let status = status.map(|(name, value)| Row::of(&[("name", name), ("value", value)]));
        vec![
            replica.into_iter().collect(),
            vec![Row::of(variables)],
            status.to_vec(),
        ]
    }

    const REPLICA: &[(&str, &str)] = &[
        ("slave_io_running", "Yes"),
        ("slave_sql_running", "No"),
        ("master_host", "10.0.0.1"),
        ("master_port", "3306"),
        ("master_user", "repl"),
        ("last_sql_error", "Duplicate entry"),
        ("using_gtid", "Slave_Pos"),
        ("gtid_io_pos", "0-1-9"),
    ];

    const VARIABLES: &[(&str, &str)] = &[
        ("read_only", "1"),
        ("done", "0-1-7"),
        ("log_bin", "1"),
        ("log_updates", "1"),
        ("strict", "1"),
        ("sync_binlog", "0"),
        ("flush_log", "1"),
        ("semi_enabled", "1"),
        ("semi_timeout", "10000"),
        ("semi_alone", "1"),
        ("semi_point", "AFTER_SYNC"),
        ("semi_count", "1"),
    ];

    #[test]
    fn a_replica_is_read_with_what_it_lacks() {
        let seen = Seen::read(Dialect::MariaDb, &answers(REPLICA, VARIABLES)).unwrap();
        let replica = seen.replication.replica.clone().unwrap();
        assert!(replica.receives() && !replica.is_linked() && replica.by_gtid);
        assert_eq!(replica.apply_error, "Duplicate entry");
        assert_eq!(
            (seen.replication.lag(), seen.replication.all().count()),
            (2, 9)
        );
        assert_eq!(seen.unsafe_settings, ["set sync_binlog = 1"]);
        assert!(seen.read_only && !seen.is_durable());
    }

    #[test]
    fn a_wait_that_could_fall_back_is_told() {
        let seen = Seen::read(Dialect::MariaDb, &answers(&[], VARIABLES)).unwrap();
        assert_eq!(seen.replication.replica, None);
        let gap = seen.semi.gap(1).unwrap();
        assert!(
            gap.ends_with("falls back to asynchronous after 10000 ms"),
            "{gap}"
        );
        assert_eq!(seen.semi.gap(0), None);
        let firm = SemiSync {
            timeout: SEMI_TIMEOUT,
            ..seen.semi.clone()
        };
        assert_eq!(firm.gap(1), None);
        assert!(firm.gap(2).unwrap().contains("1 of 2"));
    }

    #[test]
    fn mysql_names_the_same_otherwise() {
        let a = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let row = Row::of(&[
            ("replica_io_running", "Connecting"),
            ("replica_sql_running", "Yes"),
            ("source_host", "db"),
            ("source_port", "3306"),
            ("retrieved_gtid_set", &format!("{a}:5-9")),
            ("auto_position", "1"),
            ("seconds_behind_source", "3"),
        ]);
        let replica = Replica::read(Dialect::MySql, &row).unwrap();
        assert!(!replica.is_linked() && replica.by_gtid);
        assert_eq!((replica.behind_s, replica.received.count()), (Some(3), 5));
    }
}
