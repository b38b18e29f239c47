//! The log as openraft uses it.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use tokio::sync::oneshot;

use crate::error::{DiskError, OpenError};
use crate::folder::DataFolder;
use crate::types::{Entry, LogId, TypeConfig, Vote};
use crate::wal::disk::{Disk, RealDisk};
use crate::wal::record::{MAX_RECORD, encode_entry};
use crate::wal::{self, Append, LogError, LogStats, Op, Options, Shared, Writer};

mod reader;

pub use reader::LogReader;

/// How many bytes of entries go to the writer as one piece.
const APPEND_BYTES: usize = 1 << 20;

/// Who writes what is queued.
enum Hand {
    Thread(JoinHandle<()>),
    Caller(Box<Mutex<Writer>>),
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Hand::Thread(_) => "Thread",
            Hand::Caller(_) => "Caller",
        })
    }
}

/// The log and the vote of a server. What is durable when is said at the top of this crate.
///
/// Dropping it waits until everything queued is durable.
#[derive(Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
    queue: Option<Sender<Op>>,
    writer: Option<Hand>,
    /// Operations queued, ever.
    ops: u64,
    ticket: u32,
    /// Keeps the folder locked.
    _folder: Option<DataFolder>,
}

impl LogStore {
    /// Opens the log of a data folder, which stays locked for as long as the log is open.
    ///
    /// # Errors
    ///
    /// Whatever is neither whole nor torn by a crash is refused with file and offset, before a
    /// byte is written. See [`OpenError`].
    pub fn open(folder: &DataFolder) -> Result<LogStore, OpenError> {
        LogStore::open_with(folder, Options::default())
    }

    /// [`LogStore::open`] with other sizes and times.
    ///
    /// # Errors
    ///
    /// As [`LogStore::open`].
    pub fn open_with(folder: &DataFolder, options: Options) -> Result<LogStore, OpenError> {
        let disk = Arc::new(RealDisk);
        let mut log = LogStore::open_on(disk, &folder.log_dir(), folder.store_id(), options)?;
        log._folder = Some(folder.clone());
        Ok(log)
    }

    /// Opens the log of store `store` that lies in `dir` of `disk`. The caller sees to it that
    /// nobody else does.
    ///
    /// # Errors
    ///
    /// As [`LogStore::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: u128,
        options: Options,
    ) -> Result<LogStore, OpenError> {
        let (queue, ops) = mpsc::channel();
        let (writer, shared) = wal::open(disk, dir, store, options, ops)?;
        let writer = if options.on_thread {
            let thread = std::thread::Builder::new()
                .name("tenure-log".into())
                .spawn(move || writer.run())
                .map_err(|e| DiskError::new("start a thread to write", dir, e))?;
            Hand::Thread(thread)
        } else {
            Hand::Caller(Box::new(Mutex::new(writer)))
        };
        Ok(LogStore {
            shared,
            queue: Some(queue),
            writer: Some(writer),
            ops: 0,
            ticket: 0,
            _folder: None,
        })
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// The last entry that is no longer kept; `None` when the log still has its first one.
    pub fn purged(&self) -> Option<LogId> {
        self.shared.with_index(|index| index.purged())
    }

    /// Figures since the log was opened.
    pub fn stats(&self) -> LogStats {
        self.shared.stats()
    }

    /// The error that stopped the log, if one did.
    ///
    /// # Errors
    ///
    /// The first [`LogError`] of the writer; every later call fails with it too.
    pub fn check(&self) -> Result<(), LogError> {
        self.shared.check()
    }

    fn send(&mut self, op: Op) -> Result<(), LogError> {
        self.shared.check()?;
        self.ops += 1;
        let queue = self.queue.as_ref().ok_or(LogError::Closed)?;
        queue
            .send(op)
            .map_err(|_| self.shared.check().err().unwrap_or(LogError::Closed))?;
        if let Some(Hand::Caller(writer)) = &self.writer {
            writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_now();
        }
        Ok(())
    }

    fn append_all(
        &mut self,
        entries: impl Iterator<Item = Entry>,
        done: IOFlushed<TypeConfig>,
    ) -> Result<(), LogError> {
        self.shared.check()?;
        let next = self.shared.with_index(|index| index.next_index());
        let pieces = encode_pieces(entries, next)?;
        let count = pieces.len();
        if count == 0 {
            done.io_completed(Ok(()));
            return Ok(());
        }
        let mut done = Some(done);
        for (i, piece) in pieces.into_iter().enumerate() {
            self.ticket = self.ticket.wrapping_add(1);
            let ticket = self.ticket;
            let Piece {
                records,
                first,
                last,
                entries,
            } = piece;
            self.shared.with_index(|index| {
                for (entry, length) in entries {
                    index.push(entry, ticket, length);
                }
            });
            let done = if i + 1 == count { done.take() } else { None };
            self.send(Op::Append(Append {
                records,
                first,
                last,
                ticket,
                done,
            }))?;
        }
        Ok(())
    }

    async fn save(&mut self, vote: Vote) -> Result<(), LogError> {
        let (done, durable) = oneshot::channel();
        self.send(Op::Vote(vote, done))?;
        durable.await.map_err(|_| LogError::Closed)??;
        self.shared.set_vote(vote);
        Ok(())
    }

    fn truncate(&mut self, after: Option<LogId>) -> Result<(), LogError> {
        let (before, last) = self.shared.with_index(|index| {
            let before = index.last();
            index.truncate(after);
            (before, index.last())
        });
        if before == last {
            return self.shared.check();
        }
        self.send(Op::Truncate(last))
    }

    fn purge_upto(&mut self, upto: LogId) -> Result<(), LogError> {
        let news = self.shared.with_index(|index| {
            let before = index.purged();
            index.purge(upto);
            before != index.purged()
        });
        if news {
            self.send(Op::Purge(upto))
        } else {
            self.shared.check()
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.queue = None;
        match self.writer.take() {
            Some(Hand::Thread(thread)) => {
                let ended = thread.join();
                if ended.is_err() {
                    tracing::error!("the log's writer panicked");
                }
            }
            Some(Hand::Caller(mut writer)) => writer
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .close(),
            None => {}
        }
    }
}

/// Entries encoded for the writer.
struct Piece {
    records: Vec<u8>,
    first: u64,
    last: LogId,
    entries: Vec<(Entry, u32)>,
}

fn encode_pieces(
    entries: impl Iterator<Item = Entry>,
    mut next: Option<u64>,
) -> Result<Vec<Piece>, LogError> {
    let mut pieces: Vec<Piece> = Vec::new();
    for entry in entries {
        let index = entry.log_id.index;
        if let Some(expected) = next.filter(|expected| *expected != index) {
            return Err(LogError::Gap {
                expected,
                found: index,
            });
        }
        next = Some(index + 1);
        if pieces
            .last()
            .is_none_or(|piece| piece.records.len() >= APPEND_BYTES)
        {
            pieces.push(Piece {
                records: Vec::with_capacity(512),
                first: index,
                last: entry.log_id,
                entries: Vec::new(),
            });
        }
        if let Some(piece) = pieces.last_mut() {
            let length = encode_entry(&mut piece.records, &entry);
            if length > MAX_RECORD {
                return Err(LogError::TooLong {
                    index,
                    length,
                    max: MAX_RECORD,
                });
            }
            piece.last = entry.log_id;
            piece.entries.push((entry, length as u32));
        }
    }
    Ok(pieces)
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let (last_purged_log_id, last_log_id) = self
            .shared
            .with_index(|index| (index.purged(), index.last()));
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        Ok(self.save(*vote).await?)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.shared.check()?;
        self.shared.set_committed(self.ops, committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.shared.committed())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(self.append_all(entries.into_iter(), callback)?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        Ok(self.truncate(last_log_id)?)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        Ok(self.purge_upto(log_id)?)
    }
}
