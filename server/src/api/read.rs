//! Reads: when the state may be read, and how old it is.
//!
//! A linearizable read asks consensus for the read index (the leader confirms with a quorum that it
//! still leads), waits until that much is applied, and then reads. The same confirmation tells the age
//! of a local read: everything that was committed when the last successful confirmation *began* is
//! in the state, so the state is at most as old as that beginning.

use super::refusal;
use crate::consensus::Consensus;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tenure_core::State;
use tenure_proto::v1;
use tonic::Status;

/// How often the age is refreshed when no linearizable read does so by the way.
const REFRESH_EVERY: Duration = Duration::from_millis(100);

/// How long a read waits for the quorum and for its own state to follow.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Reads of the state with a known consistency.
#[derive(Clone)]
pub(super) struct Reads {
    consensus: Consensus,
    freshness: Arc<Freshness>,
}

/// When the state was last known to be current, as microseconds after `origin`; 0 for never.
struct Freshness {
    origin: Instant,
    current_at: AtomicU64,
}

impl Freshness {
    fn confirm(&self, began: Instant) {
        let at = u64::try_from(began.duration_since(self.origin).as_micros()).unwrap_or(u64::MAX);
        self.current_at.fetch_max(at, Ordering::AcqRel);
    }

    fn age(&self) -> Option<Duration> {
        match self.current_at.load(Ordering::Acquire) {
            0 => None,
            at => Some(
                self.origin
                    .elapsed()
                    .saturating_sub(Duration::from_micros(at)),
            ),
        }
    }
}

impl Reads {
    pub(super) fn start(consensus: Consensus) -> Self {
        let freshness = Arc::new(Freshness {
            origin: Instant::now(),
            current_at: AtomicU64::new(0),
        });
        let reads = Self {
            consensus,
            freshness,
        };
        tokio::spawn(refresh(reads.clone()));
        reads
    }

    /// Reads with the consistency that the caller names, linearizable when it names none.
    pub(super) async fn read<R>(
        &self,
        consistency: Option<v1::Consistency>,
        read: impl FnOnce(&State) -> R,
    ) -> Result<(v1::Header, R), Status> {
        let age = match consistency.and_then(|c| c.local_max_age_ms) {
            None => {
                self.catch_up().await?;
                Duration::ZERO
            }
            Some(max) => self.young_enough(max)?,
        };
        Ok(self.now(age, read))
    }

    /// Waits until everything committed before the call is in the state.
    async fn catch_up(&self) -> Result<(), Status> {
        let began = Instant::now();
        let confirmed = async {
            let index = self.consensus.read_index().await.map_err(refusal::read)?;
            self.consensus.reader().wait_applied(index).await;
            Ok::<(), Status>(())
        };
        match tokio::time::timeout(READ_WITHIN, confirmed).await {
            Ok(result) => result?,
            Err(_) => return Err(refusal::no_quorum("no confirmation within 2 s")),
        }
        self.freshness.confirm(began);
        Ok(())
    }

    /// Reads what is there, with its age; [`Duration::MAX`] when it was never known to be current.
    pub(super) fn now<R>(&self, age: Duration, read: impl FnOnce(&State) -> R) -> (v1::Header, R) {
        let (revision, value) = self
            .consensus
            .reader()
            .read(|state| (state.revision().0, read(state)));
        (self.header(revision, age), value)
    }

    /// The header of an answer at `revision`.
    pub(super) fn header(&self, revision: u64, age: Duration) -> v1::Header {
        v1::Header {
            revision,
            age_ms: whole_ms(age),
            server: self.consensus.id().0,
        }
    }

    /// The age of this server's state.
    pub(super) fn age(&self) -> Duration {
        self.freshness.age().unwrap_or(Duration::MAX)
    }

    fn young_enough(&self, max_ms: u64) -> Result<Duration, Status> {
        let age = self.age();
        if whole_ms(age) <= max_ms {
            Ok(age)
        } else {
            Err(refusal::too_stale(
                whole_ms(age),
                max_ms,
                self.consensus.leader(),
            ))
        }
    }
}

/// Rounds up: an answer is never older than its header says.
fn whole_ms(age: Duration) -> u64 {
    u64::try_from(age.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Ends when the server is shutting down and its handle is the last one that consensus refuses.
async fn refresh(reads: Reads) {
    let mut tick = tokio::time::interval(REFRESH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !reads.consensus.is_shutting_down() {
        tick.tick().await;
        if reads.age() >= REFRESH_EVERY
            && let Err(status) = reads.catch_up().await
        {
            tracing::debug!(
                why = status.message(),
                "age of local reads was not refreshed"
            );
        }
    }
}
