//! What is seen of an instance, and what is done at once about one that came up unasked, or whose commits
//! would no longer wait for replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_core::agent::{Observation, Observed};
use tenure_core::{Attributes, Health, Millis, Position, Presence};
use tokio::time::Instant;

use super::super::note;
use super::dialect::Dialect;
use super::lineage::{self, Lineage};
use super::probe::SILENT_REPLICAS;
use super::process::is_same;
use super::reclone::Copying;
use super::status::{Seen, unreadable};
use super::stuck::Stuck;
use super::{DriverError, Given, Last, Mysql, Trouble, ask};

/// The error of an unknown schema, and of an unknown table.
const NO_TABLE: [u16; 2] = [1049, 1146];
/// The error of an unknown variable.
const NO_VARIABLE: u16 = 1193;
/// For how long it is told that commits did not wait for replicas.
const GAP_TOLD_FOR: Duration = Duration::from_secs(60);

/// A look: what the instance says, and of which run of it.
struct Look {
    dialect: Dialect,
    run: String,
    seen: Seen,
    lineage: Lineage,
}

impl Look {
    fn role(&self, given: Option<Given>) -> Observed {
        let was_primary = given.is_some_and(Given::is_primary);
        match &self.seen.replication.replica {
            _ if !self.seen.read_only => Observed::Writable,
            _ if was_primary => Observed::Fenced,
            Some(replica) => Observed::Following {
                linked: replica.is_linked(),
            },
            None => Observed::Following { linked: false },
        }
    }
}

impl Mysql {
    pub(super) async fn look(&mut self) -> Observation {
        self.beside();
        match self.looked().await {
            Ok(Ok(look)) => self.answered(look).await,
            Ok(Err(error)) => self.unanswered(Presence::Running, &error.to_string()),
            Err(Trouble::Refused) => self.gone().await,
            Err(trouble) => {
                let presence = self.presence.now();
                self.unanswered(presence, &trouble.to_string())
            }
        }
    }

    /// One round trip; two where the agent's tables are not there yet.
    async fn looked(&mut self) -> Result<Result<Look, DriverError>, Trouble> {
        let within = self.settings.answer_within;
        if self.watching.is_none() {
            self.watching = Some(self.dial.line().await?);
        }
        let dialect = match &self.watching {
            Some(line) => line.dialect,
            None => Dialect::MariaDb,
        };
        let looks = dialect.look();
        let text = match self.has_tables {
            true => format!("{looks}; {}", lineage::READ),
            false => looks.to_owned(),
        };
        let answers = match ask(&mut self.watching, &self.dial, &text, within).await {
            Err(Trouble::Said { code, .. }) if NO_TABLE.contains(&code) => {
                self.has_tables = false;
                ask(&mut self.watching, &self.dial, looks, within).await?
            }
            Err(Trouble::Said { code, message }) if code == NO_VARIABLE && self.managed => {
                // MySQL's plug-ins bring the variables that a look asks for.
                return Ok(match self.install_plugins(dialect).await {
                    Ok(()) => Err(unreadable("its variables", &message)),
                    Err(error) => Err(error),
                });
            }
            answered => answered?,
        };
        let rows = answers.get(3).map(Vec::as_slice).unwrap_or_default();
        let lineage = Lineage::read(rows);
        let Some(line) = &self.watching else {
            return Err(Trouble::Unreachable("the connection has ended".to_owned()));
        };
        let (run, version) = (line.run.clone(), line.version.clone());
        self.version = version;
        self.dialect = Some(dialect);
        Ok(Seen::read(dialect, &answers).map(|seen| Look {
            dialect,
            run,
            seen,
            lineage,
        }))
    }

    /// Nobody listens: there is no process.
    async fn gone(&mut self) -> Observation {
        self.presence.say(Presence::Exited);
        self.beside().probe.turn(None);
        self.last = Last::default();
        self.watching = None;
        let copying = self.copying.as_ref().is_some_and(Copying::is_under_way);
        // While its data is replaced it is not to run.
        if !copying && self.starter.is_down().await {
            // What the agent starts itself takes no writes before it is told to.
            self.fence_due = true;
        }
        if !copying {
            // That it is another store is known before the next one is looked at.
            let _ = self.copy_goes_on(Duration::ZERO).await;
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
        let known = presence != Presence::Exited && self.process.is_some();
        Observation {
            presence,
            run: if known { self.number } else { 0 },
            health: Health::Failing,
            role: Observed::Nothing,
            position: self.last.position.clone(),
            stalled,
            note: note(why),
            attributes: Attributes::default(),
        }
    }

    async fn answered(&mut self, mut look: Look) -> Observation {
        self.presence.say(Presence::Running);
        self.starter.is_up();
        self.is_run(&look);
        if self.fence_due && self.fence(false).await.is_ok() {
            look.seen.read_only = true;
        }
        if !self.has_tables {
            // Seen by the next look.
            let _ = self.looks_for_tables().await;
        }
        self.acting.warm_up(&self.dial).await;
        self.apply_again(look.dialect, &look.seen.replication).await;
        let stranger = match look.role(self.given) {
            Observed::Writable => {
                self.hold_to_policy(&mut look).await;
                self.forget_primary(&look).await;
                self.detach_strangers(look.dialect).await
            }
            Observed::Nothing | Observed::Fenced | Observed::Following { .. } | Observed::Peer => {
                None
            }
        };
        self.keep_probing(&look).await;
        let linked = look.role(self.given) == Observed::Following { linked: true };
        if linked && self.managed {
            self.remember(Given::Replica);
        }
        self.last = Last {
            writable: look.role(self.given) == Observed::Writable,
            position: self.position(&look.seen.replication, &look.lineage),
            datadir: look.seen.datadir.clone(),
        };
        self.as_seen(&look, stranger)
    }

    /// Takes in which run of the server answers. A former primary that keeps what it has committed is the
    /// same store when it is started again; a replica may have lost what it had received and not applied.
    fn is_run(&mut self, look: &Look) {
        let known = self.process.as_deref();
        if known.is_some_and(|known| is_same(known, &look.run)) && self.sought {
            return;
        }
        let another = !known.is_some_and(|known| is_same(known, &look.run));
        let first = known.is_none();
        self.process = Some(look.run.clone());
        self.sought = true;
        let process = self.watching.as_ref().and_then(|line| line.process.clone());
        self.beside().exit.is(process.map(|process| process.local));
        if !another {
            return;
        }
        self.prepared = false;
        self.source = None;
        self.permits = None;
        self.adoption = None;
        let keeps = self.was_primary() && look.seen.is_durable() && !look.seen.acknowledges;
        if !keeps || self.number == 0 {
            self.number = number_of(&look.run);
        }
        if look.seen.acknowledges && !first {
            self.careless = true;
        }
        self.fence_due = self.managed && !first;
        self.keep_in_mind();
    }

    /// Commits that do not wait for replicas may be lost with this instance: no more are let in until it
    /// has been promoted anew.
    async fn hold_to_policy(&mut self, look: &mut Look) {
        let acks = match self.given {
            Some(Given::Primary { acks }) => acks,
            Some(Given::Replica) | None => return,
        };
        if self.adopted(look.dialect, &look.seen.semi).await {
            return;
        }
        let Some(gap) = look.seen.semi.gap(acks) else {
            return;
        };
        let within = self.settings.fence_within;
        let close = look.dialect.close();
        if self.acting.ask(&self.dial, close, within).await.is_ok() {
            look.seen.read_only = true;
        }
        self.gap = Some((gap, Instant::now()));
    }

    /// A primary that could still be told to follow its own predecessor is made to forget it.
    async fn forget_primary(&mut self, look: &Look) {
        let stale = look.seen.replication.replica.is_some() && self.was_primary();
        if stale {
            let text = look.dialect.forget_primary();
            // The next look sees whether it helped.
            let _ = self.told("to forget whom it followed", text).await;
        }
    }

    /// Real writes go only to a primary that the agent has something to say about.
    async fn keep_probing(&mut self, look: &Look) {
        let writable = look.role(self.given) == Observed::Writable;
        let epoch = self.epoch;
        let epoch = (writable && self.managed && self.has_tables && self.prepared).then_some(epoch);
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
        let Some(connection) = probe.overdue() else {
            return;
        };
        // Whoever's commit waits for replicas keeps those behind it waiting.
        let text = format!(
            "SELECT STATE AS state, STATE LIKE '%semi-sync ACK%' AS waits FROM information_schema.PROCESSLIST \
             WHERE ID = {connection} OR STATE LIKE '%semi-sync ACK%' ORDER BY waits DESC LIMIT 1"
        );
        let within = self.settings.answer_within;
        let answers = ask(&mut self.watching, &self.dial, &text, within).await;
        let Some(found) = answers.iter().flatten().flatten().next() else {
            return;
        };
        let state = match found.is_on("waits") && look.seen.semi.clients > 0 {
            true => SILENT_REPLICAS,
            false => found.text("state"),
        };
        let state = state.to_owned();
        self.beside().probe.waits_for(connection, &state);
    }

    fn as_seen(&mut self, look: &Look, stranger: Option<String>) -> Observation {
        let verdict = self.beside().probe.verdict();
        let own = &look.seen.replication;
        let replica = own.replica.as_ref().filter(|_| !self.was_primary());
        let stuck = Stuck::after(self.stuck.take(), own);
        let broken = stuck
            .as_ref()
            .filter(|_| replica.is_some())
            .map(Stuck::told);
        self.stuck = stuck;
        let mut trouble: Vec<String> = verdict.why.into_iter().collect();
        trouble.extend(self.gap_told());
        trouble.extend(broken.clone());
        trouble.extend(replica.and_then(unlinked));
        let told = self.copy_told().or(self.undone.clone());
        trouble.extend(told.filter(|_| look.seen.read_only || self.given.is_none()));
        trouble.extend(look.seen.unsafe_settings.iter().cloned());
        trouble.extend(self.careless.then(careless));
        trouble.extend(stranger);
        let health = match (broken.is_some(), trouble.is_empty()) {
            (true, _) => Health::Failing,
            (false, true) => Health::Healthy,
            (false, false) => Health::Degraded,
        };
        let role = match look.role(self.given) {
            // Between two attempts it runs for a moment, to no effect.
            Observed::Following { linked } => Observed::Following {
                linked: linked && broken.is_none(),
            },
            role @ (Observed::Nothing | Observed::Writable | Observed::Fenced | Observed::Peer) => {
                role
            }
        };
        let lag = own.lag().to_string();
        let behind = replica
            .and_then(|it| it.behind_s)
            .map(|behind| behind.to_string());
        let gtids = own.all().to_string();
        let mut attributes =
            BTreeMap::from([("version", self.version.as_str()), ("gtid", gtids.as_str())]);
        if replica.is_some() {
            attributes.insert("lag_transactions", &lag);
            // Of those that hold equally much the one that serves soonest is preferred.
            attributes.insert("load", &lag);
        }
        attributes.extend(behind.as_deref().map(|behind| ("lag_seconds", behind)));
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Observation {
            presence: Presence::Running,
            run: self.number,
            health,
            role,
            position: self.last_position(),
            stalled: verdict.stalled,
            note: note(&trouble.join("; ")),
            attributes: Attributes::new(attributes.collect()).unwrap_or_default(),
        }
    }

    fn last_position(&self) -> Option<Position> {
        self.last.position.clone()
    }

    fn gap_told(&mut self) -> Option<String> {
        self.gap.take_if(|(_, at)| at.elapsed() > GAP_TOLD_FOR);
        let (gap, _) = self.gap.as_ref()?;
        Some(format!("writes were held: {gap}"))
    }
}

/// A number for a run; never 0.
fn number_of(run: &str) -> u64 {
    let mut digest = tenure_core::Digest::new();
    digest.update(run.as_bytes());
    digest.value().max(1)
}

fn careless() -> String {
    "its configuration file sets rpl_semi_sync_slave_enabled: started so after a crash it throws away \
     transactions, unsaved; take the line out"
        .to_owned()
}

fn unlinked(replica: &super::status::Replica) -> Option<String> {
    if !replica.by_gtid {
        return Some("it follows by file and offset, not by GTID".to_owned());
    }
    let (host, port) = (&replica.host, replica.port);
    match (replica.receives(), replica.receive_error.as_str()) {
        (true, _) => None,
        (false, "") => Some(format!("its link to {host}:{port} is down")),
        (false, error) => Some(format!("its link to {host}:{port} is down: {error}")),
    }
}
