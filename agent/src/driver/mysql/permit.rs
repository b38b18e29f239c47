//! Who may be attached to a primary: anybody else is detached and kept away, so that only members
//! acknowledge.
//!
//! Each replica logs in at its primary by an account of its own. One whose account is locked, and whose
//! connection is ended, has acknowledged its last: the primary's answer comes only after the connection
//! is seen to be gone. Its own `rpl_semi_sync_slave_enabled` is left alone, for it may be cut off.

use std::collections::BTreeSet;

use tenure_core::Endpoint;
use tenure_core::agent::Feat;
use tokio::time::{Instant, sleep};

use super::dialect::Dialect;
use super::line::{Answers, Trouble};
use super::setup::{REPLICA_PREFIX, replica_user};
use super::{DriverError, Mysql};

/// Who is attached as a replica.
const ATTACHED: &str = "SELECT ID AS id, USER AS user, HOST AS host FROM information_schema.PROCESSLIST \
                        WHERE COMMAND LIKE 'Binlog Dump%'";
const ACCOUNTS: &str =
    "SELECT DISTINCT User AS user FROM mysql.user WHERE User LIKE 'tenure-replica-%'";
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(2);

/// One replica's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) host: String,
}

fn attached(answers: &Answers) -> Vec<Attached> {
    let rows = answers.iter().flatten();
    let each = rows.filter_map(|row| {
        Some(Attached {
            id: row.number("id")?,
            user: row.text("user").to_owned(),
            host: row.text("host").to_owned(),
        })
    });
    each.collect()
}

impl Mysql {
    pub(super) async fn permit(
        &mut self,
        members: impl Iterator<Item = &Endpoint>,
    ) -> Result<Feat, DriverError> {
        let (dialect, own) = self.is_as_seen().await?;
        if own.replica.is_some() && !self.was_primary() {
            return Err(DriverError::Refused {
                what: "to say who may acknowledge".to_owned(),
                answer: "it is a replica".to_owned(),
            });
        }
        let permitted: BTreeSet<String> = members.map(replica_user).collect();
        self.admit(&permitted).await?;
        self.permits = Some(permitted.clone());
        let until = Instant::now() + self.settings.answer_within;
        loop {
            let strangers = self.end_strangers(&permitted).await?;
            if strangers.is_empty() {
                break;
            }
            if Instant::now() >= until {
                return Err(DriverError::Refused {
                    what: format!("to detach {}", strangers.join(", ")),
                    answer:
                        "it is still attached, or attaches itself again by an account of its own"
                            .to_owned(),
                });
            }
            sleep(LOOK_EVERY).await;
        }
        self.waits_for_replicas(dialect).await?;
        let own = self.replication(dialect).await?;
        let lineage = self.lineage().await?;
        Ok(Feat::Permits(self.position(&own, &lineage)))
    }

    /// Makes and opens the accounts of those who may, and locks all others.
    async fn admit(&mut self, permitted: &BTreeSet<String>) -> Result<(), DriverError> {
        let answers = self
            .told("to list the replicas' accounts", ACCOUNTS)
            .await?;
        let known: BTreeSet<String> = answers
            .iter()
            .flatten()
            .map(|row| row.text("user").to_owned())
            .collect();
        let mut text = String::new();
        for user in permitted {
            if !known.contains(user) {
                text.push_str(&self.making_replica(user));
                text.push_str("; ");
            }
        }
        text.push_str("SET SESSION sql_log_bin = 0");
        let lockable = known
            .iter()
            .chain(permitted.iter().filter(|it| !known.contains(*it)));
        for user in lockable {
            let word = match permitted.contains(user) {
                true => "UNLOCK",
                false => "LOCK",
            };
            text.push_str(&format!("; ALTER USER '{user}'@'%' ACCOUNT {word}"));
        }
        text.push_str("; SET SESSION sql_log_bin = 1");
        self.told("to say which replicas may log in", &text).await?;
        Ok(())
    }

    /// Ends the connections of replicas that are not permitted, and says whose they are.
    async fn end_strangers(
        &mut self,
        permitted: &BTreeSet<String>,
    ) -> Result<Vec<String>, DriverError> {
        let answers = self.told("to list who is attached", ATTACHED).await?;
        let mut strangers = Vec::new();
        for it in attached(&answers) {
            if !permitted.contains(&it.user) {
                strangers.push(format!("{} of {}", it.user, it.host));
                self.end_connection(it.id).await?;
            }
        }
        Ok(strangers)
    }

    /// Ends a connection; one that is gone already is what is wanted.
    pub(super) async fn end_connection(&mut self, id: u64) -> Result<(), DriverError> {
        let within = self.settings.answer_within;
        let text = format!("KILL CONNECTION {id}");
        match self.acting.ask(&self.dial, &text, within).await {
            Ok(_) | Err(Trouble::Said { .. }) => Ok(()),
            Err(trouble) => Err(trouble.about(&self.dial.endpoint, &text)),
        }
    }

    /// Detaches whoever is not permitted, and says who it was.
    pub(super) async fn detach_strangers(&mut self, _dialect: Dialect) -> Option<String> {
        let permitted = self.permits.clone()?;
        let strangers = self.end_strangers(&permitted).await.ok()?;
        if strangers.is_empty() {
            return None;
        }
        let own = strangers.iter().all(|it| it.starts_with(REPLICA_PREFIX));
        let why = match own {
            true => "it is no member",
            false => "it is no member, or attached before its agent told it to",
        };
        Some(format!("detached {}: {why}", strangers.join(", ")))
    }
}
