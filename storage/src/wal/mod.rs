//! The write-ahead log: votes and entries in one order, in segment files of a data folder's `log/`.
//!
//! # Files
//!
//! `log/%020d.wal`, numbered from 1 without gaps. Each is a header and a sequence of *batches*
//! ([`frame`]); each batch is a sequence of *records* ([`record`]). A segment begins with a batch
//! that repeats vote, committed and purged position and last entry, so that older segments can be
//! removed once all their entries are purged or replaced. It gets its name only when this much of
//! it is durable. What is written is never changed; the file's end may hold zeros, room for what
//! comes next.
//!
//! # What a crash may leave, and what it may not
//!
//! One batch is written at a time, and made durable (`fdatasync`) before the next is begun. Each
//! batch says which one was durable before it was written. So a power cut can spoil one batch, the
//! last, and it can do so in any way: of several pages any may be there and any may be missing.
//! That gives the rule at start:
//!
//! - A batch that is not whole, while anything later says that it was durable (a later batch in
//!   the file, or a later segment), is *damage*. The server refuses to start, says file and offset,
//!   and changes nothing.
//! - A batch that is not whole at the end of the last segment, with nothing after it that vouches
//!   for it, is a *torn write*. It was never acknowledged; it is cut off, and the log says so.
//!
//! What this rule cannot tell apart is a torn write from a bit that flipped in the last batch,
//! after that was acknowledged and before anything was written after it. To make that window
//! small, a log that has been idle for [`Options::seal_after`] (and one that is closed) writes an
//! empty batch, the *seal*, which vouches for the last one. After that, only the seal itself can be
//! mistaken, and it holds nothing that was acknowledged. What remains is a disk that both loses
//! power and spoils bits it had confirmed within that time; only the other servers' copies help
//! against it.
//!
//! A failed write or `fdatasync` is never retried: the kernel may have dropped the pages and call
//! them clean. The log stops acknowledging for good, and at the next start the last batch is
//! written again before it counts.
//!
//! # Why not a library
//!
//! The `raft-log` crate (0.4.6, on `chunked-wal` 0.2.3) was tried on the same rule. Of 120 single
//! bit flips in the first 60 bytes of an entry that had 49 acknowledged entries after it in the
//! same file, three (in a length) opened without a word and without those 50 entries: it takes an
//! early end of the file for a torn write without looking at what comes after. And a torn write
//! whose first page was lost and whose second was kept, an honest power cut, was refused. Neither
//! can be mended from outside.

pub mod disk;
mod error;
pub mod frame;
mod index;
mod load;
mod read;
pub mod record;
mod replay;
pub mod segment;
mod shared;
mod writer;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub use error::LogError;
pub use shared::LogStats;

pub(crate) use shared::Shared;
pub(crate) use writer::{Append, Op, Writer};

use crate::error::OpenError;
use disk::Disk;
use index::Index;
use writer::Batch;

/// Sizes and times of a log. The defaults are right; tests use small ones.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A segment that has grown to this size, in bytes, is followed by a new one.
    pub segment_bytes: u64,
    /// A batch takes no more operations once it has this many bytes.
    pub batch_bytes: usize,
    /// How many bytes of zeros are written ahead when the file has to grow.
    pub ahead_bytes: usize,
    /// How many bytes of recent entries are kept in memory.
    pub cache_bytes: usize,
    /// How long the log is idle before it vouches for its last batch.
    pub seal_after: Duration,
    /// Whether a thread of its own writes. Otherwise whoever appends waits until that is durable, and the log vouches
    /// for its last batch when it is closed: for simulations, in which no thread runs beside the simulated time.
    pub on_thread: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 16 << 20,
            batch_bytes: 4 << 20,
            ahead_bytes: 256 << 10,
            cache_bytes: 64 << 20,
            seal_after: Duration::from_millis(100),
            on_thread: true,
        }
    }
}

/// Opens the log in `dir`: reads and checks all of it, mends a torn end, and makes what is left
/// durable. Returns the writer, to be run on a thread of its own, and what it shares.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    store: u128,
    options: Options,
    queue: Receiver<Op>,
) -> Result<(Writer, Arc<Shared>), OpenError> {
    let mut loaded = load::load(&*disk, dir, store)?;
    loaded.repair(&*disk, dir)?;
    let load::Loaded {
        replay,
        files,
        last,
        ..
    } = loaded;
    let (number, file) = files
        .last()
        .cloned()
        .expect("a log has at least one segment");
    let older: VecDeque<u64> = files
        .iter()
        .take(files.len() - 1)
        .map(|(number, _)| replay.end_of_segment(*number))
        .collect();
    let state = replay.state;
    let index = Index::restored(
        state.purged,
        replay.first,
        replay.places,
        options.cache_bytes,
    );
    let shared = Arc::new(Shared::new(
        dir.to_owned(),
        index,
        files.into_iter().collect(),
        state.vote,
        state.committed,
    ));
    let end = last.end();
    let writer = Writer {
        disk,
        dir: dir.to_owned(),
        store,
        options,
        shared: Arc::clone(&shared),
        queue,
        file,
        number,
        end,
        allocated: end,
        seq: last.seq,
        state,
        older,
        sealed: false,
        batch: Batch::default(),
    };
    Ok((writer, shared))
}
