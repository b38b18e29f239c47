//! What becomes of an instance that has transactions which nobody else has: they are saved, and taken out
//! of its data, which is copied from the primary anew unless they were the agent's own alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::{Endpoint, Epoch, Rejoin};

use super::dialect::Dialect;
use super::follow::{Theirs, Verdict};
use super::gtid::{Gtids, Written};
use super::lineage::{Compared, Holding};
use super::settings::OnDiverged;
use super::tail::{Tail, Wanted};
use super::{DriverError, Given, Mysql};

/// Where the tools that copy data say how far the copy goes.
const COPY_SAYS: [&str; 2] = ["mariadb_backup_binlog_info", "xtrabackup_binlog_info"];
/// For how long one call waits for a tail to be saved.
const SAVE_PATIENCE: Duration = Duration::from_millis(500);

impl Mysql {
    /// Saves what is its own alone, and takes it out of the data.
    pub(super) async fn resynchronised(
        &mut self,
        dialect: Dialect,
        epoch: Epoch,
        primary: &Endpoint,
        theirs: &Theirs,
        holding: Holding,
        found: Option<Compared>,
    ) -> Result<Verdict, DriverError> {
        let errant = errant(found.as_ref(), &holding);
        let saves = self.settings.on_diverged == OnDiverged::SaveAndResync;
        let (fork, rejoin) = match &found {
            Some(found) => (found.fork.clone(), found.rejoin),
            None => (Gtids::none(dialect), Rejoin::Diverged),
        };
        let tail = self.tail(dialect, epoch, &fork, saves).await?;
        if tail.changes == 0 && found.is_some() {
            self.rewound(dialect, &holding, &fork).await?;
            let rejoin = match theirs.holding.gtids.count() > fork.count() {
                true => Rejoin::Behind,
                false => Rejoin::Identical,
            };
            return Ok((
                rejoin,
                "it has nothing of its own but signs of life".to_owned(),
            ));
        }
        if !saves {
            return Err(DriverError::Held(format!(
                "{} has {} transactions that {primary} lacks ({errant}), and on_diverged is \"hold\": copy \
                 what is wanted, then copy all data from the primary, or set on_diverged = \
                 \"save-and-resync\"",
                self.dial.endpoint, tail.transactions
            )));
        }
        let said = match &tail.path {
            Some(path) => format!(
                "{} transactions ({errant}, {} bytes) saved to {}",
                tail.transactions,
                tail.bytes,
                path.display()
            ),
            None => format!("{errant}: none of it is in its binary logs any more"),
        };
        // What is told of it once it follows, after its data was replaced.
        self.verdict = Some((rejoin, said.clone()));
        self.keep_in_mind();
        self.copied_anew(dialect, primary, &said).await?;
        Ok((rejoin, said))
    }

    /// It has nothing of its own, and its primary has not any more what it lacks.
    pub(super) async fn copied_since_purged(
        &mut self,
        dialect: Dialect,
        primary: &Endpoint,
    ) -> Result<(), DriverError> {
        let why = "the primary's binary logs do not reach back to what it lacks";
        if self.settings.on_diverged == OnDiverged::Hold {
            return Err(DriverError::Held(format!(
                "{why}, and on_diverged is \"hold\": copy all data from {primary}"
            )));
        }
        self.copied_anew(dialect, primary, why).await
    }

    /// Saves what is beyond the fork, or only counts it.
    async fn tail(
        &mut self,
        dialect: Dialect,
        epoch: Epoch,
        fork: &Gtids,
        saves: bool,
    ) -> Result<Tail, DriverError> {
        let logs = self.logs().await?;
        let beyond = fork.to_string().replace([':', ','], "_");
        let beyond = match beyond.len() {
            0 => "the-beginning".to_owned(),
            1..=100 => beyond,
            _ => beyond.chars().take(100).collect(),
        };
        let name = format!("{}.epoch-{epoch}.beyond-{beyond}.binlog", self.service);
        let wanted = Wanted {
            dialect,
            logs,
            fork: fork.clone(),
            to: saves.then(|| self.settings.save_dir.join(name)),
        };
        self.saving.tail(wanted, SAVE_PATIENCE).await
    }

    /// The binary logs as files, which an agent on the same machine can read.
    async fn logs(&mut self) -> Result<Vec<PathBuf>, DriverError> {
        let text = "SHOW BINARY LOGS; SELECT @@log_bin_basename AS base";
        let answers = self.told("where its binary logs are", text).await?;
        let base = answers.get(1).and_then(|rows| rows.first());
        let base = PathBuf::from(base.map_or("", |row| row.text("base")));
        let folder = base.parent().unwrap_or(Path::new("/"));
        let rows = answers.first().map(Vec::as_slice).unwrap_or_default();
        let names = rows.iter().map(|row| row.text("log_name"));
        Ok(names.map(|name| folder.join(name)).collect())
    }

    /// Forgets the agent's own transactions beyond the fork: what came of them is written again by those of
    /// the primary.
    async fn rewound(
        &mut self,
        dialect: Dialect,
        holding: &Holding,
        fork: &Gtids,
    ) -> Result<(), DriverError> {
        let forget = dialect.forget_log(&self.version);
        let stop = dialect.forget_primary();
        let kept = fork.count();
        let text = match dialect {
            Dialect::MariaDb => {
                let state = Written::read(&holding.written)
                    .unwrap_or_default()
                    .up_to(fork);
                format!(
                    "{stop}; SET SESSION sql_log_bin = 0; \
                     DELETE FROM tenure.epochs WHERE began >= {kept}; \
                     SET SESSION sql_log_bin = 1; {forget}; \
                     SET GLOBAL gtid_binlog_state = '{state}'; SET GLOBAL gtid_slave_pos = '{fork}'"
                )
            }
            Dialect::MySql => format!(
                "{stop}; SET GLOBAL super_read_only = 0; SET SESSION sql_log_bin = 0; \
                 DELETE FROM tenure.epochs WHERE began >= {kept}; SET SESSION sql_log_bin = 1; \
                 {forget}; SET GLOBAL gtid_purged = '{fork}'; SET GLOBAL super_read_only = 1"
            ),
        };
        // Cut short after the log was forgotten it is taken up by the next attempt.
        let mark = self.rewinding();
        written_down(&mark, &format!("- - {fork}\n"))
            .map_err(|error| DriverError::file("cannot write", &mark, error))?;
        let what = "to forget the agent's own transactions";
        let within = self.settings.apply_within.max(self.settings.answer_within);
        let asked = self.acting.ask(&self.dial, &text, within).await;
        asked.map_err(|trouble| trouble.about(&self.dial.endpoint, what))?;
        self.rewound_for_good();
        Ok(())
    }

    /// Says up to where the log is being forgotten, while it is.
    fn rewinding(&self) -> PathBuf {
        self.settings
            .save_dir
            .join(format!("{}.forgets-beyond", self.service))
    }

    fn rewound_for_good(&self) {
        // Gone already is what is wanted.
        let _ = std::fs::remove_file(self.rewinding());
    }

    /// A server whose data was copied has an empty log, and says in a file how far the copy goes.
    pub(super) async fn begun_after_copy(
        &mut self,
        dialect: Dialect,
        holding: Holding,
    ) -> Result<Holding, DriverError> {
        let is_copy = holding.gtids.is_empty() && holding.lineage.epoch().is_some();
        if !is_copy || dialect == Dialect::MySql {
            self.rewound_for_good();
            return Ok(holding);
        }
        let folder = PathBuf::from(&self.last.datadir);
        let mark = self.rewinding();
        let Some(gtids) = stands_in(&mark).or_else(|| copied_up_to(&folder)) else {
            return Err(DriverError::Held(format!(
                "{} has data and an empty log, so that nobody knows how far it goes: set gtid_binlog_state \
                 to what the copy holds (`RESET MASTER; SET GLOBAL gtid_binlog_state = '...'`)",
                self.dial.endpoint
            )));
        };
        let stop = dialect.forget_primary();
        let text = format!(
            "{stop}; RESET MASTER; SET GLOBAL gtid_binlog_state = '{gtids}'; \
             SET GLOBAL gtid_slave_pos = '{gtids}'"
        );
        self.told("to say how far the copy goes", &text).await?;
        self.rewound_for_good();
        // It is true once: whoever forgets the log later has to say anew how far the data goes.
        for name in COPY_SAYS {
            let _ = std::fs::remove_file(folder.join(name));
        }
        Ok(Holding {
            written: gtids.to_string(),
            gtids,
            ..holding
        })
    }

    /// What its data was found to be before it was copied anew.
    pub(super) fn said_before(&self) -> Option<Verdict> {
        self.verdict.clone()
    }

    /// From here on it is another store, with nothing that an earlier one was about: a replica, which has not all that it ever acknowledged.
    pub(super) fn is_another_store(&mut self) {
        self.rewound_for_good();
        self.number = self.number.wrapping_add(1).max(1);
        self.remember(Given::Replica);
    }
}

/// What the tool that made a copy wrote down of the log's position.
fn copied_up_to(folder: &Path) -> Option<Gtids> {
    COPY_SAYS
        .iter()
        .find_map(|name| stands_in(&folder.join(name)))
}

/// The GTIDs that are a file's third word.
fn stands_in(path: &Path) -> Option<Gtids> {
    let text = std::fs::read_to_string(path).ok()?;
    let gtids = Gtids::read(Dialect::MariaDb, text.split_whitespace().nth(2)?)?;
    (!gtids.is_empty()).then_some(gtids)
}

/// Durably: the machine may fail right after.
fn written_down(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// What is its own alone, by name.
fn errant(found: Option<&Compared>, holding: &Holding) -> String {
    match found {
        Some(found) if found.fork.is_empty() => format!("up to {}", found.own),
        Some(found) => format!("up to {}, beyond {}", found.own, found.fork),
        None => format!(
            "up to {}, which have nothing in common with it",
            holding.gtids
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_how_far_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(copied_up_to(folder.path()), None);
        let path = folder.path().join("xtrabackup_binlog_info");
        std::fs::write(&path, "binlog.000003\t4711\t0-2-99\n").unwrap();
        assert_eq!(copied_up_to(folder.path()).unwrap().to_string(), "0-2-99");
        std::fs::write(&path, "binlog.000003\t4711\t\n").unwrap();
        assert_eq!(copied_up_to(folder.path()), None);
    }
}
