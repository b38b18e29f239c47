//! Promotion, detaching, pausing, and saying how far the instance has got.

use std::time::Duration;

use redis::{Pipeline, Value};
use tenure_core::agent::Feat;
use tenure_core::{Endpoint, Epoch, Millis};
use tokio::time::{Instant, timeout};

use super::answer::{Answers, text};
use super::info::{Process, Replication};
use super::{DriverError, Given, NOWHERE, Redis};

/// How long the primary may take to answer whether it is there.
const SEES_WITHIN: Duration = Duration::from_millis(150);

/// The section of `INFO` that stands at an index of the answers.
pub(super) fn replication(answers: &Answers, index: usize) -> Result<Replication, DriverError> {
    Replication::read(&answers.text(index)?)
        .ok_or_else(|| answers.unreadable(index, "the section \"replication\""))
}

impl Redis {
    /// One round trip: what is left to do when it returns is nothing.
    pub(super) async fn promote(&mut self, epoch: Epoch, acks: u32) -> Result<Feat, DriverError> {
        const WORDS: &[&str] = &[
            "CONFIG SET min-replicas-max-lag",
            "CONFIG SET min-replicas-to-write",
            "REPLICAOF NO ONE",
            "CLIENT UNPAUSE",
            "ROLE",
        ];
        self.is_as_seen().await?;
        // Whoever may be attached is said anew to each primary.
        self.permits = None;
        self.saving.forget();
        self.remember(Given::Primary);
        let mut pipe = Pipeline::new();
        self.add_acks(&mut pipe, &acks.to_string());
        pipe.cmd("REPLICAOF").arg("NO").arg("ONE");
        pipe.cmd("CLIENT").arg("UNPAUSE");
        pipe.cmd("ROLE");
        let answers = self.told_the_same(WORDS, &pipe).await?;
        answers.all_done()?;
        let role = answers.get(4)?.as_sequence().and_then(<[Value]>::first);
        let role = role.and_then(text);
        if role.as_deref() != Some("master") {
            return Err(DriverError::Refused {
                what: "REPLICAOF NO ONE".to_owned(),
                answer: format!("its role is {role:?} afterwards"),
            });
        }
        self.epoch = epoch;
        self.fence_due = false;
        self.quiesced_until = None;
        self.beside().probe.turn(Some(epoch));
        Ok(Feat::Done)
    }

    /// How many replicas a write needs, and how recently they must have been heard: without the
    /// second, Redis ignores the first.
    pub(super) fn add_acks(&self, pipe: &mut Pipeline, acks: &str) {
        let lag = self.settings.min_replicas_max_lag;
        let mut set = |name: &str, value: &str| {
            pipe.cmd("CONFIG").arg("SET").arg(name).arg(value);
        };
        set("min-replicas-max-lag", &lag.to_string());
        set("min-replicas-to-write", acks);
    }

    pub(super) async fn detach(&mut self) -> Result<Feat, DriverError> {
        const WORDS: &[&str] = &["REPLICAOF nowhere", "INFO replication"];
        let own = self.is_as_seen().await?;
        // A primary follows nobody; as a replica of nowhere it would look like one that may discard.
        if own.upstream.is_none() {
            return Ok(Feat::At(own.position(self.was_primary())));
        }
        let mut pipe = Pipeline::new();
        pipe.cmd("REPLICAOF").arg(NOWHERE.0).arg(NOWHERE.1);
        pipe.cmd("INFO").arg("replication");
        let answers = self.told_the_same(WORDS, &pipe).await?;
        answers.all_done()?;
        Ok(Feat::At(
            replication(&answers, 1)?.position(self.was_primary()),
        ))
    }

    pub(super) async fn quiesce(&mut self, lasting: Millis) -> Result<Feat, DriverError> {
        const WORDS: &[&str] = &["CLIENT PAUSE", "INFO replication"];
        let mut pipe = Pipeline::new();
        pipe.cmd("CLIENT").arg("PAUSE").arg(lasting.0).arg("WRITE");
        pipe.cmd("INFO").arg("replication");
        // From before it is asked: the probe's write may be held from then on.
        self.quiesced_until = Some(Instant::now() + Duration::from_millis(lasting.0));
        let answers = self.told(WORDS, &pipe).await?;
        answers.all_done()?;
        let own = replication(&answers, 1)?;
        if own.upstream.is_some() {
            self.resume().await?;
            return Err(DriverError::Refused {
                what: "to hold writes back".to_owned(),
                answer: "it is a replica".to_owned(),
            });
        }
        Ok(Feat::At(own.position(self.was_primary())))
    }

    pub(super) async fn resume(&mut self) -> Result<Feat, DriverError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("CLIENT").arg("UNPAUSE");
        self.told(&["CLIENT UNPAUSE"], &pipe).await?.all_done()?;
        self.quiesced_until = None;
        self.beside().probe.forgive();
        Ok(Feat::Done)
    }

    pub(super) async fn measure(&mut self) -> Result<Feat, DriverError> {
        let own = self.is_as_seen().await?;
        Ok(Feat::At(own.position(self.was_primary())))
    }

    /// Makes sure that the process is the one that was seen last, and says how far it has got.
    async fn is_as_seen(&mut self) -> Result<Replication, DriverError> {
        const WORDS: &[&str] = &["INFO server", "INFO replication"];
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("server");
        pipe.cmd("INFO").arg("replication");
        let answers = self.told(WORDS, &pipe).await?;
        let there = Process::read(&answers.text(0)?).run;
        match &self.run {
            Some(seen) if *seen != there => Err(DriverError::Refused {
                what: "to go by what was seen of the process".to_owned(),
                answer: format!("it was run {seen}, and now run {there} answers, started anew"),
            }),
            Some(_) | None => replication(&answers, 1),
        }
    }

    /// Whether the primary answers. A process that was stopped still accepts connections, so only an
    /// answer counts; any does.
    pub(super) async fn sees(&mut self, primary: &Endpoint) -> bool {
        let cached = self
            .beyond
            .take()
            .filter(|(endpoint, line)| endpoint == primary && !line.is_closed());
        let dial = self.dial.to(primary);
        let mut pipe = Pipeline::new();
        pipe.cmd("PING");
        let mut warm = cached.map(|(_, line)| line);
        let asking = super::ask(&mut warm, &dial, &pipe, SEES_WITHIN);
        let answered = matches!(timeout(SEES_WITHIN, asking).await, Ok(Ok(_)));
        self.beyond = warm.map(|line| (primary.clone(), line));
        answered
    }
}
