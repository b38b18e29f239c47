//! The files of the log: their names, and how a new one is begun.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::frame::{self, BATCH_HEAD, BatchHead, SEGMENT_HEAD, SegmentHead};
use super::record::{Checkpoint, Record, encode_state};
use crate::error::DiskError;

/// How the name of an unfinished segment ends.
pub const SEGMENT_NEW: &str = ".wal.new";
const SEGMENT: &str = ".wal";
const DIGITS: usize = 20;
/// No segment has a higher number, so that there is always a next one: 32 PiB of log.
const MAX_NUMBER: u32 = u32::MAX / 2;

/// The file of segment `number`.
pub fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:0DIGITS$}{SEGMENT}"))
}

/// The number in a segment's file name; `None` when it is not one.
pub fn number_in(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SEGMENT)?;
    let well_formed = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok()?;
    (well_formed && (1..=MAX_NUMBER).contains(&number)).then_some(number)
}

/// A segment that was just begun.
#[derive(Debug)]
pub struct NewSegment {
    /// The file, open for writing.
    pub file: Arc<dyn DiskFile>,
    /// Where its next batch belongs.
    pub end: u64,
}

/// Begins segment `number` with a batch `seq` that repeats `state`. The segment is whole and
/// durable when this returns: it is renamed into place last.
///
/// # Errors
///
/// The operating system's. Trying again is safe as long as the segment was not written to.
pub fn begin(
    disk: &dyn Disk,
    dir: &Path,
    head: SegmentHead,
    number: u32,
    state: Checkpoint,
) -> Result<NewSegment, DiskError> {
    let path = segment_path(dir, number);
    let new = dir.join(format!("{number:0DIGITS$}{SEGMENT_NEW}"));
    let bytes = first_bytes(head, state);
    let write = || {
        let file = disk.create(&new)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(&new, &path)?;
        disk.sync_folder(dir)?;
        Ok(file)
    };
    let file = write().map_err(|e| DiskError::new("begin", &path, e))?;
    Ok(NewSegment {
        file,
        end: bytes.len() as u64,
    })
}

fn first_bytes(head: SegmentHead, state: Checkpoint) -> Vec<u8> {
    let seed = frame::seed(head.store);
    let mut body = Vec::new();
    encode_state(&mut body, &Record::Checkpoint(state));
    let batch = BatchHead::of(&body, head.first_seq, head.first_seq - 1, seed);
    let mut bytes = Vec::with_capacity(SEGMENT_HEAD + BATCH_HEAD + body.len());
    bytes.extend_from_slice(&head.encode());
    bytes.extend_from_slice(&batch.encode(seed));
    bytes.extend_from_slice(&body);
    bytes
}

/// Begins an empty log.
///
/// # Errors
///
/// The operating system's. Trying again is safe.
pub fn create(disk: &dyn Disk, dir: &Path, store: u128) -> Result<(), DiskError> {
    let head = SegmentHead {
        store,
        number: 1,
        first_seq: 1,
    };
    begin(disk, dir, head, 1, Checkpoint::default()).map(|_| ())
}

/// True when `name`, `size` bytes long, is what creating an empty log leaves when interrupted.
pub fn is_unused(name: &str, size: u64) -> bool {
    let head = SegmentHead {
        store: 0,
        number: 1,
        first_seq: 1,
    };
    let fresh = first_bytes(head, Checkpoint::default()).len() as u64;
    name.ends_with(SEGMENT_NEW) || (number_in(name) == Some(1) && size <= fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised() {
        let path = segment_path(Path::new("log"), 7);
        let name = path.file_name().and_then(|n| n.to_str()).expect("name");
        let cases = [
            (name, Some(7)),
            ("00000000000000000000.wal", None),
            ("7.wal", None),
            ("00000000000000000007.wal.new", None),
            ("+0000000000000000007.wal", None),
            ("00000000009999999999.wal", None),
        ];
        for (name, number) in cases {
            assert_eq!(number_in(name), number, "{name}");
        }
    }
}
