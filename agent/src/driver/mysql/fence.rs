//! Makes an instance refuse every write, in whatever state it is, and proves it.
//!
//! To be read-only an instance first waits for the commits that are under way, and lets no other begin. A
//! commit may wait for a replica's acknowledgement for ever, and somebody else's lock may be in the way:
//! whoever writes is ended meanwhile, and whoever else may hold it up after that. A client that is ended
//! in its commit was not told that it succeeded.

use std::time::Duration;

use tenure_core::agent::Feat;
use tokio::time::{Instant, sleep};

use super::super::run::{Errand, run};
use super::dialect::Dialect;
use super::line::{Answers, Line, Trouble};
use super::status::Replication;
use super::{DriverError, Mysql};

/// How long a process that was killed or stopped may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After how long a statement that takes a millisecond is taken to be held up by somebody.
const HELD_UP_AFTER: Duration = Duration::from_millis(100);
/// For how long one statement of whoever ends connections is waited for.
const ENDED_WITHIN: Duration = Duration::from_millis(500);
const STOP_OUTPUT_MAX: usize = 64 * 1024;

/// How a fence failed.
enum Failed {
    /// There is no process: nothing can be written.
    Gone,
    Error(DriverError),
}

/// Whose connections are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Of whoever is at something, or in the midst of a transaction.
    Writers,
    /// Of every client: one that does nothing may hold a lock.
    Clients,
}

/// The connections to end, by their numbers. Replicas are none of them, nor are those at which an agent is
/// at something; one of its account that rests may be anybody's, and an agent's own is made anew.
fn listing(whose: Whose, agent: &str) -> String {
    let which = match whose {
        Whose::Writers => format!(
            "AND USER <> '{agent}' AND (COMMAND <> 'Sleep' OR ID IN \
             (SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX))"
        ),
        Whose::Clients => format!("AND (USER <> '{agent}' OR COMMAND = 'Sleep')"),
    };
    format!(
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND NOT LIKE 'Binlog Dump%' \
         AND COMMAND NOT IN ('Daemon', 'Slave_IO', 'Slave_SQL', 'Slave_worker') \
         AND USER NOT IN ('system user', 'event_scheduler', 'unauthenticated user') \
         AND ID <> CONNECTION_ID() {which}"
    )
}

fn ids(answers: &Answers) -> Vec<u64> {
    let rows = answers.iter().flatten();
    rows.filter_map(|row| row.number("id")).collect()
}

/// Ends connections again and again, for as long as it is polled: whoever writes first, and every client
/// once `patience` is over.
async fn end_again_and_again(mut line: Line, agent: String, patience: Duration) {
    let began = Instant::now();
    loop {
        let whose = if began.elapsed() < patience {
            Whose::Writers
        } else {
            Whose::Clients
        };
        let Ok(answers) = line.ask(&listing(whose, &agent), ENDED_WITHIN).await else {
            return std::future::pending().await;
        };
        for id in ids(&answers) {
            // One that is gone already is what is wanted.
            let _ = line
                .ask(&format!("KILL CONNECTION {id}"), ENDED_WITHIN)
                .await;
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Mysql {
    /// Proven by what the instance says afterwards. Its replicas stay attached in a handover, and are let go
    /// otherwise; nobody waits for their acknowledgement by then.
    pub(super) async fn fence(&mut self, orderly: bool) -> Result<Feat, DriverError> {
        self.permits = None;
        let failed = match self.fence_by_statement(orderly).await {
            Ok(own) => {
                // Until then it shows whether the instance is stuck.
                self.beside().probe.turn(None);
                self.fence_due = false;
                let lineage = self.lineage().await?;
                return Ok(Feat::At(self.position(&own, &lineage)));
            }
            Err(Failed::Gone) => {
                self.beside().probe.turn(None);
                return Ok(Feat::At(None));
            }
            Err(Failed::Error(error)) => error,
        };
        self.last_resort(failed).await?;
        Ok(Feat::At(None))
    }

    async fn fence_by_statement(&mut self, orderly: bool) -> Result<Replication, Failed> {
        let error = |this: &Self, trouble: Trouble| match trouble {
            Trouble::Refused => Failed::Gone,
            trouble @ (Trouble::Unreachable(_)
            | Trouble::Silent(_)
            | Trouble::Denied(_)
            | Trouble::Said { .. }) => {
                Failed::Error(trouble.about(&this.dial.endpoint, "to take no writes"))
            }
        };
        let until = Instant::now() + self.settings.fence_within * 2;
        let dialect = loop {
            match self.acting.line(&self.dial).await {
                Ok(line) => break line.dialect,
                Err(Trouble::Refused) => return Err(Failed::Gone),
                Err(trouble) if Instant::now() >= until => return Err(error(self, trouble)),
                Err(_) => sleep(LOOK_EVERY).await,
            }
        };
        let under_pause = self.close_under_pause(dialect).await;
        if !under_pause {
            self.close(dialect, orderly)
                .await
                .map_err(|trouble| error(self, trouble))?;
        }
        self.quiesced_until = None;
        let own = self.proven(dialect).await.map_err(Failed::Error)?;
        if !orderly {
            self.let_replicas_go().await.map_err(Failed::Error)?;
        }
        Ok(own)
    }

    /// Makes it read-only, and ends whoever is in the way: at once, or, in a handover, once those who
    /// commit have had some time to be acknowledged.
    async fn close(&mut self, dialect: Dialect, orderly: bool) -> Result<(), Trouble> {
        let settings = self.settings.clone();
        let patience = settings.fence_within;
        let agent = settings.login.username.clone();
        let dial = self.dial.clone();
        let ending = async {
            if orderly {
                sleep(patience / 2).await;
            }
            match dial.line().await {
                Ok(line) => end_again_and_again(line, agent, patience).await,
                // The connection of actions may get through all the same.
                Err(_) => std::future::pending().await,
            }
        };
        let closing = async {
            let done = self
                .acting
                .ask(&self.dial, dialect.close(), patience * 2)
                .await;
            if !matches!(done, Err(Trouble::Unreachable(_))) {
                return done;
            }
            // Ended in the midst of it, or dead before without anybody's having noticed.
            self.acting.ask(&self.dial, dialect.close(), patience).await
        };
        tokio::select! {
            () = ending => Ok(()),
            done = closing => done.map(drop),
        }
    }

    /// Asks the process that answered last. Whoever keeps it from being done, by a lock that he holds, is
    /// ended once it has taken longer than such a thing takes.
    pub(super) async fn told_in_spite(
        &mut self,
        what: &str,
        text: &str,
    ) -> Result<Answers, DriverError> {
        let settings = self.settings.clone();
        let agent = settings.login.username.clone();
        let dial = self.dial.clone();
        let ending = async {
            sleep(HELD_UP_AFTER).await;
            match dial.line().await {
                Ok(line) => end_again_and_again(line, agent, Duration::ZERO).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ending => Err(DriverError::timed_out(what, settings.answer_within)),
            done = self.told_the_same(what, text) => done,
        }
    }

    /// Ends every client: one of them holds up what is to be done. What was told last may be held up with it, and the
    /// connection of actions waits for its end, so this has a connection of its own.
    pub(super) async fn end_clients(&mut self) -> Result<(), DriverError> {
        let within = self.settings.answer_within;
        let text = listing(Whose::Clients, &self.settings.login.username);
        let about = |trouble: Trouble| trouble.about(&self.dial.endpoint, "to end connections");
        let mut line = self.dial.line().await.map_err(about)?;
        let answers = line.ask(&text, within).await.map_err(about)?;
        for id in ids(&answers) {
            match line.ask(&format!("KILL CONNECTION {id}"), within).await {
                // One that is gone already is what is wanted.
                Ok(_) | Err(Trouble::Said { .. }) => {}
                Err(trouble) => return Err(about(trouble)),
            }
        }
        Ok(())
    }

    /// What the instance shows after it was fenced.
    async fn proven(&mut self, dialect: Dialect) -> Result<Replication, DriverError> {
        if !self.is_closed(dialect).await? {
            return Err(DriverError::Refused {
                what: dialect.close().to_owned(),
                answer: "it is not read-only afterwards".to_owned(),
            });
        }
        self.replication(dialect).await
    }

    /// Ends what may still be written by, and the connections of replicas.
    async fn let_replicas_go(&mut self) -> Result<(), DriverError> {
        let agent = self.settings.login.username.clone();
        let writers = listing(Whose::Writers, &agent);
        let replicas = "SELECT ID AS id FROM information_schema.PROCESSLIST \
                        WHERE COMMAND LIKE 'Binlog Dump%'";
        let answers = self
            .told("to list connections", &format!("{writers}; {replicas}"))
            .await?;
        for id in ids(&answers) {
            self.end_connection(id).await?;
        }
        Ok(())
    }

    /// Stops or kills what cannot be told, where an operator allows that.
    async fn last_resort(&mut self, failed: DriverError) -> Result<(), DriverError> {
        let settings = self.settings.clone();
        if let Some(stop) = &settings.stop {
            let stopped = run(Errand {
                argv: stop,
                verb: None,
                environment: &[],
                within: settings.start_within,
                output_max: STOP_OUTPUT_MAX,
            });
            if stopped.await.is_ok_and(|ran| ran.status.success()) && self.is_gone_soon().await {
                return Ok(());
            }
        }
        if !settings.kill_when_stuck {
            return Err(failed);
        }
        let Some(process) = self.beside().exit.process() else {
            return Err(DriverError::Local {
                what: format!("cannot kill the instance at {}", self.dial.endpoint),
                why: format!("its process is not known to be on this machine ({failed})"),
            });
        };
        let killed = process.kill(GONE_WITHIN).await;
        killed.map_err(|why| DriverError::Local {
            what: format!("cannot kill the instance at {}", self.dial.endpoint),
            why,
        })
    }

    /// Whether its port refuses soon.
    pub(super) async fn is_gone_soon(&self) -> bool {
        let until = Instant::now() + GONE_WITHIN;
        while Instant::now() < until {
            if matches!(self.dial.tcp().await, Err(Trouble::Refused)) {
                return true;
            }
            sleep(LOOK_EVERY).await;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_and_agents_are_nobodys_to_end() {
        for whose in [Whose::Writers, Whose::Clients] {
            let text = listing(whose, "tenure");
            assert!(
                text.contains("NOT LIKE 'Binlog Dump%'") && text.contains("USER <> 'tenure'"),
                "{text}"
            );
        }
        assert!(!listing(Whose::Clients, "tenure").contains("INNODB_TRX"));
    }
}
