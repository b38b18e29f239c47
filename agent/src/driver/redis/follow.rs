//! Following a primary: comparing histories first, saving what nobody else has, then attaching.

use std::time::Duration;

use redis::{Pipeline, Value};
use tenure_core::agent::Feat;
use tenure_core::{Endpoint, Epoch, Note, Rejoin};
use tokio::time::{Instant, sleep, timeout};

use super::super::note;
use super::answer::{Answers, text};
use super::history::compare;
use super::info::{Replication, keys};
use super::line::host_and_port;
use super::memory::Given;
use super::probe::KEY_PREFIX;
use super::roles::replication;
use super::settings::OnDiverged;
use super::tail::{Tail, Wanted};
use super::{Dial, DriverError, FENCED, NOWHERE, Redis};

/// For how long is looked again and again whether the link is up: a partial one takes a millisecond.
const LOOK_AT_ONCE_FOR: Duration = Duration::from_millis(5);
/// How often after that.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// After how long an attempt that failed is made again. Redis itself would wait for a second.
const KICK_AFTER: Duration = Duration::from_millis(4);
/// For how long one call waits for a tail to be saved.
const SAVE_PATIENCE: Duration = Duration::from_millis(500);

/// What is known of the instance itself before it follows, with every write refused.
struct Own {
    replication: Replication,
    /// It holds no key, or the agent's own alone.
    empty: bool,
    /// A replica that has nothing of any primary yet belongs to no history.
    belongs: bool,
}

/// What a comparison came to: the verdict, and what is to be said of the tail.
type Verdict = (Rejoin, String);

impl Redis {
    pub(super) async fn follow(
        &mut self,
        epoch: Epoch,
        primary: Endpoint,
    ) -> Result<Feat, DriverError> {
        self.beside().probe.turn(None);
        self.permits = None;
        let own = self.stand_still().await?;
        if self.is_on_its_way(&own.replication, &primary).await? {
            return Ok(Feat::Follows(None));
        }
        let given = self.given;
        let was_primary = match given {
            Some(Given::Primary) => true,
            // One that came up anew follows nobody, whatever it was before.
            Some(Given::Replica) => false,
            None => own.replication.upstream.is_none(),
        };
        let (rejoin, tail) = self.compared(own, epoch, &primary, given).await?;
        self.attach(&primary).await?;
        self.fence_due = false;
        let lost = matches!(rejoin, Rejoin::Ahead | Rejoin::Diverged);
        let told: Option<(Rejoin, Note)> = (was_primary || lost).then(|| (rejoin, note(&tail)));
        Ok(Feat::Follows(told))
    }

    /// Refuses every write, and looks at what there is.
    async fn stand_still(&mut self) -> Result<Own, DriverError> {
        const WORDS: &[&str] = &[
            "CONFIG SET replica-read-only",
            "CONFIG SET min-replicas-max-lag",
            "CONFIG SET min-replicas-to-write",
            "INFO replication",
            "INFO keyspace",
            "EXISTS",
        ];
        let mut pipe = Pipeline::new();
        let set = ["SET", "replica-read-only", "yes"];
        pipe.cmd("CONFIG").arg(&set);
        self.add_acks(&mut pipe, FENCED);
        pipe.cmd("INFO").arg("replication");
        pipe.cmd("INFO").arg("keyspace");
        let probed = format!("{KEY_PREFIX}{}", self.service);
        pipe.cmd("EXISTS").arg(probed);
        let answers = self.told(WORDS, &pipe).await?;
        (0..5).try_for_each(|index| answers.get(index).map(|_| ()))?;
        // A replica without a link may refuse to be read; then the key counts as any other.
        let probed = answers.get(5).is_ok_and(|value| *value == Value::Int(1));
        let replication = replication(&answers, 3)?;
        Ok(Own {
            belongs: replication.position(self.was_primary()).is_some(),
            replication,
            empty: keys(&answers.text(4)?) <= u64::from(probed),
        })
    }

    /// Whether it follows this primary already, and its link is up or is being made.
    async fn is_on_its_way(
        &mut self,
        own: &Replication,
        primary: &Endpoint,
    ) -> Result<bool, DriverError> {
        let Some(upstream) = &own.upstream else {
            return Ok(false);
        };
        if (upstream.host.clone(), upstream.port) != host_and_port(primary) {
            return Ok(false);
        }
        let state = self.link_state().await?;
        Ok(upstream.linked || state != "connect")
    }

    /// What `ROLE` says of the link: `connect` while it waits to try again.
    async fn link_state(&mut self) -> Result<String, DriverError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("ROLE");
        let answers = self.told(&["ROLE"], &pipe).await?;
        let state = answers.get(0)?.as_sequence().and_then(|role| role.get(3));
        state
            .and_then(text)
            .ok_or_else(|| answers.unreadable(0, "the role of a replica"))
    }

    async fn compared(
        &mut self,
        own: Own,
        epoch: Epoch,
        primary: &Endpoint,
        given: Option<Given>,
    ) -> Result<Verdict, DriverError> {
        let theirs = self.ask_primary(primary).await?;
        let compared = own
            .belongs
            .then(|| compare(&own.replication.track, &theirs.track));
        match compared.flatten() {
            Some(found) if own.replication.track.offset <= found.fork => {
                Ok((found.rejoin, "it has nothing of its own".to_owned()))
            }
            Some(found) => {
                let tail = self.tail(own, epoch, primary, Some(found.fork)).await?;
                let harmless = tail.counted.is_some_and(|counted| counted.changes == 0);
                let rejoin = match (harmless, theirs.track.offset > found.fork) {
                    (true, true) => Rejoin::Behind,
                    (true, false) => Rejoin::Identical,
                    (false, _) => found.rejoin,
                };
                Ok((rejoin, said_of(&tail)))
            }
            None if own.empty => Ok((Rejoin::Behind, "it has no data".to_owned())),
            // What a replica has came from a primary; which one is not known any more.
            None if given == Some(Given::Replica) => {
                Ok((Rejoin::Behind, "it was a replica before".to_owned()))
            }
            None => {
                let tail = self.tail(own, epoch, primary, None).await?;
                Ok((Rejoin::Diverged, said_of(&tail)))
            }
        }
    }

    async fn ask_primary(&mut self, primary: &Endpoint) -> Result<Replication, DriverError> {
        let dial: Dial = self.dial.to(primary);
        let cached = self
            .beyond
            .take()
            .filter(|(endpoint, _)| endpoint == primary);
        let mut warm = cached.map(|(_, line)| line);
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("replication");
        let within = self.settings.answer_within;
        let values = super::ask(&mut warm, &dial, &pipe, within)
            .await
            .map_err(|trouble| trouble.about(primary, "to say how far it has got"))?;
        self.beyond = warm.map(|line| (primary.clone(), line));
        let theirs = replication(&Answers::new(&["INFO replication"], values), 0)?;
        if theirs.upstream.is_some() {
            return Err(DriverError::Refused {
                what: format!("to follow {primary}"),
                answer: "it is a replica itself, not promoted yet".to_owned(),
            });
        }
        Ok(theirs)
    }

    /// Saves what there is beyond the fork, or counts it where it is to be held.
    async fn tail(
        &mut self,
        own: Own,
        epoch: Epoch,
        primary: &Endpoint,
        fork: Option<u64>,
    ) -> Result<Tail, DriverError> {
        let empty = own.empty;
        let own = self.as_source(own.replication).await?;
        let reaches = |fork: u64| {
            own.backlog_from
                .is_some_and(|from| from <= fork.saturating_add(1))
        };
        if empty && !fork.is_some_and(reaches) {
            return Ok(Tail::nothing());
        }
        let stem = format!("{}.epoch-{epoch}.{}", self.service, own.track.history);
        let saves = self.settings.on_diverged == OnDiverged::SaveAndResync;
        let wanted = Wanted {
            fork,
            to: own.track.offset,
            backlog_from: own.backlog_from,
            stem: saves.then(|| self.settings.save_dir.join(stem)),
            history: own.track.history,
        };
        let tail = self.saving.tail(&self.dial, wanted, SAVE_PATIENCE).await?;
        let matters = tail.counted.is_none_or(|counted| counted.changes > 0);
        if !saves && matters {
            return Err(self.held(primary, &tail));
        }
        Ok(tail)
    }

    /// A replica without a link answers nobody who asks for its stream. As a primary it does, and takes
    /// no writes all the same: it is fenced.
    async fn as_source(&mut self, own: Replication) -> Result<Replication, DriverError> {
        const WORDS: &[&str] = &["REPLICAOF NO ONE", "INFO replication"];
        if own.upstream.is_none() {
            return Ok(own);
        }
        let mut pipe = Pipeline::new();
        pipe.cmd("REPLICAOF").arg("NO").arg("ONE");
        pipe.cmd("INFO").arg("replication");
        let answers = self.told(WORDS, &pipe).await?;
        answers.all_done()?;
        replication(&answers, 1)
    }

    fn held(&self, primary: &Endpoint, tail: &Tail) -> DriverError {
        let (host, port) = host_and_port(primary);
        let what = match tail.counted {
            Some(counted) => format!("{} changes ({} bytes)", counted.changes, tail.bytes),
            None => "data of another history".to_owned(),
        };
        DriverError::Held(format!(
            "{} has {what} that {primary} lacks, and on_diverged is \"hold\": copy what is wanted, \
             then discard it with REPLICAOF {host} {port}, or set on_diverged = \"save-and-resync\"",
            self.dial.endpoint
        ))
    }

    async fn attach(&mut self, primary: &Endpoint) -> Result<(), DriverError> {
        let mut pipe = Pipeline::new();
        let mut set = |name: &str, value: &str| {
            pipe.cmd("CONFIG").arg("SET").arg(name).arg(value);
        };
        let (user, secret) = self.replica_login();
        set("masteruser", &user);
        set("masterauth", &secret);
        let (own_host, own_port) = host_and_port(&self.announced);
        set("replica-announce-ip", &own_host);
        set("replica-announce-port", &own_port.to_string());
        let (host, port) = host_and_port(primary);
        pipe.cmd("REPLICAOF").arg(&host).arg(port);
        // Writers that a quiescence holds back are told now that this is a replica.
        pipe.cmd("CLIENT").arg("UNPAUSE");
        let answers = self.told(&["REPLICAOF"], &pipe).await?;
        answers.all_done()?;
        self.quiesced_until = None;
        // A link that is not up by then is seen by the next observation.
        let _ = timeout(self.settings.link_within, self.link(&host, port)).await;
        Ok(())
    }

    /// Waits for the link, and makes another attempt when one has failed.
    async fn link(&mut self, host: &str, port: u16) -> Result<(), DriverError> {
        let began = Instant::now();
        let mut tried = began;
        loop {
            match self.link_state().await?.as_str() {
                // All data is being sent; that takes as long as it takes.
                "connected" | "sync" => return Ok(()),
                "connect" if tried.elapsed() >= KICK_AFTER => {
                    let mut pipe = Pipeline::new();
                    pipe.cmd("REPLICAOF").arg(NOWHERE.0).arg(NOWHERE.1);
                    pipe.cmd("REPLICAOF").arg(host).arg(port);
                    self.told(&["REPLICAOF nowhere", "REPLICAOF"], &pipe)
                        .await?;
                    tried = Instant::now();
                }
                _ => {}
            }
            if began.elapsed() > LOOK_AT_ONCE_FOR {
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

fn said_of(tail: &Tail) -> String {
    match (&tail.path, tail.counted) {
        (Some(path), Some(counted)) => format!(
            "{} changes ({} bytes) saved to {}",
            counted.changes,
            tail.bytes,
            path.display()
        ),
        (Some(path), None) => {
            format!(
                "all its data ({} bytes) saved to {}",
                tail.bytes,
                path.display()
            )
        }
        (None, _) => "it has nothing of its own but signs of life".to_owned(),
    }
}
