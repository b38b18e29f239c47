//! What writes the log: one thread of its own, save in simulations.
//!
//! Whatever has queued up while the last batch was being made durable goes into the next: one
//! write and one `fdatasync` for all of it, then the completions, in order.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::Options;
use super::disk::{Disk, DiskFile};
use super::error::LogError;
use super::frame::{self, BATCH_HEAD, BatchHead, SegmentHead};
use super::record::{Checkpoint, RECORD_HEAD, Record, encode_state};
use super::replay::next;
use super::segment::{self, segment_path};
use super::shared::Shared;
use crate::error::DiskError;
use crate::types::{LogId, TypeConfig, Vote};

/// What the writer is asked to do. The order of the queue is the order of the file.
pub enum Op {
    /// Write encoded entries.
    Append(Append),
    /// Write a vote, and say when it is durable.
    Vote(Vote, oneshot::Sender<Result<(), LogError>>),
    /// Note that the entries after this one were removed.
    Truncate(Option<LogId>),
    /// Note that the entries up to this one were removed.
    Purge(LogId),
}

/// Entries to write.
pub struct Append {
    /// Their records, one after the other.
    pub records: Vec<u8>,
    /// The index of the first.
    pub first: u64,
    /// The id of the last.
    pub last: LogId,
    /// What their places in memory wait for.
    pub ticket: u32,
    /// Whom to tell that they are durable.
    pub done: Option<IOFlushed<TypeConfig>>,
}

/// Whom to tell about a batch.
enum Done {
    Append(IOFlushed<TypeConfig>),
    Vote(oneshot::Sender<Result<(), LogError>>),
}

impl Done {
    fn tell(self, result: Result<(), LogError>) {
        match self {
            Done::Append(callback) => callback.io_completed(result.map_err(std::io::Error::from)),
            // A caller that no longer waits has nothing to lose by not hearing.
            Done::Vote(sender) => drop(sender.send(result)),
        }
    }
}

/// Entries within the batch being built.
struct Span {
    first: u64,
    ticket: u32,
    from: usize,
    to: usize,
}

/// The writer's side of the log.
pub struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) store: u128,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Op>,
    /// The segment being written.
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) number: u32,
    pub(super) end: u64,
    /// Up to here the file has room that was written (with zeros) before.
    pub(super) allocated: u64,
    /// The last batch, which is durable.
    pub(super) seq: u64,
    /// What the file says so far.
    pub(super) state: Checkpoint,
    /// For each older segment: one past the last entry in it that still counts.
    pub(super) older: VecDeque<u64>,
    /// A batch that vouches for the last one with content was written.
    pub(super) sealed: bool,
    pub(super) batch: Batch,
}

/// The batch being built.
#[derive(Default)]
pub struct Batch {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    spans: Vec<Span>,
    dones: Vec<Done>,
    /// The number of operations taken in, ever.
    ops: u64,
    purges: bool,
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(BATCH_HEAD, 0);
        self.spans.clear();
        self.purges = false;
    }

    fn add(&mut self, op: Op, state: &mut Checkpoint, older: &mut VecDeque<u64>) {
        self.ops += 1;
        match op {
            Op::Append(append) => {
                let from = self.bytes.len();
                self.bytes.extend_from_slice(&append.records);
                let to = self.bytes.len();
                let Append { first, ticket, .. } = append;
                self.spans.push(Span {
                    first,
                    ticket,
                    from,
                    to,
                });
                self.dones.extend(append.done.map(Done::Append));
                state.append(append.last);
            }
            Op::Vote(vote, done) => {
                encode_state(&mut self.bytes, &Record::Vote(vote));
                self.dones.push(Done::Vote(done));
                state.vote = Some(vote);
            }
            Op::Truncate(after) => {
                encode_state(&mut self.bytes, &Record::TruncateAfter(after));
                state.truncate(after);
                let end = next(after);
                older.iter_mut().for_each(|older| *older = end.min(*older));
            }
            Op::Purge(upto) => {
                encode_state(&mut self.bytes, &Record::Purge(upto));
                state.purge(upto);
                self.purges = true;
            }
        }
    }
}

impl Writer {
    /// Serves the queue until its other end is dropped.
    pub fn run(mut self) {
        loop {
            let op = if self.sealed {
                self.queue.recv().map_err(RecvTimeoutError::from)
            } else {
                self.queue.recv_timeout(self.options.seal_after)
            };
            let written = match op {
                Ok(op) => self.write_queued(op),
                Err(RecvTimeoutError::Timeout) => self.seal(),
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            };
            if let Err(e) = written {
                return self.fail(e);
            }
        }
    }

    /// Writes what is queued, for whoever queued it and waits.
    pub fn write_now(&mut self) {
        while let Ok(op) = self.queue.try_recv() {
            if let Err(error) = self.shared.check() {
                self.batch.add(op, &mut self.state, &mut self.older);
                self.refuse(&error);
            } else if let Err(error) = self.write_queued(op) {
                let error = self.poison(error);
                self.refuse(&error);
            }
        }
    }

    /// Vouches for the last batch, when nothing more will be queued.
    pub fn close(&mut self) {
        if self.shared.check().is_ok()
            && let Err(e) = self.seal()
        {
            tracing::warn!(error = %e, "the log was closed without its last seal");
        }
    }

    fn poison(&self, error: DiskError) -> LogError {
        let error = self.shared.poison(LogError::Disk(error));
        tracing::error!(%error, "the log failed; this server stops acknowledging");
        error
    }

    fn refuse(&mut self, error: &LogError) {
        for done in self.batch.dones.drain(..) {
            done.tell(Err(error.clone()));
        }
        self.batch.clear();
    }

    /// After an error nothing more is written: what the disk holds is unknown until it is read
    /// again.
    fn fail(mut self, error: DiskError) {
        let error = self.poison(error);
        loop {
            self.refuse(&error);
            match self.queue.recv() {
                Ok(op) => self.batch.add(op, &mut self.state, &mut self.older),
                Err(_) => return,
            }
        }
    }

    fn write_queued(&mut self, first: Op) -> Result<(), DiskError> {
        self.batch.clear();
        // A segment begins with the state from before the batch that follows.
        let before = self.state;
        self.batch.add(first, &mut self.state, &mut self.older);
        while self.batch.bytes.len() < self.options.batch_bytes {
            match self.queue.try_recv() {
                Ok(op) => self.batch.add(op, &mut self.state, &mut self.older),
                Err(_) => break,
            }
        }
        self.add_committed();
        if self.end >= self.options.segment_bytes {
            self.begin_segment(before)?;
        }
        let start = self.end;
        self.write_batch()?;
        self.sealed = false;
        for done in self.batch.dones.drain(..) {
            done.tell(Ok(()));
        }
        self.publish_places(start);
        if self.batch.purges {
            self.remove_old_segments()?;
        }
        Ok(())
    }

    /// Writes a batch that says that the one before it was durable, so that damage to that one
    /// can be told from a torn write.
    fn seal(&mut self) -> Result<(), DiskError> {
        if self.sealed {
            return Ok(());
        }
        self.batch.clear();
        self.add_committed();
        self.write_batch()?;
        self.sealed = true;
        Ok(())
    }

    fn add_committed(&mut self) {
        if let Some(committed) = self.shared.take_committed(self.batch.ops) {
            encode_state(&mut self.batch.bytes, &Record::Committed(committed));
            self.state.committed = committed;
        }
    }

    fn write_batch(&mut self) -> Result<(), DiskError> {
        let seed = frame::seed(self.store);
        let bytes = &mut self.batch.bytes;
        let head = BatchHead::of(&bytes[BATCH_HEAD..], self.seq + 1, self.seq, seed);
        bytes[..BATCH_HEAD].copy_from_slice(&head.encode(seed));
        let length = bytes.len();
        let end = self.end + length as u64;
        if end > self.allocated {
            // Writing into room that the file already has spares the file system's journal.
            bytes.resize(length + self.options.ahead_bytes, 0);
            self.allocated = self.end + bytes.len() as u64;
        }
        let written = self.file.write_at(bytes, self.end);
        bytes.truncate(length);
        written.map_err(|e| self.failed("write", e))?;
        self.file.sync().map_err(|e| self.failed("sync", e))?;
        self.end = end;
        self.seq += 1;
        self.shared.count_batch(length);
        Ok(())
    }

    fn failed(&self, what: &'static str, e: std::io::Error) -> DiskError {
        DiskError::new(what, &segment_path(&self.dir, self.number), e)
    }

    fn publish_places(&mut self, start: u64) {
        let bytes = &self.batch.bytes;
        self.shared.with_index(|index| {
            for span in &self.batch.spans {
                let mut at = span.from;
                for entry in span.first.. {
                    let Some(head) = bytes[at..span.to].first_chunk::<4>() else {
                        break;
                    };
                    index.place(entry, span.ticket, self.number, (start + at as u64) as u32);
                    at += RECORD_HEAD + u32::from_le_bytes(*head) as usize;
                }
            }
            index.evict();
        });
    }

    fn begin_segment(&mut self, state: Checkpoint) -> Result<(), DiskError> {
        let number = self.number + 1;
        let head = SegmentHead {
            store: self.store,
            number: u64::from(number),
            first_seq: self.seq + 1,
        };
        let new = segment::begin(&*self.disk, &self.dir, head, number, state)?;
        self.shared.add_file(number, Arc::clone(&new.file));
        self.older.push_back(next(state.last));
        self.seq += 1;
        self.number = number;
        self.file = new.file;
        self.end = new.end;
        self.allocated = new.end;
        Ok(())
    }

    /// Oldest first, each made durable before the next, so that a crash leaves no gap.
    fn remove_old_segments(&mut self) -> Result<(), DiskError> {
        let first = next(self.state.purged);
        while self.older.front().is_some_and(|end| *end <= first) {
            let oldest = self.number - self.older.len() as u32;
            let path = segment_path(&self.dir, oldest);
            self.disk
                .remove(&path)
                .map_err(|e| DiskError::new("remove", &path, e))?;
            self.disk
                .sync_folder(&self.dir)
                .map_err(|e| DiskError::new("sync folder", &self.dir, e))?;
            self.shared.remove_file(oldest);
            self.older.pop_front();
        }
        Ok(())
    }
}
