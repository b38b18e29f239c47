//! What the writer, the store and its readers share.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::disk::DiskFile;
use super::error::LogError;
use super::index::Index;
use super::read::{Run, runs};
use crate::types::{Entry, LogId, Vote};

/// The log in memory.
#[derive(Debug)]
pub struct Shared {
    dir: PathBuf,
    memory: Mutex<Memory>,
    failed: OnceLock<LogError>,
    batches: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Memory {
    index: Index,
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// A committed position that is not in the file yet, and how many operations go before it.
    committed_waits: Option<(u64, Option<LogId>)>,
}

/// Figures of a log since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Batches written, each with one `fdatasync`.
    pub batches: u64,
    /// Bytes in these batches.
    pub bytes: u64,
    /// Entries kept.
    pub entries: usize,
    /// Of these, held in memory.
    pub cached: usize,
    /// What these cost, in bytes.
    pub cached_bytes: usize,
    /// Segment files.
    pub segments: usize,
}

impl Shared {
    /// Takes over what was loaded.
    pub fn new(
        dir: PathBuf,
        index: Index,
        files: BTreeMap<u32, Arc<dyn DiskFile>>,
        vote: Option<Vote>,
        committed: Option<LogId>,
    ) -> Shared {
        let memory = Memory {
            index,
            files,
            vote,
            committed,
            committed_waits: None,
        };
        Shared {
            dir,
            memory: Mutex::new(memory),
            failed: OnceLock::new(),
            batches: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Every change under this lock leaves the memory whole, also when a holder panics.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` on the index.
    pub fn with_index<T>(&self, f: impl FnOnce(&mut Index) -> T) -> T {
        f(&mut self.memory().index)
    }

    /// The last vote that is durable.
    pub fn vote(&self) -> Option<Vote> {
        self.memory().vote
    }

    /// Notes a vote that is durable.
    pub fn set_vote(&self, vote: Vote) {
        self.memory().vote = Some(vote);
    }

    /// The last committed position that was saved.
    pub fn committed(&self) -> Option<LogId> {
        self.memory().committed
    }

    /// Notes a committed position, to be written with the next batch that comes after the first
    /// `ops` operations.
    pub fn set_committed(&self, ops: u64, committed: Option<LogId>) {
        let mut memory = self.memory();
        memory.committed = committed;
        memory.committed_waits = Some((ops, committed));
    }

    /// The committed position to write after the first `ops` operations, if there is a new one.
    pub fn take_committed(&self, ops: u64) -> Option<Option<LogId>> {
        let waits = &mut self.memory().committed_waits;
        waits.take_if(|(after, _)| *after <= ops).map(|(_, id)| id)
    }

    /// Readers find entries in this file from now on.
    pub fn add_file(&self, number: u32, file: Arc<dyn DiskFile>) {
        self.memory().files.insert(number, file);
    }

    /// The file was removed. Reads that have begun keep it open.
    pub fn remove_file(&self, number: u32) {
        self.memory().files.remove(&number);
    }

    /// Finds entries: reads to do from files, and the entries from memory that follow them.
    pub fn find(&self, range: Range<u64>, limit: usize) -> (Vec<Run>, Vec<Entry>) {
        let memory = self.memory();
        let found = memory.index.find(range, limit);
        let runs = runs(&self.dir, &memory.files, found.first, &found.cold);
        (runs, found.warm)
    }

    /// Counts a batch of `length` bytes.
    pub fn count_batch(&self, length: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
    }

    /// The figures as of now.
    pub fn stats(&self) -> LogStats {
        let memory = self.memory();
        let (entries, cached, cached_bytes) = memory.index.sizes();
        LogStats {
            batches: self.batches.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            entries,
            cached,
            cached_bytes,
            segments: memory.files.len(),
        }
    }

    /// Fails every later operation with `error`, or with the one that came first.
    pub fn poison(&self, error: LogError) -> LogError {
        self.failed.get_or_init(|| error).clone()
    }

    /// The first error, if there was one.
    pub fn check(&self) -> Result<(), LogError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}
