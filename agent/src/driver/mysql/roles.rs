//! Promotion, detaching, and saying how far the instance has got.

use std::collections::BTreeSet;
use std::time::Duration;

use tenure_core::agent::Feat;
use tenure_core::{Endpoint, Epoch, Position};
use tokio::time::{Instant, sleep, timeout};

use super::dialect::Dialect;
use super::gtid::Gtids;
use super::lineage::{self, Lineage};
use super::process::is_same;
use super::status::Replication;
use super::{DriverError, Given, Mysql};

/// How long the primary may take to answer whether it is there.
const SEES_WITHIN: Duration = Duration::from_millis(150);
/// Within which something at least of what was received is applied, unless somebody holds it up.
const APPLIES_WITHIN: Duration = Duration::from_millis(200);
/// For how long a survey waits for what was received to be applied, before it answers without.
const SURVEY_PATIENCE: Duration = Duration::from_millis(100);
/// How long a thread that receives may take to go once it was ended.
const RECEIVER_GONE_WITHIN: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Mysql {
    /// What was received is applied, the change of primary is written into the data, and only then
    /// commits are made to wait for replicas and writes are let in: nobody's write can be acknowledged
    /// with fewer replicas than asked for, and the agent's own, which no replica can have yet, waits for
    /// none.
    pub(super) async fn promote(&mut self, epoch: Epoch, acks: u32) -> Result<Feat, DriverError> {
        let (dialect, own) = self.is_as_seen().await?;
        if dialect == Dialect::MariaDb && acks > 1 {
            // What it serves by would be less than what is counted on.
            if self.was_primary() {
                self.told_the_same("to take no writes", dialect.close())
                    .await?;
            }
            return Err(DriverError::Held(format!(
                "write_acks is {acks}, and MariaDB's semi-synchronous replication waits for one replica \
                 and no more: set write_acks to 1"
            )));
        }
        let own = self.applied_in_spite(dialect, own).await?;
        // Whoever may be attached is said anew to each primary.
        if self.epoch != epoch {
            self.permits = None;
        }
        let adopted = self.is_adopted(acks);
        self.adoption = None;
        self.verdict = None;
        self.remember(Given::Primary { acks });
        self.source = None;
        self.saving.forget();
        self.pause = None;
        let open = !self.is_closed(dialect).await?;
        let semi = dialect.semi_sync(acks);
        if open {
            // It serves already, as when an existing primary is adopted: no write of anybody's fails, and a
            // wait that somebody is in is not ended.
            self.write_epoch(dialect, epoch, &own.done).await?;
            match adopted {
                true => self.adopt(acks),
                false => {
                    let what = "to have commits wait for replicas";
                    self.told_the_same(what, &semi).await?;
                }
            }
        } else {
            let none = dialect.semi_sync(0);
            let stop = match own.replica {
                Some(_) => dialect.stop_replication(),
                None => "DO 0",
            };
            let text = format!("{stop}; {none}; {}", dialect.half_open());
            self.told_in_spite("to stop following", &text).await?;
            self.prepare(dialect).await?;
            self.write_epoch(dialect, epoch, &own.done).await?;
            let text = format!("{semi}; {}", dialect.open());
            self.told_in_spite("to take writes", &text).await?;
        }
        if self.is_closed(dialect).await? {
            return Err(DriverError::Refused {
                what: dialect.open().to_owned(),
                answer: "it is read-only afterwards".to_owned(),
            });
        }
        self.prepare(dialect).await?;
        self.epoch = epoch;
        self.fence_due = false;
        self.beside().probe.turn(Some(epoch));
        Ok(Feat::Done)
    }

    /// Waits until what was received is applied; whoever holds that up by a lock is ended.
    async fn applied_in_spite(
        &mut self,
        dialect: Dialect,
        own: Replication,
    ) -> Result<Replication, DriverError> {
        let before = own.done.count();
        match self.all_applied(dialect, own, APPLIES_WITHIN).await {
            Err(DriverError::UnderWay { .. }) => {}
            applied => return applied,
        }
        let own = self.replication(dialect).await?;
        if own.done.count() == before {
            self.end_clients().await?;
        }
        self.all_applied(dialect, own, self.settings.apply_within)
            .await
    }

    /// Writes into the data that a new epoch begins here.
    async fn write_epoch(
        &mut self,
        dialect: Dialect,
        epoch: Epoch,
        done: &Gtids,
    ) -> Result<(), DriverError> {
        let mut done = done.clone();
        if !self.has_tables && !self.looks_for_tables().await? {
            self.make_tables(dialect, &done).await?;
            done = self.replication(dialect).await?.done;
        }
        if self.lineage().await?.epoch() == Some(epoch.0) {
            return Ok(());
        }
        let text = lineage::written_by(epoch, &done);
        self.told_in_spite("to write down the new epoch", &text)
            .await?;
        Ok(())
    }

    pub(super) async fn looks_for_tables(&mut self) -> Result<bool, DriverError> {
        let text = format!(
            "SELECT COUNT(*) AS count FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME IN ('epochs', 'progress')",
            lineage::SCHEMA
        );
        let answers = self.told("to look for the agent's tables", &text).await?;
        let count = answers
            .first()
            .and_then(|rows| rows.first()?.number("count"));
        self.has_tables = count == Some(2);
        Ok(self.has_tables)
    }

    /// The changes of primary that the data has been through; none where the agent's tables are not there.
    pub(super) async fn lineage(&mut self) -> Result<Lineage, DriverError> {
        if !self.has_tables && !self.looks_for_tables().await? {
            return Ok(Lineage::default());
        }
        let answers = self
            .told("to read the changes of primary", lineage::READ)
            .await?;
        let rows = answers.first().map(Vec::as_slice).unwrap_or_default();
        Ok(Lineage::read(rows))
    }

    pub(super) async fn is_closed(&mut self, dialect: Dialect) -> Result<bool, DriverError> {
        let text = dialect.is_closed();
        let answers = self.told_the_same("whether it takes writes", text).await?;
        let row = answers.first().and_then(|rows| rows.first());
        Ok(row.is_some_and(|row| row.is_on("read_only")))
    }

    pub(super) async fn replication(
        &mut self,
        dialect: Dialect,
    ) -> Result<Replication, DriverError> {
        let text = dialect.replication();
        let answers = self.told("how it replicates", text).await?;
        Replication::read(dialect, &answers)
    }

    /// Waits until what was received is applied.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] when that takes longer than `within`; refused when it never will.
    pub(super) async fn all_applied(
        &mut self,
        dialect: Dialect,
        mut own: Replication,
        within: Duration,
    ) -> Result<Replication, DriverError> {
        let until = Instant::now() + within;
        while let Some(missing) = own.unapplied() {
            let replica = own.replica.as_ref();
            let stopped = replica.is_some_and(|replica| !replica.applies);
            if stopped {
                let why = replica.map_or("", |replica| replica.apply_error.as_str());
                return Err(DriverError::Refused {
                    what: format!("to apply what it has received ({missing})"),
                    answer: format!("its replication has stopped: {why}"),
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DriverError::UnderWay {
                    what: format!(
                        "applying what it has received, {} transactions left",
                        own.lag()
                    ),
                });
            }
            let slice = left.min(self.settings.answer_within / 2).as_secs_f64();
            let wait = match dialect {
                Dialect::MariaDb => format!("SELECT MASTER_GTID_WAIT('{missing}', {slice:.3})"),
                Dialect::MySql => {
                    format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{missing}', {slice:.3})")
                }
            };
            self.told("to apply what it has received", &wait).await?;
            own = self.replication(dialect).await?;
        }
        Ok(own)
    }

    /// How far it has got, applied or not: whatever it received it holds, and applies before it serves. None
    /// where it cannot tell to which history what it received belongs.
    pub(super) fn position(&self, own: &Replication, lineage: &Lineage) -> Option<Position> {
        if own.unapplied().is_none() {
            return lineage.position(&own.done);
        }
        // It was let follow only after its primary had written its epoch: whatever is beyond what that one
        // had by then is of that epoch.
        let source = self.source.as_ref()?;
        let received = &own.replica.as_ref()?.received;
        let beyond = received.has_all_of(&source.from);
        beyond.then(|| lineage::position(source.epoch, &own.all()))?
    }

    /// Stops receiving. MariaDB's thread that waits for a primary which says nothing more takes two seconds
    /// to notice that it is to stop, also when it is told so while it ends: it is ended like any other
    /// first, and seen to be gone.
    pub(super) async fn receives_no_more(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        if dialect == Dialect::MariaDb {
            self.end_receiver().await?;
        }
        self.told("to receive no more", dialect.stop_receiving())
            .await?;
        Ok(())
    }

    async fn end_receiver(&mut self) -> Result<(), DriverError> {
        const THREADS: &str = "SELECT ID AS id FROM information_schema.PROCESSLIST \
                               WHERE COMMAND = 'Slave_IO'";
        let until = Instant::now() + RECEIVER_GONE_WITHIN;
        let mut ended = BTreeSet::new();
        loop {
            let answers = self.told("who receives", THREADS).await?;
            let receivers = answers.iter().flatten().filter_map(|row| row.number("id"));
            let receivers: Vec<u64> = receivers.collect();
            if receivers.is_empty() || Instant::now() >= until {
                return Ok(());
            }
            for id in receivers {
                if ended.insert(id) {
                    self.end_connection(id).await?;
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn detach(&mut self) -> Result<Feat, DriverError> {
        let (dialect, own) = self.is_as_seen().await?;
        // A primary follows nobody.
        if own.replica.is_some() && !self.was_primary() {
            self.receives_no_more(dialect).await?;
        }
        self.at(dialect).await
    }

    /// As a candidate that could serve at once: what is received and not applied counts for nothing.
    pub(super) async fn measure(&mut self) -> Result<Feat, DriverError> {
        let (dialect, own) = self.is_as_seen().await?;
        let own = self.applied_soon(dialect, own).await?;
        let lineage = self.lineage().await?;
        Ok(Feat::At(lineage.position(&own.done)))
    }

    /// The position, with what was received applied, if that takes but a moment.
    async fn at(&mut self, dialect: Dialect) -> Result<Feat, DriverError> {
        let own = self.replication(dialect).await?;
        let own = self.applied_soon(dialect, own).await?;
        let lineage = self.lineage().await?;
        match self.position(&own, &lineage) {
            None if own.unapplied().is_some() => Err(DriverError::UnderWay {
                what: format!(
                    "applying what it has received, {} transactions left",
                    own.lag()
                ),
            }),
            position => Ok(Feat::At(position)),
        }
    }

    /// Waits for a moment until what was received is applied.
    async fn applied_soon(
        &mut self,
        dialect: Dialect,
        own: Replication,
    ) -> Result<Replication, DriverError> {
        match self.all_applied(dialect, own, SURVEY_PATIENCE).await {
            Err(DriverError::UnderWay { .. } | DriverError::Refused { .. }) => {
                self.replication(dialect).await
            }
            applied => applied,
        }
    }

    /// Makes sure that the process is the one that was seen last, and says how it replicates.
    pub(super) async fn is_as_seen(&mut self) -> Result<(Dialect, Replication), DriverError> {
        let dialect = self.dialect().await?;
        let own = self.replication(dialect).await?;
        let there = self.acting_run();
        match (&self.process, there) {
            (Some(seen), Some(there)) if !is_same(seen, &there) => Err(DriverError::Refused {
                what: "to go by what was seen of the process".to_owned(),
                answer: format!("it was run {seen:?}, and now run {there:?} answers, started anew"),
            }),
            (Some(_) | None, _) => Ok((dialect, own)),
        }
    }

    /// Whether the primary answers. A process that was stopped still accepts connections, so only an
    /// answer counts; any does.
    pub(super) async fn sees(&mut self, primary: &Endpoint) -> bool {
        let cached = self
            .beyond
            .take()
            .filter(|(endpoint, _)| endpoint == primary);
        let dial = self.dial.to(primary);
        let mut warm = cached.map(|(_, line)| line);
        let asking = super::ask(&mut warm, &dial, "SELECT 1", SEES_WITHIN);
        let answered = matches!(
            timeout(SEES_WITHIN, asking).await,
            Ok(Ok(_) | Err(super::Trouble::Denied(_) | super::Trouble::Said { .. }))
        );
        self.beyond = warm.map(|line| (primary.clone(), line));
        answered
    }
}
