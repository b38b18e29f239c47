//! The driver that asks an operator's program: any store can be managed by one.
//!
//! # The contract
//!
//! The program is run with one more argument, the *verb*, and with facts in its environment. It does
//! what the verb says, prints what it has to answer on standard output, one `key=value` a line, and ends
//! with status 0. Any other status means that it was not done; the beginning of what it wrote to
//! standard error is shown to people. Every verb may come again, and must bear it. A program that takes
//! longer than it may is killed with its whole process group, and so is one whose verb is pre-empted by
//! a fence. It may say 64 KiB at most.
//!
//! In the environment of every verb: `TENURE_SERVICE`, and `TENURE_ENDPOINT`, the instance's own
//! `HOST:PORT`.
//!
//! | verb | what is done | more environment | what is answered |
//! |---|---|---|---|
//! | `observe` | says what there is | | `role` = `writable`, `fenced`, `following` or `peer`; see below |
//! | `promote` | takes writes from now on; ends a fence and a quiescence; on disk stays fenced | `TENURE_EPOCH`, `TENURE_WRITE_ACKS`, `TENURE_STRICT` (0, 1) | |
//! | `follow` | follows a primary; saves what only this instance has first | `TENURE_EPOCH`, `TENURE_PRIMARY` | `rejoin` = `identical`, `behind`, `ahead` or `diverged`, when it was primary before; `tail` = where the rest was saved |
//! | `fence` | takes no writes, in whatever state it is | `TENURE_ORDERLY` (1 in a switchover: replicas stay attached) | position, after it |
//! | `detach` | stops following, keeps what is there | | position, after it |
//! | `quiesce` | holds writes back for so long at most | `TENURE_LASTING_MS` | position, after it |
//! | `resume` | takes writes again | | |
//! | `permit` | lets nobody else acknowledge | `TENURE_MEMBERS` = `NODE=HOST:PORT`, separated by spaces | position, after it |
//! | `measure` | | | position |
//! | `probe` | asks the primary for a sign of life | `TENURE_PRIMARY` | `sees` = `yes` or `no` |
//! | `fetch` | gets an item from the instance at `TENURE_FROM`; durable when it ends | `TENURE_ITEM`, `TENURE_VERSION`, `TENURE_CHECKSUM` (hexadecimal, empty when there is none), `TENURE_SIZE`, `TENURE_FROM` | what there is of the item then; see below |
//! | `drop` | deletes the copy, unless it is of a later version | as for `fetch`, without `TENURE_FROM` | as for `fetch` |
//! | `verify` | reads the copy from the disk | as for `drop` | as for `fetch` |
//! | `room` | says how much room there is for copies | | `folder`, on whose disk they lie, or `free` and `total` in bytes; `load` in thousandths; `data`, any text that is another one when what was there is lost |
//!
//! The last four are for services of the kind `copies`, and are asked with `copies = true` alone, beside whatever else is done, up to four at a
//! time. They answer `missing` = `yes` when there is no copy (any more), else `version` and `size` (as ordered when they are not said)
//! and `checksum`, of what was read. What is fetched and is not of the version and the checksum that was asked for must be discarded.
//!
//! A position is `history`, which names what the offset counts in, and `offset`, a number; both or neither.
//! `observe` may also answer: `presence` = `running` (when it is not said), `exited` or `unknown`; `health` =
//! `healthy` (when it is not said), `starting`, `degraded` or `failing`; `linked` = `yes` or `no`, while
//! following; a position; `stalled_ms`, for how long a real write has made no progress; `run`, any text that
//! is another one after a restart that lost what was acknowledged; `pid`, the process on this machine, whose
//! exit is then told of at once; `note`; and `attribute.NAME`.

mod answer;
mod copies;
#[cfg(test)]
mod garbage;
mod settings;

use std::sync::Arc;

use tenure_core::agent::{Action, Feat, Observation, Observed};
use tenure_core::{Attributes, Health, Millis, Presence};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::pid::LocalProcess;
use super::presence::PresenceTeller;
use super::run::{Errand, run};
use super::{ConfigError, Custodian, Doing, Driver, DriverError, InstanceAt, PresenceWatch, note};
use answer::Answer;
use settings::Settings;

const OUTPUT_MAX: usize = 64 * 1024;

/// The operator's program, and the instance that it is for.
struct Program {
    instance: InstanceAt,
    settings: Settings,
}

/// The driver of an instance that a program of the operator's manages.
pub(super) struct Command {
    program: Arc<Program>,
    presence: PresenceTeller,
    watched: Option<Watched>,
    /// What was seen last, and when; forgotten after an action.
    seen: Option<(Instant, Observation)>,
}

/// The process whose exit is waited for.
struct Watched {
    id: i32,
    waiting: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

/// The argument that says what is to be done, and the facts that go with it.
fn verb(action: &Action) -> (&'static str, Vec<(&'static str, String)>) {
    let flag = |set: bool| u8::from(set).to_string();
    match action {
        Action::Promote {
            epoch,
            write_acks,
            strict,
        } => (
            "promote",
            vec![
                ("TENURE_EPOCH", epoch.to_string()),
                ("TENURE_WRITE_ACKS", write_acks.to_string()),
                ("TENURE_STRICT", flag(*strict)),
            ],
        ),
        Action::Follow { epoch, primary } => (
            "follow",
            vec![
                ("TENURE_EPOCH", epoch.to_string()),
                ("TENURE_PRIMARY", primary.to_string()),
            ],
        ),
        Action::Fence { orderly } => ("fence", vec![("TENURE_ORDERLY", flag(*orderly))]),
        Action::Detach => ("detach", Vec::new()),
        Action::Quiesce { lasting } => (
            "quiesce",
            vec![("TENURE_LASTING_MS", lasting.0.to_string())],
        ),
        Action::Resume => ("resume", Vec::new()),
        Action::Permit { members } => {
            let members: Vec<String> = members
                .iter()
                .map(|(node, endpoint)| format!("{node}={endpoint}"))
                .collect();
            ("permit", vec![("TENURE_MEMBERS", members.join(" "))])
        }
        Action::Measure => ("measure", Vec::new()),
        Action::Probe { primary } => ("probe", vec![("TENURE_PRIMARY", primary.to_string())]),
    }
}

impl Program {
    /// Runs the program for one verb.
    async fn ask(
        &self,
        verb: &'static str,
        facts: Vec<(&'static str, String)>,
    ) -> Result<Answer, DriverError> {
        let mut environment = vec![
            ("TENURE_SERVICE", self.instance.service.to_string()),
            ("TENURE_ENDPOINT", self.instance.endpoint.to_string()),
        ];
        environment.extend(facts);
        let ran = run(Errand {
            argv: &self.settings.program,
            verb: Some(verb),
            environment: &environment,
            within: self.settings.within(verb),
            output_max: OUTPUT_MAX,
        })
        .await?;
        if !ran.status.success() {
            return Err(DriverError::Refused {
                what: format!("{} {verb}", self.settings.program[0]),
                answer: format!("{}: {}", ran.status, ran.complaint),
            });
        }
        Answer::read(verb, &ran.output)
    }
}

impl Command {
    pub(super) fn parse(instance: InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        let settings = Settings::parse(table)?;
        Ok(Self {
            program: Arc::new(Program { instance, settings }),
            presence: PresenceTeller::new(),
            watched: None,
            seen: None,
        })
    }

    async fn look(&mut self) -> Observation {
        let fresh = self.program.settings.observe_every;
        if let Some((at, seen)) = &self.seen
            && at.elapsed() < fresh
            && self.presence.now() == seen.presence
        {
            return seen.clone();
        }
        let answer = self.program.ask("observe", Vec::new()).await;
        let seen = match answer.and_then(|answer| answer.observation()) {
            Ok((seen, pid)) => {
                self.watch(pid.filter(|_| seen.presence == Presence::Running));
                seen
            }
            Err(error) => unanswered(&error),
        };
        self.presence.say(seen.presence);
        self.seen = Some((Instant::now(), seen.clone()));
        seen
    }

    /// Waits beside everything else for the end of this process.
    fn watch(&mut self, id: Option<i32>) {
        if self.watched.as_ref().map(|watched| watched.id) == id {
            return;
        }
        self.watched = id.and_then(|id| {
            let process = LocalProcess::open(id)?;
            let presence = self.presence.clone();
            let waiting = tokio::spawn(async move {
                process.gone().await;
                presence.say(Presence::Exited);
            });
            Some(Watched { id, waiting })
        });
    }

    async fn carry_out(&mut self, action: Action) -> Result<Feat, DriverError> {
        self.seen = None;
        let (verb, facts) = verb(&action);
        let answer = self.program.ask(verb, facts).await?;
        match action {
            Action::Promote { .. } | Action::Resume => Ok(Feat::Done),
            Action::Follow { .. } => Ok(Feat::Follows(answer.rejoin()?)),
            Action::Fence { .. } | Action::Detach | Action::Quiesce { .. } | Action::Measure => {
                Ok(Feat::At(answer.position()?))
            }
            Action::Permit { .. } => Ok(Feat::Permits(answer.position()?)),
            Action::Probe { .. } => Ok(Feat::Sees(answer.sees()?)),
        }
    }
}

/// A program that cannot say what there is says nothing about the process.
fn unanswered(error: &DriverError) -> Observation {
    Observation {
        presence: Presence::Unknown,
        run: 0,
        health: Health::Failing,
        role: Observed::Nothing,
        position: None,
        stalled: Millis(0),
        note: note(&error.to_string()),
        attributes: Attributes::default(),
    }
}

impl Driver for Command {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(self.look())
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(self.carry_out(action))
    }

    fn custodian(&mut self) -> Option<Arc<dyn Custodian>> {
        let program = self.program.clone();
        let copies = program.settings.copies;
        copies.then(|| -> Arc<dyn Custodian> { Arc::new(copies::Copies(program)) })
    }

    fn presence(&mut self) -> PresenceWatch {
        self.presence.watch()
    }
}
