//! The state machine: the state in memory, and how committed entries change it.
//!
//! Nothing is durable after `apply`: what was applied is in the log, and is applied again after a
//! restart to the image of the last checkpoint. After `build_snapshot` and `install_snapshot` the
//! image is durable, and the log before it is not needed any more.

use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tenure_core::{Envelope, Outcome};

use crate::format::decode_command;
use crate::image::ImageError;
use crate::snapshot::{self, ImageSnapshot, SnapshotData, SnapshotError};
use crate::types::{Entry, LogId, Membership, SnapshotMeta, StoredMembership, TypeConfig};
use crate::work;

mod live;

pub(crate) use live::Shared;

/// Entries that are applied under one lock of the state, at most.
const ENTRIES_AT_ONCE: usize = 512;

/// Items of which those entries speak, at most, unless it is one entry.
const ITEMS_AT_ONCE: usize = 8_192;

type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>;

/// The state machine that openraft drives. There is one per store.
#[derive(Debug)]
pub struct StateMachine {
    shared: Arc<Shared>,
}

/// One entry, understood.
pub(crate) struct Decoded {
    pub(crate) id: LogId,
    pub(crate) what: What,
}

/// What an entry asks for.
pub(crate) enum What {
    /// Nothing: a new leader's first entry.
    Blank,
    /// A command.
    Command(Box<Envelope>),
    /// A change of the servers.
    Membership(Membership),
}

impl StateMachine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn apply_batch(&self, batch: Vec<EntryResponder<TypeConfig>>) -> Result<(), io::Error> {
        let mut decoded = Vec::with_capacity(batch.len());
        let mut responders = Vec::with_capacity(batch.len());
        for (entry, responder) in batch {
            decoded.push(decode(entry)?);
            responders.push(responder);
        }
        let mut responders = responders.into_iter();
        for part in parts(decoded) {
            let count = part.len();
            let outcomes = self.shared.apply(part)?;
            respond(responders.by_ref().take(count).collect(), outcomes);
        }
        Ok(())
    }
}

/// Cuts entries so that those applied under one lock speak of a bounded number of items: readers wait meanwhile.
fn parts(entries: Vec<Decoded>) -> Vec<Vec<Decoded>> {
    let mut parts: Vec<Vec<Decoded>> = Vec::new();
    let mut weight = 0;
    for entry in entries {
        let items = match &entry.what {
            What::Command(envelope) => envelope.command.items(),
            What::Blank | What::Membership(_) => 0,
        };
        let fits = weight + items <= ITEMS_AT_ONCE;
        match parts.last_mut().filter(|_| fits) {
            Some(part) => {
                part.push(entry);
                weight += items;
            }
            None => {
                parts.push(vec![entry]);
                weight = items;
            }
        }
    }
    parts
}

fn respond(responders: Vec<Option<ApplyResponder<TypeConfig>>>, outcomes: Vec<Outcome>) {
    for (responder, outcome) in responders.into_iter().zip(outcomes) {
        if let Some(responder) = responder {
            responder.send(outcome);
        }
    }
}

/// An entry that cannot be read stops the server: skipped here, it would be applied elsewhere.
fn decode(entry: Entry) -> Result<Decoded, io::Error> {
    let id = entry.log_id;
    let what = match entry.payload {
        EntryPayload::Blank => What::Blank,
        EntryPayload::Normal(payload) => {
            let envelope = decode_command(&payload.0).map_err(|error| {
                let what = format!("entry {id} cannot be applied: {error}");
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            What::Command(Box::new(envelope))
        }
        EntryPayload::Membership(membership) => What::Membership(membership),
    };
    Ok(Decoded { id, what })
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok(self
            .shared
            .read(|live| (live.applied, live.membership.clone())))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batches = entries.ready_chunks(ENTRIES_AT_ONCE);
        while let Some(batch) = batches.next().await {
            self.apply_batch(batch.into_iter().collect::<Result<_, _>>()?)?;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<SnapshotBuilder> {
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            shared: self.shared.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let (shared, announced) = (self.shared.clone(), meta.clone());
        work::beside(move || install(&shared, announced, snapshot))
            .await
            .map_err(io::Error::other)??;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let current = ImageSnapshot::current(&self.shared.image);
        Ok(current.map(|snapshot| Snapshot {
            meta: snapshot.meta().snapshot(),
            snapshot: SnapshotData::Image(snapshot),
        }))
    }
}

fn install(
    shared: &Shared,
    announced: SnapshotMeta,
    snapshot: SnapshotData,
) -> Result<(), SnapshotError> {
    let received = snapshot::receive(&shared.image, snapshot)?;
    let found = received.meta.snapshot();
    if found != announced {
        return Err(SnapshotError::OtherThanAnnounced {
            found: Box::new(found),
            announced: Box::new(announced),
        });
    }
    let meta = received.meta;
    shared.image.adopt(received.stage, &meta, |state| {
        shared.replace(state, &meta);
    })?;
    Ok(())
}

/// Makes the checkpoints that openraft asks for.
#[derive(Debug)]
pub struct SnapshotBuilder {
    shared: Arc<Shared>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let shared = self.shared.clone();
        let meta = checkpoint(shared).await?;
        let snapshot = ImageSnapshot::new(&self.shared.image, meta);
        Ok(Snapshot {
            meta: snapshot.meta().snapshot(),
            snapshot: SnapshotData::Image(snapshot),
        })
    }
}

/// Makes the image durable as of what is applied now.
pub(crate) async fn checkpoint(shared: Arc<Shared>) -> Result<crate::format::Meta, ImageError> {
    shared.image.is_free().await;
    work::beside(move || shared.image.checkpoint(|| shared.take_changes()))
        .await
        .unwrap_or_else(|e| Err(ImageError::Poisoned(e.to_string())))
}
