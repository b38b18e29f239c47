//! The driver of MariaDB and MySQL: their words for following, promoting, fencing and pausing.
//!
//! # What it relies on
//!
//! * A fence is `read_only` (MySQL: `super_read_only`), which waits for commits that are under way and lets no
//!   other begin; whoever holds it up is ended. The writers' accounts must have neither `SUPER` nor `READ ONLY
//!   ADMIN` (`CONNECTION ADMIN` in MySQL).
//! * Its configuration file says `read_only`, so that whoever starts it again gets an instance that takes no
//!   writes before it is told to.
//! * Positions are the epoch that is written into the data and the number of transactions (`lineage`, `gtid`).
//!   A replica counts what it has received, for that is what it acknowledges, and applies it before it serves
//!   or follows anybody else.
//! * With `write_acks`, commits wait in the semi-synchronous manner, at `AFTER_SYNC`, for longer than anybody
//!   can wait: they never fall back. That is set before writes are let in, and never taken away while they are.
//! * Whoever is to acknowledge no more is detached by the primary, by account and connection (`permit`), before
//!   the log says that it does not count; only then is a commit acknowledged by fewer.
//! * `rpl_semi_sync_slave_enabled` is only ever set while a server runs: one that finds it set when it recovers
//!   from a crash throws away, unsaved, what it had not heard acknowledged.
//! * A run of the server that the driver has not seen before is fenced before anything else is said of it. One
//!   that was primary, and keeps what it commits, is the same store; a replica is another one, for it may have
//!   lost what it had received.

mod acting;
mod adopt;
mod copy;
mod dialect;
mod events;
mod exit;
mod fence;
mod follow;
mod gtid;
mod line;
mod lineage;
mod memory;
mod observe;
mod pause;
mod permit;
mod probe;
mod process;
mod reclone;
mod rejoin;
mod roles;
mod saving;
mod settings;
mod setup;
mod status;
mod stuck;
mod swap;
mod tail;

use std::collections::BTreeSet;
use std::sync::Arc;

use tenure_core::agent::{Action, Feat, Observation};
use tenure_core::{Endpoint, Epoch, Position, ServiceName};
use tokio::time::Instant;

use super::presence::PresenceTeller;
use super::start::Starter;
use super::{ConfigError, Doing, Driver, DriverError, InstanceAt, PresenceWatch};
use acting::Acting;
use adopt::Adoption;
use dialect::Dialect;
use exit::ExitWatch;
use follow::{Source, Verdict};
use line::{Answers, Dial, Line, Trouble, ask};
use memory::{Given, Keeper, Memory};
use pause::Pause;
use probe::Probe;
use process::is_same;
use reclone::Copying;
use saving::Saving;
use settings::Settings;
use stuck::Stuck;

/// The driver of one instance of MariaDB or MySQL.
pub(super) struct Mysql {
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
    /// What answered last.
    dialect: Option<Dialect>,
    version: String,
    /// Which run of the server was seen last, and by which number the core knows what it stores.
    process: Option<String>,
    number: u64,
    /// Whether that run's process was looked for.
    sought: bool,
    /// The role that it was given last.
    given: Option<Given>,
    /// Whether the instance was told anything: what nobody told anything is nobody's to change.
    managed: bool,
    /// It came up, and was not fenced yet.
    fence_due: bool,
    /// Whether what is each server's own was made in this run of it.
    prepared: bool,
    has_tables: bool,
    /// It came up with a setting that throws transactions away.
    careless: bool,
    epoch: Epoch,
    /// Whom it follows.
    source: Option<Source>,
    /// Whose accounts may be attached; None while nobody has said.
    permits: Option<BTreeSet<String>>,
    pause: Option<Pause>,
    /// A primary that serves already is being taken over.
    adoption: Option<Adoption>,
    quiesced_until: Option<Instant>,
    /// Why commits were seen not to wait for replicas, and when.
    gap: Option<(String, Instant)>,
    /// What its data was found to be before it was copied anew.
    verdict: Option<Verdict>,
    /// The copy of all data that is being made; why the latest failed, and when the next may be begun.
    copying: Option<Copying>,
    copy_failed: String,
    copy_after: Option<Instant>,
    /// Why it has not the role that it was told to take.
    undone: Option<String>,
    /// What it cannot apply.
    stuck: Option<Stuck>,
    last: Last,
}

/// What the latest answered observation saw.
#[derive(Debug, Default)]
struct Last {
    writable: bool,
    position: Option<Position>,
    datadir: String,
}

/// What runs beside observations and actions.
struct Beside {
    exit: ExitWatch,
    probe: Probe,
}

impl Mysql {
    /// The driver with its settings; it connects when it is first asked for something.
    pub(super) fn parse(instance: InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        let settings = Settings::parse(&instance, table)?;
        let memory = Keeper::new(memory::path(&instance.folder, &instance.service));
        let known = memory.latest().cloned();
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
            memory,
            saving: Saving::default(),
            dialect: None,
            version: String::new(),
            managed: known.as_ref().is_some_and(|known| known.given.is_some()),
            given: known.as_ref().and_then(|known| known.given),
            number: known.as_ref().map_or(0, |known| known.number),
            process: known.as_ref().map(|known| known.run.clone()),
            sought: false,
            fence_due: false,
            prepared: false,
            has_tables: false,
            careless: false,
            epoch: Epoch(0),
            source: None,
            permits: None,
            pause: None,
            adoption: None,
            quiesced_until: None,
            gap: None,
            verdict: known.and_then(|known| known.verdict),
            copying: None,
            copy_failed: String::new(),
            copy_after: None,
            undone: None,
            stuck: None,
            last: Last::default(),
            settings: Arc::new(settings),
        })
    }

    fn beside(&mut self) -> &Beside {
        self.beside.get_or_insert_with(|| {
            let probing = self.dial.by(Self::probe_login(&self.settings));
            Beside {
                exit: ExitWatch::start(self.dial.clone(), self.presence.clone()),
                probe: Probe::start(probing, self.settings.probe_every),
            }
        })
    }

    /// Which of the two dialects the instance speaks.
    async fn dialect(&mut self) -> Result<Dialect, DriverError> {
        if let Some(dialect) = self.dialect {
            return Ok(dialect);
        }
        let line = self.acting.line(&self.dial).await;
        let line = line.map_err(|trouble| trouble.about(&self.dial.endpoint, "what it is"))?;
        let (dialect, version) = (line.dialect, line.version.clone());
        self.version = version;
        self.dialect = Some(dialect);
        Ok(dialect)
    }

    /// The run of the server that the latest action was answered by.
    fn acting_run(&self) -> Option<String> {
        self.acting.run()
    }

    /// Asks on the connection of actions. `what` says what that is for.
    async fn told(&mut self, what: &str, text: &str) -> Result<Answers, DriverError> {
        let within = self.settings.answer_within;
        let began = Instant::now();
        let answered = self.acting.ask(&self.dial, text, within).await;
        tracing::debug!(what, took_us = began.elapsed().as_micros(), "asked");
        let answers = answered.map_err(|trouble| trouble.about(&self.dial.endpoint, what))?;
        match (&self.process, self.acting.run()) {
            (Some(seen), Some(there)) if !is_same(seen, &there) => Err(DriverError::Refused {
                what: what.to_owned(),
                answer: "another run of the server answers, which nobody has looked at yet"
                    .to_owned(),
            }),
            (Some(_) | None, _) => Ok(answers),
        }
    }

    /// Asks the process that answered last, and no other.
    async fn told_the_same(&mut self, what: &str, text: &str) -> Result<Answers, DriverError> {
        let within = self.settings.answer_within;
        let began = Instant::now();
        let answered = self.acting.ask_the_same(text, within).await;
        tracing::debug!(what, took_us = began.elapsed().as_micros(), "asked");
        answered.map_err(|trouble| trouble.about(&self.dial.endpoint, what))
    }

    /// Keeps in mind which role the present run was given.
    fn remember(&mut self, given: Given) {
        self.given = Some(given);
        self.keep_in_mind();
    }

    fn keep_in_mind(&mut self) {
        if let Some(run) = self.process.clone() {
            self.memory.keep(Memory {
                given: self.given,
                run,
                number: self.number.max(1),
                verdict: self.verdict.clone(),
            });
        }
    }

    fn was_primary(&self) -> bool {
        self.given.is_some_and(Given::is_primary)
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
                let acks = if strict { write_acks } else { 0 };
                let promoted = self.promote(epoch, acks).await;
                self.undone = promoted.as_ref().err().map(ToString::to_string);
                promoted
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

impl Driver for Mysql {
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
