//! Whether a replica applies what it has received, or stops again and again at the same transaction.

use std::time::Duration;

use tokio::time::Instant;

use super::Mysql;
use super::dialect::Dialect;
use super::gtid::Gtids;
use super::status::Replication;

/// How long a transaction that could not be applied is left alone before it is tried once more.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The same, where to try throws away what was received: whoever lets it follow sends it once more.
const ANEW_AFTER: Duration = Duration::from_secs(10);

/// What stopped a replica that has applied nothing since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stuck {
    error: String,
    /// What was applied when it stopped.
    at: Gtids,
    tried: Option<Instant>,
}

impl Stuck {
    /// What is to be known after a look. That it runs once more says nothing: it is told to all the time,
    /// and shows no error until it comes to the same transaction again.
    pub(super) fn after(known: Option<Self>, own: &Replication) -> Option<Self> {
        let replica = own.replica.as_ref()?;
        let known = known.filter(|known| known.at == own.done);
        if replica.applies || replica.apply_error.is_empty() {
            return known.filter(|_| own.unapplied().is_some());
        }
        Some(Self {
            error: replica.apply_error.clone(),
            at: own.done.clone(),
            tried: known.and_then(|known| known.tried),
        })
    }

    /// Whether it is time to try once more, which is taken to be done.
    pub(super) fn tries(&mut self, now: Instant) -> bool {
        self.tries_after(now, AGAIN_AFTER)
    }

    fn tries_after(&mut self, now: Instant, pause: Duration) -> bool {
        let due = self.tried.is_none_or(|tried| now >= tried + pause);
        if due {
            self.tried = Some(now);
        }
        due
    }

    /// Why it will not catch up by itself.
    pub(super) fn told(&self) -> String {
        format!("replication has stopped: {}", self.error)
    }
}

impl Mysql {
    /// What has stopped is tried again at intervals, whether or not it is to follow anybody at present: one that says
    /// that it fails is not let in before it is well.
    pub(super) async fn apply_again(&mut self, dialect: Dialect, own: &Replication) {
        let stopped = own.replica.as_ref();
        let stopped = stopped.filter(|it| !it.applies && !it.apply_error.is_empty());
        let Some(replica) = stopped.filter(|_| self.managed && !self.was_primary()) else {
            return;
        };
        self.stuck = Stuck::after(self.stuck.take(), own);
        let now = Instant::now();
        let rests = replica.receiving == "No";
        let pause = if rests { ANEW_AFTER } else { AGAIN_AFTER };
        let due = self
            .stuck
            .as_mut()
            .is_some_and(|it| it.tries_after(now, pause));
        if self.copying.is_some() || !due {
            return;
        }
        if rests {
            // With both halves at rest the server throws away what it has received.
            self.is_another_store();
        }
        let text = dialect.start_applying();
        // The next look sees whether it helped.
        let _ = self.told("to apply once more", text).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Dialect;
    use super::super::line::Row;
    use super::*;

    fn seen(applies: &str, error: &str, done: &str) -> Replication {
        let row = Row::of(&[
            ("slave_io_running", "Yes"),
            ("slave_sql_running", applies),
            ("master_host", "10.0.0.1"),
            ("master_port", "3306"),
            ("last_sql_error", error),
            ("using_gtid", "Slave_Pos"),
            ("gtid_io_pos", "0-1-9"),
        ]);
        let answers = vec![vec![row], vec![Row::of(&[("done", done)])]];
        Replication::read(Dialect::MariaDb, &answers).unwrap()
    }

    #[test]
    fn it_is_stuck_until_it_has_applied_something() {
        let stopped = seen("No", "no such table", "0-1-7");
        let stuck = Stuck::after(None, &stopped);
        assert_eq!(
            stuck.as_ref().unwrap().told(),
            "replication has stopped: no such table"
        );
        let runs_again = Stuck::after(stuck.clone(), &seen("Yes", "", "0-1-7"));
        assert_eq!(runs_again, stuck);
        assert_eq!(Stuck::after(stuck.clone(), &seen("Yes", "", "0-1-8")), None);
        assert_eq!(Stuck::after(None, &seen("Yes", "", "0-1-7")), None);
        let elsewhere = seen("No", "another", "0-1-8");
        assert!(
            Stuck::after(stuck, &elsewhere)
                .unwrap()
                .told()
                .ends_with("another")
        );
    }

    #[test]
    fn what_cannot_be_applied_is_tried_at_intervals() {
        let stopped = seen("No", "no such table", "0-1-7");
        let mut stuck = Stuck::after(None, &stopped).unwrap();
        let now = Instant::now();
        assert!(stuck.tries(now));
        let mut stuck = Stuck::after(Some(stuck), &stopped).unwrap();
        assert!(!stuck.tries(now + AGAIN_AFTER / 2));
        assert!(stuck.tries(now + AGAIN_AFTER));
    }
}
