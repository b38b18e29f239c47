//! Following a primary: comparing histories first, saving what nobody else has, then attaching.
//!
//! What was received from the earlier primary is applied before anybody else is followed, or is known to be
//! at the new one: a replica has acknowledged it, and the server throws away what lies in its relay log.

use tenure_core::agent::Feat;
use tenure_core::{Endpoint, Epoch, Note, Rejoin};
use tokio::time::{Instant, sleep, timeout};

use super::super::note;
use super::dialect::Dialect;
use super::gtid::Gtids;
use super::line::{Answers, host_and_port};
use super::lineage::{self, Holding, Lineage, compare};
use super::setup::replica_user;
use super::status::{Replication, Seen, unreadable};
use super::stuck::Stuck;
use super::{DriverError, Given, Mysql, Trouble};

/// How often is looked whether the link is up.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(2);
/// For how long what was received is applied before it is had from the new primary instead.
const APPLY_PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);
/// How long one call waits for a copy of the data that is being made.
const COPY_PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
/// After how long an attempt that failed is made again. The server itself would wait for a second.
const KICK_AFTER: std::time::Duration = std::time::Duration::from_millis(10);

/// What a replica was told of its primary when it began to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The epoch that the primary had written into its data by then.
    pub(super) epoch: u64,
    /// What the primary had by then.
    pub(super) from: Gtids,
    primary: Endpoint,
}

/// What a primary says of itself.
pub(super) struct Theirs {
    pub(super) holding: Holding,
}

/// What a comparison came to: the verdict, and what is to be said of the tail.
pub(super) type Verdict = (Rejoin, String);

impl Mysql {
    /// Why it does not follow is said of the instance until it does.
    pub(super) async fn follow(
        &mut self,
        epoch: Epoch,
        primary: Endpoint,
    ) -> Result<Feat, DriverError> {
        let followed = self.follow_now(epoch, primary).await;
        if matches!(followed, Err(DriverError::TimedOut { .. })) {
            // Somebody's lock is in the way, as a rule: nobody has anything to lose here.
            self.end_clients().await?;
        }
        self.undone = followed.as_ref().err().map(ToString::to_string);
        followed
    }

    async fn follow_now(&mut self, epoch: Epoch, primary: Endpoint) -> Result<Feat, DriverError> {
        self.beside().probe.turn(None);
        self.permits = None;
        self.copy_goes_on(COPY_PATIENCE).await?;
        let (dialect, own) = self.is_as_seen().await?;
        if !self.is_closed(dialect).await? {
            self.fence(false).await?;
        }
        self.prepare(dialect).await?;
        if self.is_at_it(&own, &primary) {
            self.go_on(dialect, &own, &primary).await?;
            return Ok(Feat::Follows(None));
        }
        let given = self.given;
        let was_primary = given.is_some_and(Given::is_primary);
        let theirs = self.ask_primary(dialect, &primary).await?;
        let purged = is_too_late_for(&own, &primary);
        let own = self.received_is_safe(dialect, own, &theirs).await?;
        let (rejoin, tail) = self
            .made_to_fit(dialect, own, epoch, &primary, &theirs)
            .await?;
        if purged {
            self.copied_since_purged(dialect, &primary).await?;
        }
        self.attach(dialect, &primary).await?;
        self.is_fed_by(&primary, &theirs);
        self.fence_due = false;
        self.given = Some(Given::Replica);
        self.verdict = None;
        let lost = matches!(rejoin, Rejoin::Ahead | Rejoin::Diverged);
        let told: Option<(Rejoin, Note)> = (was_primary || lost).then(|| (rejoin, note(&tail)));
        Ok(Feat::Follows(told))
    }

    /// Whether it was told to follow this primary already, by the account that is its own.
    fn is_at_it(&self, own: &Replication, primary: &Endpoint) -> bool {
        let Some(replica) = &own.replica else {
            return false;
        };
        let same = (replica.host.clone(), replica.port) == host_and_port(primary);
        let by_own = replica.user == replica_user(&self.announced) && replica.by_gtid;
        let at_it = replica.receiving != "No" || own.unapplied().is_some();
        same && by_own && at_it && !self.was_primary()
    }

    /// What has stopped is started again, with all that was received; and what is received is known to be of
    /// which epoch.
    async fn go_on(
        &mut self,
        dialect: Dialect,
        own: &Replication,
        primary: &Endpoint,
    ) -> Result<(), DriverError> {
        // Without an answer it goes on as it is: a position is told once all it received is applied.
        if let Ok(theirs) = self.ask_primary(dialect, primary).await {
            self.is_fed_by(primary, &theirs);
        }
        if is_too_late_for(own, primary) {
            return self.copied_since_purged(dialect, primary).await;
        }
        let Some(replica) = &own.replica else {
            return Ok(());
        };
        if !replica.applies && replica.receiving == "No" {
            // With both halves at rest the server throws away what it has received.
            self.is_another_store();
        }
        self.stuck = Stuck::after(self.stuck.take(), own);
        let now = Instant::now();
        if !replica.applies && self.stuck.as_mut().is_none_or(|it| it.tries(now)) {
            // Before the other half is touched: were both at rest what was received would be thrown away.
            self.told("to apply once more", dialect.start_applying())
                .await?;
        }
        if !replica.receives() {
            self.receives_no_more(dialect).await?;
            let text = dialect.start_replication();
            self.told("to connect to its primary once more", text)
                .await?;
            let _ = timeout(self.settings.link_within, self.link(dialect)).await;
        }
        Ok(())
    }

    fn is_fed_by(&mut self, primary: &Endpoint, theirs: &Theirs) {
        let known = self.source.as_ref();
        let epoch = theirs.holding.lineage.epoch();
        if known.is_some_and(|it| Some(it.epoch) == epoch && it.primary == *primary) {
            return;
        }
        self.source = epoch.map(|epoch| Source {
            epoch,
            from: theirs.holding.gtids.clone(),
            primary: primary.clone(),
        });
    }

    /// What was received lies in the relay log, which is thrown away when another primary is followed. It is
    /// applied first where that takes but a moment, since nobody acknowledges meanwhile; otherwise the
    /// new primary has to have all of it, and this is another store from here on, which has not all that it
    /// ever acknowledged before it has received it once more. So it is where it can never be applied.
    async fn received_is_safe(
        &mut self,
        dialect: Dialect,
        own: Replication,
        theirs: &Theirs,
    ) -> Result<Replication, DriverError> {
        if own.unapplied().is_none() {
            return Ok(own);
        }
        self.receives_no_more(dialect).await?;
        match self.all_applied(dialect, own, APPLY_PATIENCE).await {
            Err(error @ DriverError::UnderWay { .. }) => {
                let own = self.replication(dialect).await?;
                if !theirs.holding.gtids.has_all_of(&own.all()) {
                    return Err(error);
                }
                self.is_another_store();
                Ok(own)
            }
            Err(DriverError::Refused { .. }) => {
                self.is_another_store();
                self.replication(dialect).await
            }
            applied => applied,
        }
    }

    /// What the primary says of itself; sees to it that this instance can log in there.
    pub(super) async fn ask_primary(
        &mut self,
        dialect: Dialect,
        primary: &Endpoint,
    ) -> Result<Theirs, DriverError> {
        let user = replica_user(&self.announced);
        let text = format!(
            "{}; {}; SELECT COUNT(*) AS count FROM mysql.user WHERE User = '{user}'",
            dialect.look(),
            lineage::READ
        );
        let answers = self.told_beyond(primary, &text).await?;
        let seen = Seen::read(dialect, &answers)?;
        if seen.read_only {
            return Err(DriverError::Refused {
                what: format!("to follow {primary}"),
                answer: "it takes no writes itself, not promoted yet".to_owned(),
            });
        }
        let rows = answers.get(3).map(Vec::as_slice).unwrap_or_default();
        let lineage = Lineage::read(rows);
        if lineage.epoch().is_none() {
            return Err(DriverError::Refused {
                what: format!("to follow {primary}"),
                answer: "no epoch is written into its data, not promoted yet".to_owned(),
            });
        }
        let count = answers
            .get(4)
            .and_then(|rows| rows.first()?.number("count"));
        if count == Some(0) {
            let text = self.making_replica(&user);
            self.told_beyond(primary, &text).await?;
        }
        Ok(Theirs {
            holding: Holding {
                lineage,
                gtids: seen.replication.done,
                written: seen.written,
            },
        })
    }

    pub(super) async fn told_beyond(
        &mut self,
        primary: &Endpoint,
        text: &str,
    ) -> Result<Answers, DriverError> {
        let dial = self.dial.to(primary);
        let cached = self
            .beyond
            .take()
            .filter(|(endpoint, _)| endpoint == primary);
        let mut warm = cached.map(|(_, line)| line);
        let within = self.settings.answer_within;
        let began = Instant::now();
        let answered = super::ask(&mut warm, &dial, text, within).await;
        tracing::debug!(%primary, took_us = began.elapsed().as_micros(), "asked");
        self.beyond = warm.map(|line| (primary.clone(), line));
        answered.map_err(|trouble: Trouble| trouble.about(primary, "to say how far it has got"))
    }

    /// What the instance itself holds, and from where it would follow.
    async fn holding(&mut self, dialect: Dialect) -> Result<(Holding, String), DriverError> {
        let answers = self.told("what it holds", dialect.look()).await?;
        let seen = Seen::read(dialect, &answers)?;
        let holding = Holding {
            lineage: self.lineage().await?,
            gtids: seen.replication.done,
            written: seen.written,
        };
        Ok((holding, seen.follows_from))
    }

    /// Compares, and makes the data fit to follow: whatever is its own alone is saved and taken out.
    async fn made_to_fit(
        &mut self,
        dialect: Dialect,
        own: Replication,
        epoch: Epoch,
        primary: &Endpoint,
        theirs: &Theirs,
    ) -> Result<Verdict, DriverError> {
        if let Some(replica) = &own.replica {
            if replica.receiving != "No" {
                self.receives_no_more(dialect).await?;
            }
            // First: what is applied after the look would be applied once more, from where it stood then.
            let stop = dialect.stop_replication();
            self.told("to stop following", stop).await?;
        }
        let (holding, follows_from) = self.holding(dialect).await?;
        let holding = self.begun_after_copy(dialect, holding).await?;
        let compared = compare(dialect, &holding, &theirs.holding);
        match compared {
            Some(found) if found.own.is_empty() => {
                let from = holding.gtids.to_string();
                if dialect == Dialect::MariaDb && follows_from != from {
                    self.begin_at(&from).await?;
                }
                Ok(self
                    .said_before()
                    .unwrap_or((found.rejoin, "it has nothing of its own".to_owned())))
            }
            _ if holding.lineage.epoch().is_none() && self.is_empty().await? => {
                self.begin_empty(dialect).await?;
                Ok((Rejoin::Behind, "it has no data".to_owned()))
            }
            found => {
                self.resynchronised(dialect, epoch, primary, theirs, holding, found)
                    .await
            }
        }
    }

    /// From where it follows: after all that is in its log, which MySQL knows by itself.
    async fn begin_at(&mut self, from: &str) -> Result<(), DriverError> {
        let text = format!("SET GLOBAL gtid_strict_mode = 1; SET GLOBAL gtid_slave_pos = '{from}'");
        self.told("to say from where it follows", &text).await?;
        Ok(())
    }

    /// A server that holds nothing follows from the beginning, whatever made its accounts.
    async fn begin_empty(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        let stop = dialect.forget_primary();
        let forget = dialect.forget_log(&self.version);
        let text = match dialect {
            Dialect::MariaDb => format!(
                "{stop}; {forget}; SET GLOBAL gtid_strict_mode = 1; SET GLOBAL gtid_slave_pos = ''"
            ),
            Dialect::MySql => format!("{stop}; {forget}"),
        };
        self.told("to forget an empty server's log", &text).await?;
        Ok(())
    }

    async fn attach(&mut self, dialect: Dialect, primary: &Endpoint) -> Result<(), DriverError> {
        let text = format!(
            "{}; {}; {}",
            self.following(dialect, primary),
            dialect.acknowledge(),
            dialect.start_replication()
        );
        self.told("to follow", &text).await?;
        self.pause = None;
        self.quiesced_until = None;
        // A link that is not up by then is seen by the next observation.
        let _ = timeout(self.settings.link_within, self.link(dialect)).await;
        Ok(())
    }

    /// Waits for the link, and makes another attempt when one has failed.
    async fn link(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        let mut tried = Instant::now();
        loop {
            let own = self.replication(dialect).await?;
            let replica = own
                .replica
                .ok_or_else(|| unreadable("whom it follows", ""))?;
            if replica.receives() {
                return Ok(());
            }
            if !replica.receive_error.is_empty() && tried.elapsed() >= KICK_AFTER {
                let text = format!(
                    "{}; {}",
                    dialect.stop_receiving(),
                    dialect.start_replication()
                );
                self.told("to connect to its primary once more", &text)
                    .await?;
                tried = Instant::now();
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether it was told by this primary that what it lacks is gone.
fn is_too_late_for(own: &Replication, primary: &Endpoint) -> bool {
    own.replica.as_ref().is_some_and(|replica| {
        let same = (replica.host.clone(), replica.port) == host_and_port(primary);
        same && !replica.receives() && lacks_what_is_purged(&replica.receive_error)
    })
}

/// Whether the primary does not have any more what a replica lacks, as both dialects word it.
fn lacks_what_is_purged(error: &str) -> bool {
    error.contains("purged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_that_are_gone_have_all_data_copied() {
        let gone = [
            "Got fatal error 1236 from master when reading data from binary log: 'Could not find GTID state \
             requested by slave in any binlog files. Probably the slave state is too old and required \
             binlog files have been purged.'",
            "Got fatal error 1236 from source: 'Cannot replicate because the source purged required binary \
             logs.'",
        ];
        assert!(gone.into_iter().all(lacks_what_is_purged));
        assert!(!lacks_what_is_purged("error reconnecting to master") && !lacks_what_is_purged(""));
    }
}
