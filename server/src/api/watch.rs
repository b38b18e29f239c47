//! Watches: a snapshot, then every change, pulled from the ring as fast as the watcher reads.
//!
//! A watcher owns a cursor and at most one portion that is being sent: what it has not read yet lies in
//! the ring, which all share, and when it falls behind that, it is told so and starts over. Records
//! are state, not history: of several changes of one record only the latest is sent.

use super::{
    portion::{Portion, Purpose},
    read::Reads,
};
use crate::consensus::Consensus;
use futures::{Stream, stream};
use std::{collections::BTreeMap, time::Duration};
use tenure_core::{Batch, Compacted, Event, Filter, Key, Record, Revision};
use tenure_proto::v1::{self, watch_response::Kind};
use tenure_storage::state_reader::{Progress, StateReader};
use tokio::sync::watch;
use tonic::Status;

/// How long nothing is sent before a sign of progress is: silence then means a broken connection.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Records in one page of a snapshot.
const PAGE_RECORDS: usize = 512;

/// Events that are merged into one portion, one revision more or less.
const PORTION_EVENTS: usize = 4_096;

/// Where a watcher stands once its portion is sent.
enum Stage {
    /// Has the snapshot's pages up to this key. Records change while pages are sent, so that
    /// the tail begins at the revision at which the first page was read.
    Pages { began: Revision, sent: Option<Key> },
    /// Has all pages, and what changed since they began up to this revision.
    Tail(Revision),
    /// Has everything up to this revision.
    Following(Revision),
    /// Was told that it fell behind.
    Compacted,
}

pub(super) struct Watcher {
    consensus: Consensus,
    reader: StateReader,
    progress: watch::Receiver<Progress>,
    reads: Reads,
    filter: Filter,
    stage: Stage,
    portion: Option<Portion>,
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
        let stage = after.map_or(Stage::Compacted, |revision| {
            Stage::Following(Revision(revision))
        });
        Self {
            consensus: consensus.clone(),
            reader,
            progress,
            reads,
            filter,
            stage,
            portion: None,
        }
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
        loop {
            if let Some(portion) = &mut self.portion {
                let (revision, kind, finished) = portion.next_message();
                if finished {
                    self.portion = None;
                }
                return Some(self.answer(revision, kind));
            }
            match &self.stage {
                Stage::Compacted => {
                    let began = self.reader.read(|state| state.revision());
                    self.stage = Stage::Pages { began, sent: None };
                }
                Stage::Pages { began, sent } => {
                    let (began, sent) = (*began, sent.clone());
                    self.take_page(began, sent);
                }
                Stage::Tail(cursor) => {
                    if let Err(compacted) = self.take_tail(*cursor) {
                        return Some(self.fell_behind(compacted));
                    }
                }
                Stage::Following(cursor) => return self.follow(*cursor).await,
            }
        }
    }

    fn take_page(&mut self, began: Revision, sent: Option<Key>) {
        let first = sent.is_none();
        let page = self
            .reader
            .read(|state| state.page(&self.filter, sent.as_ref(), PAGE_RECORDS));
        self.stage = match page.last().map(Record::key) {
            Some(last) if page.len() == PAGE_RECORDS => Stage::Pages {
                began,
                sent: Some(last),
            },
            Some(_) | None => Stage::Tail(began),
        };
        let records = page
            .into_iter()
            .map(|record| (record.key(), Some(record)))
            .collect();
        self.portion = Some(Portion::new(
            Purpose::Snapshot { first, last: false },
            began,
            records,
        ));
    }

    /// Takes what changed after `cursor`, the last part of the snapshot when that reaches the present.
    fn take_tail(&mut self, cursor: Revision) -> Result<(), Compacted> {
        let batches = self.reader.events_after(cursor, PORTION_EVENTS)?;
        let (batches, all) = portion_of(&batches);
        let reached = batches.last().map_or(cursor, |batch| batch.revision);
        self.stage = if all {
            Stage::Following(reached)
        } else {
            Stage::Tail(reached)
        };
        let purpose = Purpose::Snapshot {
            first: false,
            last: all,
        };
        self.portion = Some(Portion::new(purpose, reached, self.merge(batches)));
        Ok(())
    }

    /// Waits for changes after `cursor`, or until it is time for a sign of progress. A cursor ahead of
    /// this server (the watcher came from another one) waits until the server has caught up: a watch
    /// never goes backwards.
    async fn follow(&mut self, mut cursor: Revision) -> Option<v1::WatchResponse> {
        let quiet = tokio::time::sleep(PROGRESS_EVERY);
        tokio::pin!(quiet);
        loop {
            self.progress.borrow_and_update();
            let batches = match self.reader.events_after(cursor, PORTION_EVENTS) {
                Ok(batches) => batches,
                Err(compacted) => return Some(self.fell_behind(compacted)),
            };
            if !batches.is_empty() {
                let (batches, _) = portion_of(&batches);
                cursor = batches.last().map_or(cursor, |batch| batch.revision);
                let merged = self.merge(batches);
                if merged.is_empty() {
                    continue;
                }
                self.stage = Stage::Following(cursor);
                let mut portion = Portion::new(Purpose::Changes, cursor, merged);
                let (revision, kind, finished) = portion.next_message();
                self.portion = (!finished).then_some(portion);
                return Some(self.answer(revision, kind));
            }
            tokio::select! {
                () = self.consensus.closed() => return None,
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
        self.answer(
            compacted.oldest,
            Kind::Compacted(v1::watch_response::Compacted { oldest }),
        )
    }

    /// The latest value of every wanted record that changed.
    fn merge(&self, batches: &[Batch]) -> Vec<(Key, Option<Record>)> {
        let all = batches.iter().flat_map(|batch| batch.events.iter());
        let wanted = all.filter(|event| self.filter.wants(&event.key));
        let latest: BTreeMap<Key, Option<Record>> = wanted
            .map(|Event { key, after }| (key.clone(), after.clone()))
            .collect();
        latest.into_iter().collect()
    }

    fn answer(&self, revision: Revision, kind: Kind) -> v1::WatchResponse {
        let header = Some(self.reads.header(revision.0, self.reads.age()));
        v1::WatchResponse {
            header,
            kind: Some(kind),
        }
    }
}

/// As many whole batches as make one portion, at least one; and whether these are all.
fn portion_of(batches: &[Batch]) -> (&[Batch], bool) {
    let mut events = 0;
    let mut taken = 0;
    for batch in batches {
        events += batch.events.len();
        if taken > 0 && events > PORTION_EVENTS {
            break;
        }
        taken += 1;
    }
    (
        &batches[..taken],
        taken == batches.len() && taken < PORTION_EVENTS,
    )
}
