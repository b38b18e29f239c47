//! Reading the state from outside of consensus.

use std::sync::Arc;

use tenure_core::{Batch, Compacted, Digest, LogIndex, Record, Revision, State};
use tokio::sync::watch;

use crate::format::{encode_key, encode_record};
use crate::state_machine::Shared;
use crate::types::StoredMembership;

/// How far the state has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The last entry applied.
    pub applied: LogIndex,
    /// The last one that changed visible state.
    pub revision: Revision,
}

/// A digest of all records, equal on servers that stand at the same entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDigest {
    /// The last entry applied.
    pub applied: LogIndex,
    /// The state's revision.
    pub revision: Revision,
    /// Over the encoded rows in key order.
    pub digest: Digest,
}

/// Reads the state of this server: local, and as old as it may be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StateReader {
    shared: Arc<Shared>,
}

impl StateReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads the state. Nothing is applied meanwhile: clone what is needed (records are shared) and
    /// work on it afterwards.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.shared.read(|live| read(&live.state))
    }

    /// Follows how far the state has got; several steps may be told as one.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Returns when the entry at `index` is applied, at once when it is already. Wrap it in a timeout:
    /// it waits as long as it takes.
    pub async fn wait_applied(&self, index: LogIndex) -> Progress {
        let mut progress = self.progress();
        let reached = progress
            .wait_for(|progress| progress.applied >= index)
            .await
            .map(|progress| *progress);
        reached.expect("this reader holds the sender")
    }

    /// Up to `max` batches of events after a revision, in order; none when there is nothing newer.
    ///
    /// # Errors
    /// [`Compacted`] when some are no longer kept: begin anew with the state.
    pub fn events_after(&self, revision: Revision, max: usize) -> Result<Vec<Batch>, Compacted> {
        self.shared.read(|live| live.ring.after(revision, max))
    }

    /// The last membership applied.
    #[must_use]
    pub fn membership(&self) -> StoredMembership {
        self.shared.read(|live| live.membership.clone())
    }

    /// A digest of all records. Takes about a second for a million of them, most of it without holding
    /// anything up; call it where blocking a thread is allowed.
    #[must_use]
    pub fn digest(&self) -> StateDigest {
        let (applied, revision, records) = self.read(|state| {
            let records: Vec<Record> = state.records().collect();
            (state.applied(), state.revision(), records)
        });
        let mut digest = Digest::new();
        for record in &records {
            digest.update(&encode_key(&record.key()));
            digest.update(&encode_record(record));
        }
        StateDigest {
            applied,
            revision,
            digest,
        }
    }
}
