//! Watches: a snapshot, then every change, pulled from the ring as fast as the watcher reads.
//!
//! A watcher owns nothing but a cursor and one page: what it has not read yet lies in the ring, which all
//! share, and when it falls behind that, it is told so and starts over. Records are state, not
//! history: of several changes of one record only the latest is sent.

use super::{discovery::PAGE_RECORDS, read::Reads};
use crate::consensus::Consensus;
use futures::{Stream, stream};
use std::{collections::BTreeMap, time::Duration};
use tenure_core::{Batch, Compacted, Event, Filter, Key, Record, Revision};
use tenure_proto::v1::{self, watch_response::Kind};
use tenure_storage::StateReader;
use tokio::sync::watch;
use tonic::Status;

/// How long nothing is sent before a sign of progress is: silence then means a broken connection.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Revisions that are merged into one message at the most.
const BATCHES_AT_ONCE: usize = 256;

/// Where a watcher stands.
enum Stage {
    /// Sending a snapshot: it began at this revision and is sent up to this key.
    Snapshot { began: Revision, sent: Option<Key> },
    /// Has everything up to this revision.
    Following(Revision),
    /// Was told that it fell behind.
    Compacted,
}

pub(super) struct Watcher {
    reader: StateReader,
    progress: watch::Receiver<tenure_storage::Progress>,
    reads: Reads,
    filter: Filter,
    stage: Stage,
}

impl Watcher {
    /// A watcher that resumes after a revision, or starts with a snapshot.
    pub(super) fn new(
        consensus: &Consensus,
        reads: Reads,
        filter: Filter,
        after: Option<u64>,
    ) -> Self {
        let reader = consensus.reader().clone();
        let progress = reader.progress();
        let stage = match after {
            Some(revision) => Stage::Following(Revision(revision)),
            None => Stage::begin(&reader),
        };
        Self { reader, progress, reads, filter, stage }
    }

    /// The answers, each made when the connection has room for it.
    pub(super) fn answers(self) -> impl Stream<Item = Result<v1::WatchResponse, Status>> + Send {
        stream::unfold(self, |mut watcher| async move {
            let answer = watcher.next().await?;
            Some((Ok(answer), watcher))
        })
    }

    /// The next message; None when the server is going away.
    async fn next(&mut self) -> Option<v1::WatchResponse> {
        match std::mem::replace(&mut self.stage, Stage::Compacted) {
            Stage::Compacted => {
                self.stage = Stage::begin(&self.reader);
                Box::pin(self.next()).await
            }
            Stage::Snapshot { began, sent } => Some(self.snapshot_part(began, sent)),
            Stage::Following(cursor) => self.follow(cursor).await,
        }
    }

    /// Sends the page after `sent`. Records change while pages are sent; the last part brings the
    /// picture up to date by what the ring says has changed since the snapshot began.
    fn snapshot_part(&mut self, began: Revision, sent: Option<Key>) -> v1::WatchResponse {
        let first = sent.is_none();
        let (revision, page, changed) = self.reader.read_with_events(began, |state| {
            (state.revision(), state.page(&self.filter, sent.as_ref(), PAGE_RECORDS))
        });
        let changed = match changed {
            Ok(batches) => batches,
            Err(compacted) => return self.fell_behind(compacted),
        };
        if page.len() == PAGE_RECORDS {
            self.stage = Stage::Snapshot { began, sent: page.last().map(Record::key) };
            let records = records(page.iter());
            let part = v1::watch_response::Snapshot { records, first, last: false, gone: vec![] };
            return self.answer(began, Kind::Snapshot(part));
        }
        let mut latest: BTreeMap<Key, Record> =
            page.into_iter().map(|record| (record.key(), record)).collect();
        let mut gone = Vec::new();
        for (key, after) in self.merge(&changed) {
            match after {
                Some(record) => drop(latest.insert(key, record)),
                None => gone.extend(v1::Key::try_from(&key)),
            }
        }
        self.stage = Stage::Following(revision);
        let records = records(latest.values());
        let part = v1::watch_response::Snapshot { records, first, last: true, gone };
        self.answer(revision, Kind::Snapshot(part))
    }

    /// Waits for changes after `cursor`, or until it is time for a sign of progress. A cursor ahead of
    /// this server (the watcher came from another one) waits until the server has caught up: a watch
    /// never goes backwards.
    async fn follow(&mut self, mut cursor: Revision) -> Option<v1::WatchResponse> {
        let quiet = tokio::time::sleep(PROGRESS_EVERY);
        tokio::pin!(quiet);
        loop {
            self.progress.borrow_and_update();
            let batches = match self.reader.events_after(cursor, BATCHES_AT_ONCE) {
                Ok(batches) => batches,
                Err(compacted) => return Some(self.fell_behind(compacted)),
            };
            if let Some(last) = batches.last() {
                cursor = last.revision;
                let merged = self.merge(&batches);
                if !merged.is_empty() {
                    self.stage = Stage::Following(cursor);
                    let events = merged.into_iter().filter_map(event).collect();
                    let changes = v1::watch_response::Changes { events };
                    return Some(self.answer(cursor, Kind::Changes(changes)));
                }
                continue;
            }
            tokio::select! {
                changed = self.progress.changed() => changed.ok()?,
                () = &mut quiet => {
                    self.stage = Stage::Following(cursor);
                    let progress = v1::watch_response::Progress {};
                    return Some(self.answer(cursor, Kind::Progress(progress)));
                }
            }
        }
    }

    fn fell_behind(&mut self, compacted: Compacted) -> v1::WatchResponse {
        self.stage = Stage::Compacted;
        let oldest = compacted.oldest.0;
        self.answer(compacted.oldest, Kind::Compacted(v1::watch_response::Compacted { oldest }))
    }

    /// The latest value of every wanted record that changed.
    fn merge(&self, batches: &[Batch]) -> BTreeMap<Key, Option<Record>> {
        let all = batches.iter().flat_map(|batch| batch.events.iter());
        all.filter(|event| self.filter.wants(&event.key))
            .map(|Event { key, after }| (key.clone(), after.clone()))
            .collect()
    }

    fn answer(&self, revision: Revision, kind: Kind) -> v1::WatchResponse {
        let header = Some(self.reads.header(revision.0, self.reads.age()));
        v1::WatchResponse { header, kind: Some(kind) }
    }
}

impl Stage {
    fn begin(reader: &StateReader) -> Self {
        Self::Snapshot { began: reader.read(|state| state.revision()), sent: None }
    }
}

fn event((key, after): (Key, Option<Record>)) -> Option<v1::watch_response::Event> {
    v1::watch_response::Event::try_from(&Event { key, after }).ok()
}

/// The records as they are sent. A filter wants none that have no place on the wire.
pub(super) fn records<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<v1::Record> {
    records.filter_map(|record| v1::Record::try_from(record).ok()).collect()
}
