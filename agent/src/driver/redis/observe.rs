//! What is seen of an instance, in one round trip, and what is done about one that came up unasked.

use std::collections::BTreeMap;

use redis::Pipeline;
use tenure_core::agent::{Observation, Observed};
use tenure_core::{Attributes, Health, Millis, Presence};
use tokio::time::Instant;

use super::super::note;
use super::super::pid::LocalProcess;
use super::answer::Answers;
use super::disk::Restart;
use super::fence::FENCE_WORDS;
use super::info::{Persistence, Process, Replication};
use super::memory::Given;
use super::roles::replication;
use super::{DriverError, FENCED, Redis, Trouble, ask};

const WORDS: &[&str] = &[
    "INFO server",
    "INFO replication",
    "INFO persistence",
    "CONFIG GET min-replicas-to-write",
];

/// What one round trip says.
struct Seen {
    process: Process,
    replication: Replication,
    persistence: Persistence,
    fenced: bool,
}

impl Seen {
    fn read(answers: &Answers) -> Result<Self, DriverError> {
        Ok(Self {
            process: Process::read(&answers.text(0)?),
            replication: replication(answers, 1)?,
            persistence: Persistence::read(&answers.text(2)?),
            fenced: answers.parameter(3)? == FENCED,
        })
    }

    /// A former primary that follows nowhere is fenced.
    fn role(&self, given: Option<Given>) -> Observed {
        match &self.replication.upstream {
            Some(upstream) if upstream.is_nowhere() && given == Some(Given::Primary) => {
                Observed::Fenced
            }
            Some(upstream) => Observed::Following {
                linked: upstream.linked,
            },
            None if self.fenced => Observed::Fenced,
            None => Observed::Writable,
        }
    }
}

impl Redis {
    pub(super) async fn look(&mut self) -> Observation {
        self.beside();
        let mut pipe = Pipeline::new();
        for section in ["server", "replication", "persistence"] {
            pipe.cmd("INFO").arg(section);
        }
        pipe.cmd("CONFIG").arg("GET").arg("min-replicas-to-write");
        let within = self.settings.answer_within;
        match ask(&mut self.watching, &self.dial, &pipe, within).await {
            Ok(values) => match Seen::read(&Answers::new(WORDS, values)) {
                Ok(seen) => self.answered(seen).await,
                Err(error) => self.unanswered(Presence::Running, &error.to_string()),
            },
            Err(Trouble::Refused) => self.gone().await,
            Err(trouble) => {
                let presence = self.presence.now();
                self.unanswered(presence, &trouble.to_string())
            }
        }
    }

    /// Nobody listens: there is no process.
    async fn gone(&mut self) -> Observation {
        self.presence.say(Presence::Exited);
        self.beside().probe.turn(None);
        self.last = super::Last::default();
        if self.starter.is_down().await {
            // What the agent starts itself takes no writes before it is told to.
            self.fence_due = true;
        }
        let why = match self.starter.failed() {
            Some(why) => format!("not running; its start failed: {why}"),
            None => format!("nobody listens at {}", self.dial.endpoint),
        };
        self.unanswered(Presence::Exited, &why)
    }

    /// It cannot be asked; what was known of it last is all that can be said.
    fn unanswered(&mut self, presence: Presence, why: &str) -> Observation {
        let stalled = match self.last.writable {
            true => self.beside().probe.verdict().stalled,
            false => Millis(0),
        };
        let known = self.run.as_deref().filter(|_| presence != Presence::Exited);
        Observation {
            presence,
            run: known.map_or(0, Process::number),
            health: Health::Failing,
            role: Observed::Nothing,
            position: self.last.position.clone(),
            stalled,
            note: note(why),
            attributes: Attributes::default(),
        }
    }

    async fn answered(&mut self, mut seen: Seen) -> Observation {
        self.presence.say(Presence::Running);
        self.starter.is_up();
        let before = self.run.replace(seen.process.run.clone());
        let another = before.as_ref() != Some(&seen.process.run);
        if another && before.is_some() && self.managed {
            self.fence_due = true;
        }
        if another || !self.sought {
            self.find_process(&seen.process);
            self.disk.forget();
        }
        if self.fence_due {
            seen = self.fenced_first(seen).await;
        }
        self.acting.warm_up(&self.dial).await;
        let stranger = match seen.replication.upstream {
            None => self.detach_strangers(&seen.replication).await,
            Some(_) => None,
        };
        self.keep_probing(&seen);
        let linked = seen.role(self.given) == Observed::Following { linked: true };
        let given = if linked {
            Some(Given::Replica)
        } else {
            self.given
        };
        if let Some(given) = given.filter(|_| self.managed) {
            self.remember(given);
        }
        self.last = super::Last {
            writable: seen.role(self.given) == Observed::Writable,
            position: seen.replication.position(self.was_primary()),
        };
        let restart = if self.managed {
            let process = self.beside().exit.process();
            Some(self.disk.look(process.as_ref(), &seen.process.file).await)
        } else {
            None
        };
        self.as_seen(&seen, stranger, restart)
    }

    /// By its id, which is believed only when it is proven to be this instance on this machine.
    fn find_process(&mut self, process: &Process) {
        let port = self.dial.port();
        let found = process.id.and_then(|id| LocalProcess::find(id, port));
        self.beside().exit.is(found);
        self.sought = true;
    }

    /// Fences an instance that came up by itself before anything is said of it.
    async fn fenced_first(&mut self, mut seen: Seen) -> Seen {
        let pipe = self.fencing(false);
        if let Ok(answers) = self.told(FENCE_WORDS, &pipe).await
            && let Ok(now) = self.proven(&answers)
        {
            seen.fenced = true;
            seen.replication = now;
        }
        seen
    }

    /// Real writes go only to a primary that the agent has something to say about.
    fn keep_probing(&mut self, seen: &Seen) {
        let writable = seen.role(self.given) == Observed::Writable && !seen.persistence.loading;
        let epoch = self.epoch;
        let epoch = (writable && self.managed).then_some(epoch);
        let held = self
            .quiesced_until
            .is_some_and(|until| Instant::now() < until);
        if !held {
            self.quiesced_until = None;
        }
        let probe = &self.beside().probe;
        probe.turn(epoch);
        if held {
            probe.forgive();
        }
    }

    fn as_seen(
        &mut self,
        seen: &Seen,
        stranger: Option<String>,
        restart: Option<Restart>,
    ) -> Observation {
        let verdict = self.beside().probe.verdict();
        let upstream = seen.replication.upstream.as_ref();
        let trouble = [
            verdict.why,
            seen.persistence
                .failing
                .then(|| "its latest save to disk failed".to_owned()),
            upstream
                .filter(|it| it.syncing)
                .map(|_| "it is being sent all the data".to_owned()),
            upstream
                .filter(|it| !it.linked && !it.is_nowhere())
                .map(|it| format!("its link to {}:{} is down", it.host, it.port)),
            upstream
                .filter(|it| !it.read_only)
                .map(|_| "it is a replica that takes writes: set replica-read-only yes".to_owned()),
            stranger,
        ];
        let trouble: Vec<String> = trouble.into_iter().flatten().collect();
        let health = if seen.persistence.loading {
            Health::Starting
        } else if trouble.is_empty() {
            Health::Healthy
        } else {
            Health::Degraded
        };
        let mut attributes = BTreeMap::from([("version", seen.process.version.as_str())]);
        attributes.extend(restart.map(|restart| ("restart", restart.name())));
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Observation {
            presence: Presence::Running,
            run: Process::number(&seen.process.run),
            health,
            role: seen.role(self.given),
            position: seen.replication.position(self.was_primary()),
            stalled: verdict.stalled,
            note: note(&trouble.join("; ")),
            attributes: Attributes::new(attributes.collect()).unwrap_or_default(),
        }
    }
}
