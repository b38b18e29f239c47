//! Reading the log beside its store.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use openraft::{OptionalSend, RaftLogReader};

use crate::types::{Entry, LogId, TypeConfig, Vote};
use crate::wal::{LogError, Shared};
use crate::work;

/// How many bytes of entries are handed out at once where the caller leaves it open.
const READ_BYTES: usize = 1 << 20;

/// Reads the log beside its store, as many at a time as there are followers.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> LogReader {
        LogReader { shared }
    }

    async fn read(&self, range: Range<u64>, limit: usize) -> Result<Vec<Entry>, io::Error> {
        self.shared.check()?;
        let (runs, warm) = self.shared.find(range, limit);
        if runs.is_empty() {
            return Ok(warm);
        }
        // A read may wait for the disk, which must not hold up the caller's thread.
        let read = work::beside(move || {
            let mut entries = Vec::new();
            for run in runs {
                run.read(&mut entries)?;
            }
            entries.extend(warm);
            Ok::<_, LogError>(entries)
        });
        Ok(read.await.map_err(io::Error::other)??)
    }
}

fn indexes(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(indexes(&range), usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.vote())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, READ_BYTES).await
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = (self.clone(), indexes(&range));
        let pieces = stream::unfold(state, |(reader, range)| async move {
            if range.is_empty() {
                return None;
            }
            match reader.read(range.clone(), READ_BYTES).await {
                Ok(entries) => {
                    let start = entries.last()?.log_id.index + 1;
                    let items: Vec<_> = entries.into_iter().map(Ok).collect();
                    Some((stream::iter(items), (reader, start..range.end)))
                }
                Err(e) => Some((stream::iter(vec![Err(e)]), (reader, 0..0))),
            }
        });
        Box::pin(pieces.flatten())
    }

    async fn get_key_log_ids(
        &mut self,
        range: RangeInclusive<LogId>,
    ) -> Result<Vec<LogId>, io::Error> {
        let (first, last) = range.into_inner();
        Ok(self
            .shared
            .with_index(|index| index.last_of_each_term(first, last)))
    }
}
