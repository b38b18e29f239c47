//! Holding writes back for a while: clients wait instead of failing.
//!
//! The global read lock is held by a connection of its own. It goes with that connection: when its time is
//! over, or when the agent ends, the instance takes writes again by itself.

use std::time::Duration;

use tenure_core::Millis;
use tenure_core::agent::Feat;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::dialect::Dialect;
use super::line::{Line, Trouble};
use super::{DriverError, Mysql};

/// A pause: the read lock, until somebody asks for the connection that holds it, or its time is over.
#[derive(Debug)]
pub(super) struct Pause {
    give_back: oneshot::Sender<()>,
    holding: JoinHandle<Option<Line>>,
}

impl Pause {
    fn new(line: Line, until: Instant) -> Self {
        let (give_back, asked) = oneshot::channel();
        let holding = tokio::spawn(async move {
            tokio::select! {
                biased;
                // Whoever forgets the pause ends it as well.
                asked = asked => asked.ok().map(|()| line),
                () = sleep_until(until) => None,
            }
        });
        Self { give_back, holding }
    }

    /// The connection that holds the lock, with the lock; None when its time was over.
    pub(super) async fn take(self) -> Option<Line> {
        // Nobody listens when its time is over.
        let _over = self.give_back.send(());
        self.holding.await.ok().flatten()
    }
}

impl Mysql {
    pub(super) async fn quiesce(&mut self, lasting: Millis) -> Result<Feat, DriverError> {
        let (dialect, own) = self.is_as_seen().await?;
        if own.replica.is_some() && !self.was_primary() {
            return Err(DriverError::Refused {
                what: "to hold writes back".to_owned(),
                answer: "it is a replica".to_owned(),
            });
        }
        self.hold_writes(Duration::from_millis(lasting.0)).await?;
        let own = self.replication(dialect).await?;
        let lineage = self.lineage().await?;
        Ok(Feat::At(self.position(&own, &lineage)))
    }

    /// Holds writes back for so long at most.
    pub(super) async fn hold_writes(&mut self, lasting: Duration) -> Result<(), DriverError> {
        let until = Instant::now() + lasting;
        self.pause = None;
        // From before it is asked: the probe's write may be held from then on.
        self.quiesced_until = Some(until);
        let about = |trouble: Trouble| trouble.about(&self.dial.endpoint, "to hold writes back");
        let mut line = self.dial.line().await.map_err(about)?;
        // What waits behind a long statement holds everybody up: it is given up before the pause is over.
        let within = (lasting / 2).max(self.settings.answer_within.min(lasting));
        let locked = line.ask("FLUSH TABLES WITH READ LOCK", within).await;
        if let Err(trouble) = locked {
            let error = trouble.about(&self.dial.endpoint, "FLUSH TABLES WITH READ LOCK");
            self.end_connection(u64::from(line.id())).await?;
            self.quiesced_until = None;
            return Err(error);
        }
        self.pause = Some(Pause::new(line, until));
        Ok(())
    }

    pub(super) async fn resume(&mut self) -> Result<Feat, DriverError> {
        if let Some(pause) = self.pause.take()
            && let Some(mut line) = pause.take().await
        {
            let within = self.settings.answer_within;
            // The lock goes with the connection, too.
            let _ = line.ask("UNLOCK TABLES", within).await;
        }
        self.quiesced_until = None;
        self.beside().probe.forgive();
        Ok(Feat::Done)
    }

    /// Turns a pause into a fence, without a moment in between: under the lock it is made read-only.
    /// Gives whether that was done.
    pub(super) async fn close_under_pause(&mut self, dialect: Dialect) -> bool {
        let Some(pause) = self.pause.take() else {
            return false;
        };
        let Some(mut line) = pause.take().await else {
            return false;
        };
        let within = self.settings.fence_within;
        let text = format!("{}; UNLOCK TABLES", dialect.close());
        line.ask(&text, within).await.is_ok()
    }
}
