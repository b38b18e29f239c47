//! The driver of Redis: its words for following, promoting, fencing and pausing.
//!
//! # What it relies on
//!
//! * A fence is `min-replicas-to-write` at the largest number that Redis takes: every write is refused
//!   with `NOREPLICAS`, whatever client sends it. It stays set while the instance is a replica, so that
//!   nobody makes it take writes by accident; promotion alone lifts it.
//! * A fence that is not part of a handover also makes it a replica of nowhere: an address at which
//!   nobody answers. Then nobody can attach to it, and whoever waits for an acknowledgement is cut off.
//! * Positions are replication id and offset. A detached replica keeps both, for it follows nowhere;
//!   `REPLICAOF NO ONE` would begin a history of its own.
//! * The replicas' addresses in `INFO` are those of the service's instances: following sets
//!   `replica-announce-ip` and `replica-announce-port`.
//! * Each replica logs in at its primary as a user of its own, so that one can be kept away.
//! * Its configuration file is made to say that it comes up so (unless `on_restart = "leave"`): whoever
//!   starts it again gets an instance that serves nobody before it is told to.
//! * A run of the program that the driver has not seen before is a process that went and came: it is
//!   fenced before anything else is said of it. Nothing is promoted, and no position of a replica is told,
//!   but of the run that was seen last: one that came since may have lost what it had acknowledged.
//!
//! The user that the agent logs in as needs: `+info +role +ping +exists +config|get +config|set +replicaof
//! +client|pause +client|unpause +client|list +client|kill +script|kill +function|kill +psync +set
//! +acl|users +acl|setuser +acl|deluser ~tenure:probe:*`.

mod acting;
mod answer;
mod disk;
mod exit;
mod fence;
mod follow;
#[cfg(test)]
mod garbage;
mod history;
mod info;
mod line;
mod memory;
mod observe;
mod permit;
mod probe;
mod roles;
mod saving;
mod settings;

mod stream;
mod tail;
mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::Pipeline;
use tenure_core::agent::{Action, Feat, Observation};
use tenure_core::{Endpoint, Epoch, Position, ServiceName};
use tokio::time::Instant;

use super::presence::PresenceTeller;
use super::start::Starter;
use super::{ConfigError, Doing, Driver, DriverError, InstanceAt, PresenceWatch};
use acting::Acting;
use answer::Answers;
use disk::Disk;
use exit::ExitWatch;
use line::{Dial, Line, Trouble, ask};
use memory::{Given, Keeper, Memory};
use probe::Probe;
use saving::Saving;
use settings::{OnRestart, Settings};

/// `min-replicas-to-write` of a fenced instance: the largest number that Redis takes.
const FENCED: &str = "2147483647";

/// An address at which nobody answers, on every machine: a replica of it follows nobody and forgets
/// nothing.
const NOWHERE: (&str, u16) = ("127.0.0.1", 1);

/// The driver of one instance of Redis.
pub(super) struct Redis {
    service: ServiceName,
    /// Where everybody else reaches the instance.
    announced: Endpoint,
    settings: Arc<Settings>,
    dial: Dial,
    /// The connection of observations, and the one of actions: a fence finds its own free.
    watching: Option<Line>,
    acting: Acting,
    /// To the primary that the latest question was about.
    beyond: Option<(Endpoint, Line)>,
    presence: PresenceTeller,
    /// What runs beside: begun by the first call within a runtime.
    beside: Option<Beside>,
    starter: Starter,
    memory: Keeper,
    saving: Saving,
    disk: Disk,
    /// Which run of the program was seen last.
    run: Option<String>,
    /// The role that it was given last.
    given: Option<Given>,
    /// Whether that run's process was looked for.
    sought: bool,
    /// Whether the instance was told anything: what nobody told anything is nobody's to change.
    managed: bool,
    /// It came up, and was not fenced yet.
    fence_due: bool,
    epoch: Epoch,
    /// Who may be attached; None while nobody has said.
    permits: Option<BTreeSet<(String, u16)>>,
    quiesced_until: Option<Instant>,
    last: Last,
}

/// What the latest answered observation saw.
#[derive(Debug, Default)]
struct Last {
    writable: bool,
    position: Option<Position>,
}

/// What runs beside observations and actions.
struct Beside {
    exit: ExitWatch,
    probe: Probe,
}

impl Redis {
    /// The driver with its settings; it connects when it is first asked for something.
    pub(super) fn parse(instance: InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        let settings = Settings::parse(&instance, table)?;
        let memory = Keeper::new(memory::path(&instance.folder, &instance.service));
        let run = memory.latest().map(|memory| memory.run.clone());
        Ok(Self {
            dial: Dial::new(&settings),
            starter: Starter::new(settings.start.clone(), settings.start_within),
            service: instance.service,
            announced: instance.endpoint,
            watching: None,
            acting: Acting::default(),
            beyond: None,
            presence: PresenceTeller::new(),
            beside: None,
            managed: run.is_some(),
            run,
            given: memory.latest().map(|memory| memory.given),
            sought: false,
            memory,
            saving: Saving::default(),
            disk: Disk::new(settings.on_restart == OnRestart::Fence),
            fence_due: false,
            epoch: Epoch(0),
            permits: None,
            quiesced_until: None,
            last: Last::default(),
            settings: Arc::new(settings),
        })
    }

    fn beside(&mut self) -> &Beside {
        self.beside.get_or_insert_with(|| Beside {
            exit: ExitWatch::start(self.dial.clone(), self.presence.clone()),
            probe: Probe::start(self.dial.clone(), &self.service, self.settings.probe_every),
        })
    }

    /// Asks on the connection of actions. `words` says what each command of the pipeline is for.
    async fn told(
        &mut self,
        words: &'static [&'static str],
        pipe: &Pipeline,
    ) -> Result<Answers, DriverError> {
        let what = words.last().copied().unwrap_or("?");
        let within = self.settings.answer_within;
        match self.acting.ask(&self.dial, pipe, within).await {
            Ok(values) => Ok(Answers::new(words, values)),
            Err(trouble) => Err(trouble.about(&self.dial.endpoint, what)),
        }
    }

    /// Asks the process that answered last, and no other.
    async fn told_the_same(
        &mut self,
        words: &'static [&'static str],
        pipe: &Pipeline,
    ) -> Result<Answers, DriverError> {
        let what = words.last().copied().unwrap_or("?");
        let within = self.settings.answer_within;
        match self.acting.ask_the_same(pipe, within).await {
            Ok(values) => Ok(Answers::new(words, values)),
            Err(trouble) => Err(trouble.about(&self.dial.endpoint, what)),
        }
    }

    /// Keeps in mind which role the present run was given, as soon as it is known which run it is.
    fn remember(&mut self, given: Given) {
        self.given = Some(given);
        if let Some(run) = self.run.clone() {
            self.memory.keep(Memory { given, run });
        }
    }

    fn was_primary(&self) -> bool {
        self.given == Some(Given::Primary)
    }

    async fn carry_out(&mut self, action: Action) -> Result<Feat, DriverError> {
        self.beside();
        self.managed |= !matches!(action, Action::Measure | Action::Probe { .. });
        match action {
            Action::Promote {
                epoch,
                write_acks,
                strict,
            } => {
                self.promote(epoch, if strict { write_acks } else { 0 })
                    .await
            }
            Action::Follow { epoch, primary } => self.follow(epoch, primary).await,
            Action::Fence { orderly } => self.fence(orderly).await,
            Action::Detach => self.detach().await,
            Action::Quiesce { lasting } => self.quiesce(lasting).await,
            Action::Resume => self.resume().await,
            Action::Permit { members } => self.permit(members.values()).await,
            Action::Measure => self.measure().await,
            Action::Probe { primary } => Ok(Feat::Sees(self.sees(&primary).await)),
        }
    }
}

impl Driver for Redis {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(self.look())
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(self.carry_out(action))
    }

    fn presence(&mut self) -> PresenceWatch {
        self.beside();
        self.presence.watch()
    }
}
