//! Makes an instance refuse every write, in whatever state it is, and proves it.

use std::time::Duration;

use redis::Pipeline;
use tenure_core::agent::Feat;
use tokio::time::{Instant, sleep};

use super::super::run::{Errand, run};
use super::answer::Answers;
use super::info::Replication;
use super::roles::replication;
use super::{DriverError, FENCED, NOWHERE, Redis, Trouble};

/// How long a process that was killed or stopped may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often is looked whether it is gone, where it is not one of this machine's.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How soon a script that was told to end is looked at again.
const SCRIPT_ENDS: Duration = Duration::from_millis(2);
const STOP_OUTPUT_MAX: usize = 64 * 1024;

/// What a fence tells the instance; the last two only when it is not part of a handover.
pub(super) const FENCE_WORDS: &[&str] = &[
    "CONFIG SET replica-read-only",
    "CONFIG SET min-replicas-max-lag",
    "CONFIG SET min-replicas-to-write",
    "REPLICAOF nowhere, or CLIENT UNPAUSE in a handover",
    "CONFIG GET min-replicas-to-write",
    "INFO replication",
    "CLIENT KILL TYPE replica",
    "CLIENT UNPAUSE",
];
const SET: usize = 4;
const INFO: usize = 5;

/// How a fence failed.
enum Failed {
    /// There is no process: nothing can be written.
    Gone,
    Error(DriverError),
}

impl Redis {
    /// As a replica of nowhere it refuses writes in the words that clients know from any failover, takes
    /// no replicas, and cuts off clients that wait for an acknowledgement. As a primary, if ever it is made
    /// one by hand, it would refuse writes too.
    ///
    /// In a handover it refuses writes as a primary without replicas would: writers that were held back are
    /// told at once that nothing was done, and whoever waits for an acknowledgement of an earlier write
    /// gets it from the replicas, which stay attached. (A primary asks them for it only while it is not
    /// paused.)
    pub(super) fn fencing(&self, orderly: bool) -> Pipeline {
        let mut pipe = Pipeline::new();
        let set = ["SET", "replica-read-only", "yes"];
        pipe.cmd("CONFIG").arg(&set);
        self.add_acks(&mut pipe, FENCED);
        if orderly {
            pipe.cmd("CLIENT").arg("UNPAUSE");
        } else {
            pipe.cmd("REPLICAOF").arg(NOWHERE.0).arg(NOWHERE.1);
        }
        pipe.cmd("CONFIG").arg("GET").arg("min-replicas-to-write");
        pipe.cmd("INFO").arg("replication");
        if !orderly {
            pipe.cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica");
            pipe.cmd("CLIENT").arg("UNPAUSE");
        }
        pipe
    }

    /// Proven by what the instance says afterwards.
    pub(super) async fn fence(&mut self, orderly: bool) -> Result<Feat, DriverError> {
        self.beside().probe.turn(None);
        self.permits = None;
        let mut told = self.fence_by_command(orderly).await;
        if orderly && told.is_ok() {
            // No longer paused it has asked its replicas for the acknowledgements that clients wait for,
            // which moves its position: a replica that got the question, and a successor that did not,
            // would have to synchronise anew. Where it stands is read once more, after that.
            told = self.fence_by_command(orderly).await;
        }
        let failed = match told {
            Ok(own) => return Ok(Feat::At(own.position(self.was_primary()))),
            Err(Failed::Gone) => return Ok(Feat::At(None)),
            Err(Failed::Error(error)) => error,
        };
        self.last_resort(failed).await?;
        Ok(Feat::At(None))
    }

    async fn fence_by_command(&mut self, orderly: bool) -> Result<Replication, Failed> {
        let pipe = self.fencing(orderly);
        let until = Instant::now() + self.settings.fence_within;
        // Half of the time for the warm connection, which may be dead without anybody having noticed.
        let half = self.settings.fence_within / 2;
        loop {
            let answers = match self.acting.ask(&self.dial, &pipe, half).await {
                Ok(values) => Answers::new(FENCE_WORDS, values),
                Err(Trouble::Refused) => return Err(Failed::Gone),
                Err(trouble) if Instant::now() >= until => {
                    let error = trouble.about(&self.dial.endpoint, "to take no writes");
                    return Err(Failed::Error(error));
                }
                Err(trouble) => {
                    if !matches!(trouble, Trouble::Silent(_)) {
                        sleep(LOOK_EVERY).await;
                    }
                    continue;
                }
            };
            if answers.has("BUSY") && Instant::now() < until {
                self.end_scripts(half).await;
                continue;
            }
            return self.proven(&answers).map_err(Failed::Error);
        }
    }

    /// What the instance shows after it was fenced.
    pub(super) fn proven(&mut self, answers: &Answers) -> Result<Replication, DriverError> {
        // One that loads its data serves nobody, and cannot become a replica.
        if !answers.has("LOADING") {
            answers.all_done()?;
        }
        let set = answers.parameter(SET)?;
        if set != FENCED {
            return Err(DriverError::Refused {
                what: "CONFIG SET min-replicas-to-write".to_owned(),
                answer: format!("it is {set} afterwards, and not {FENCED}"),
            });
        }
        self.fence_due = false;
        replication(answers, INFO)
    }

    /// While a script runs nothing else is obeyed. One that has written already cannot be ended.
    async fn end_scripts(&mut self, within: Duration) {
        let mut pipe = Pipeline::new();
        pipe.cmd("SCRIPT").arg("KILL");
        pipe.cmd("FUNCTION").arg("KILL");
        // What comes of it is seen by what the next attempt is answered.
        let _ = self.acting.ask(&self.dial, &pipe, within).await;
        sleep(SCRIPT_ENDS).await;
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
    async fn is_gone_soon(&self) -> bool {
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
