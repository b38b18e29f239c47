//! Reads the segments at start, decides what is whole, and mends the one thing that may be torn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::frame::{self, BATCH_HEAD, BatchHead, SEGMENT_HEAD, SegmentHead};
use super::index::Place;
use super::record::{MAX_RECORD, Record, split_record};
use super::replay::Replay;
use super::segment::{SEGMENT_NEW, number_in, segment_path};
use crate::error::{Damage, DiskError, OpenError};

/// No segment grows beyond this; a longer file is refused before memory is taken for it.
pub const MAX_SEGMENT_FILE: u64 = 128 << 20;

/// The log as the files have it.
#[derive(Debug)]
pub struct Loaded {
    /// What the records say.
    pub replay: Replay,
    /// All segments, oldest first.
    pub files: Vec<(u32, Arc<dyn DiskFile>)>,
    /// The last batch.
    pub last: LastBatch,
    /// The number of bytes of a torn batch that follow it.
    pub torn: u64,
    leftovers: Vec<PathBuf>,
}

/// Where the last whole batch lies, in the last segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastBatch {
    /// Its number.
    pub seq: u64,
    /// Where it begins.
    pub start: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl LastBatch {
    /// Where the next batch belongs.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Reads all segments in `dir`. Changes nothing.
///
/// # Errors
///
/// Everything that is neither whole nor a torn last batch, with file and offset.
pub fn load(disk: &dyn Disk, dir: &Path, store: u128) -> Result<Loaded, OpenError> {
    let (numbers, leftovers) = list(disk, dir)?;
    let Some((newest, oldest)) = numbers.last().copied().zip(numbers.first().copied()) else {
        return Err(OpenError::Missing {
            path: segment_path(dir, 1),
        });
    };
    let mut reader = Reader::new(store);
    let mut files = Vec::with_capacity(numbers.len());
    let mut bytes = Vec::new();
    for number in numbers {
        let path = segment_path(dir, number);
        let file = read_whole(disk, &path, &mut bytes)?;
        reader.segment(&path, number, &bytes, number == newest)?;
        files.push((number, file));
    }
    let complete = reader.replay.check_complete();
    complete.map_err(|what| Damage::new(&segment_path(dir, oldest), 0, what))?;
    Ok(Loaded {
        replay: reader.replay,
        files,
        last: reader.last,
        torn: reader.torn,
        leftovers,
    })
}

impl Loaded {
    /// Makes durable what was read, and removes what was torn.
    ///
    /// The last batch is written once more before it counts: it may have come from the memory of
    /// the operating system, after an earlier process was told that writing it had failed.
    ///
    /// # Errors
    ///
    /// The operating system's. Trying again is safe.
    pub fn repair(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        for path in &self.leftovers {
            disk.remove(path)
                .map_err(|e| DiskError::new("remove", path, e))?;
        }
        let (number, file) = self
            .files
            .last()
            .expect("a log without a segment is not loaded");
        let path = segment_path(dir, *number);
        let end = self.last.end();
        if self.torn > 0 {
            tracing::warn!(
                file = %path.display(),
                offset = end,
                bytes = self.torn,
                "the last batch of the log was torn by a crash before it was acknowledged; removed it"
            );
            file.set_size(end)
                .map_err(|e| DiskError::new("truncate", &path, e))?;
        }
        file.write_at(&self.last.bytes, self.last.start)
            .map_err(|e| DiskError::new("write", &path, e))?;
        file.sync().map_err(|e| DiskError::new("sync", &path, e))?;
        disk.sync_folder(dir)
            .map_err(|e| DiskError::new("sync folder", dir, e))
    }
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<(Vec<u32>, Vec<PathBuf>), OpenError> {
    let names = disk
        .list(dir)
        .map_err(|e| DiskError::new("list folder", dir, e))?;
    let mut numbers = Vec::new();
    let mut leftovers = Vec::new();
    for name in names {
        if name.ends_with(SEGMENT_NEW) {
            leftovers.push(dir.join(name));
        } else if let Some(number) = number_in(&name) {
            numbers.push(number);
        } else {
            let what = "its name is not that of a segment of the log";
            return Err(Damage::new(&dir.join(name), 0, what).into());
        }
    }
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        return Err(OpenError::Missing {
            path: segment_path(dir, pair[0] + 1),
        });
    }
    Ok((numbers, leftovers))
}

fn read_whole(
    disk: &dyn Disk,
    path: &Path,
    bytes: &mut Vec<u8>,
) -> Result<Arc<dyn DiskFile>, OpenError> {
    let file = disk
        .open(path)
        .map_err(|e| DiskError::new("open", path, e))?;
    let size = file.size().map_err(|e| DiskError::new("read", path, e))?;
    if size > MAX_SEGMENT_FILE {
        let what = format!("the file has {size} bytes, no segment is longer than that");
        return Err(Damage::new(path, MAX_SEGMENT_FILE, what).into());
    }
    bytes.resize(size as usize, 0);
    file.read_at(bytes, 0)
        .map_err(|e| DiskError::new("read", path, e))?;
    Ok(file)
}

struct Reader {
    store: u128,
    seed: u32,
    replay: Replay,
    begun: bool,
    last: LastBatch,
    torn: u64,
}

impl Reader {
    fn new(store: u128) -> Reader {
        Reader {
            store,
            seed: frame::seed(store),
            replay: Replay::default(),
            begun: false,
            last: LastBatch::default(),
            torn: 0,
        }
    }

    fn segment(
        &mut self,
        path: &Path,
        number: u32,
        bytes: &[u8],
        is_newest: bool,
    ) -> Result<(), OpenError> {
        self.segment_head(path, number, bytes)?;
        let mut at = SEGMENT_HEAD;
        let mut last_start = at;
        while let Some(body) = self.next_body(&bytes[at..]) {
            let start = at + BATCH_HEAD;
            at = start + body.len();
            self.records(path, number, start, body)?;
            self.last.seq += 1;
            last_start = start - BATCH_HEAD;
        }
        if at == SEGMENT_HEAD {
            let what = "the batch that a segment begins with is not whole";
            return Err(Damage::new(path, at as u64, what).into());
        }
        self.last.start = last_start as u64;
        self.last.bytes.clear();
        self.last.bytes.extend_from_slice(&bytes[last_start..at]);
        self.rest(path, at, bytes, is_newest)
    }

    fn segment_head(&mut self, path: &Path, number: u32, bytes: &[u8]) -> Result<(), OpenError> {
        let head = SegmentHead::decode(path, bytes)?;
        let expected = SegmentHead {
            store: self.store,
            number: u64::from(number),
            first_seq: if self.begun {
                self.last.seq + 1
            } else {
                head.first_seq
            },
        };
        if head != expected {
            let what = format!("the file's header says {head:?}, expected {expected:?}");
            return Err(Damage::new(path, 16, what).into());
        }
        self.last.seq = head.first_seq.saturating_sub(1);
        Ok(())
    }

    /// The body of the batch at the beginning of `bytes`, if it is the next one and whole.
    fn next_body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let head = BatchHead::decode(bytes, self.seed)?;
        (head.seq == self.last.seq + 1).then_some(())?;
        head.body(bytes, self.seed)
    }

    /// A batch whose checksum is right holds what was written: whatever is wrong in it is not the
    /// work of a crash.
    fn records(
        &mut self,
        path: &Path,
        number: u32,
        start: usize,
        body: &[u8],
    ) -> Result<(), OpenError> {
        let mut at = 0;
        while at < body.len() {
            let damaged = |what: String| Damage::new(path, (start + at) as u64, what);
            let (raw, length) = split_record(&body[at..]).map_err(|e| damaged(e.to_string()))?;
            let record = raw.decode().map_err(|e| damaged(e.to_string()))?;
            let place = Place {
                term: 0,
                segment: number,
                offset: (start + at) as u32,
                length: length as u32,
            };
            if self.begun {
                self.replay.apply(record, place).map_err(damaged)?;
            } else if let Record::Checkpoint(state) = record {
                self.begun = true;
                self.replay = Replay::starting_at(state);
            } else {
                return Err(damaged("the log begins without a checkpoint".into()).into());
            }
            at += length;
        }
        Ok(())
    }

    /// Judges what follows the last whole batch: nothing, room that was set aside, a torn batch,
    /// or damage.
    fn rest(
        &mut self,
        path: &Path,
        at: usize,
        bytes: &[u8],
        is_newest: bool,
    ) -> Result<(), OpenError> {
        let rest = &bytes[at..];
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let seq = self.last.seq + 1;
        let proof = if is_newest {
            frame::find_proof(rest, seq, self.seed)
                .map(|found| format!("the batch at byte {} was written after it", at + found))
        } else {
            Some("a later segment was begun after it".to_owned())
        };
        if let Some(proof) = proof {
            let what = format!("batch {seq} is not whole, and it once was: {proof}");
            return Err(Damage::new(path, at as u64, what).into());
        }
        self.torn = rest.len() as u64;
        Ok(())
    }
}

const _: () = assert!((MAX_RECORD as u64) < MAX_SEGMENT_FILE);
