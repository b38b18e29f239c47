//! Taking over a primary that serves already, with replicas that somebody attached by an account of his own: none of
//! its writers is to notice more than a pause.
//!
//! Those replicas do not acknowledge. Were commits made to wait at once, one that waits could reach them as it did
//! before, and when they attach anew they have it already and never acknowledge it: it would wait for ever, and
//! everything behind it. So commits begin to wait while writes are held back, and those are let in again once a replica
//! is there that acknowledges. Until it is nobody but the primary counts as having anything.

use std::time::Duration;

use tokio::time::Instant;

use super::dialect::Dialect;
use super::status::SemiSync;
use super::{DriverError, Mysql};

/// For how long a primary serves without that its commits wait for replicas, when nobody says who these are.
const ALONE_FOR: Duration = Duration::from_secs(10);
/// For how long writes are held back until a replica is there that acknowledges.
const HELD_FOR: Duration = Duration::from_millis(1_500);

/// A primary that is being taken over.
#[derive(Debug)]
pub(super) struct Adoption {
    acks: u32,
    since: Instant,
    /// Whether commits wait for replicas already.
    waits: bool,
}

impl Mysql {
    /// Whether a primary that takes writes is somebody else's until now.
    pub(super) fn is_adopted(&self, acks: u32) -> bool {
        acks > 0 && self.given.is_none()
    }

    pub(super) fn adopt(&mut self, acks: u32) {
        self.adoption = Some(Adoption {
            acks,
            since: Instant::now(),
            waits: false,
        });
    }

    /// Has commits wait for replicas from here on, with no write under way. Nothing, when it does already.
    pub(super) async fn waits_for_replicas(&mut self, dialect: Dialect) -> Result<(), DriverError> {
        let Some(adoption) = self.adoption.as_ref().filter(|adoption| !adoption.waits) else {
            return Ok(());
        };
        let semi = dialect.semi_sync(adoption.acks);
        let is_over = adoption.since.elapsed() >= ALONE_FOR;
        match self.hold_writes(HELD_FOR).await {
            Err(error) if !is_over => return Err(error),
            // Better a commit that waits until it is found to be stuck than one that need not wait at all.
            Ok(()) | Err(_) => {}
        }
        self.told_the_same("to have commits wait for replicas", &semi)
            .await?;
        if let Some(adoption) = &mut self.adoption {
            adoption.waits = true;
        }
        Ok(())
    }

    /// Lets writes in again once a replica acknowledges. Gives whether commits need not wait yet.
    pub(super) async fn adopted(&mut self, dialect: Dialect, semi: &SemiSync) -> bool {
        let Some(adoption) = &self.adoption else {
            return false;
        };
        let (waits, elapsed) = (adoption.waits, adoption.since.elapsed());
        if !waits && elapsed < ALONE_FOR {
            return true;
        }
        if !waits && self.waits_for_replicas(dialect).await.is_err() {
            return false;
        }
        if semi.clients > 0 || self.quiesced_until.is_none_or(|it| Instant::now() >= it) {
            self.adoption = None;
            // It goes with its connection otherwise.
            let _ = self.resume().await;
        }
        true
    }
}
