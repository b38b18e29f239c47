//! The records in a batch: `length u32 | crc u32 | kind u8 | body`.
//!
//! The checksum (CRC-32C) covers kind and body, so that a single entry can be read back and
//! checked without its batch. A body is a bincode 2 struct, frozen for format version 1, and for
//! an entry the payload's bytes after it.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::types::{Entry, EntryPayload, LogId, Payload, Vote};

mod v1;

use v1::{CheckpointV1, EntryV1, IdV1, VoteV1, membership_from_v1, membership_to_v1};

/// Length of a record's head.
pub const RECORD_HEAD: usize = 9;
/// No record is longer, head included.
pub const MAX_RECORD: usize = 32 << 20;
/// No entry has a higher index, so that there is always a next one: at a million a second it takes 292,000 years.
pub const MAX_INDEX: u64 = u64::MAX / 2;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_RECORD>,
> = bincode::config::standard().with_limit::<MAX_RECORD>();

const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const COMMITTED: u8 = 3;
const TRUNCATE_AFTER: u8 = 4;
const PURGE: u8 = 5;
const CHECKPOINT: u8 = 6;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An entry was appended; its payload is decoded on its own, see [`decode_entry`].
    Entry(LogId),
    /// A vote was saved.
    Vote(Vote),
    /// Entries up to this one are known to be committed.
    Committed(Option<LogId>),
    /// Entries after this one were removed.
    TruncateAfter(Option<LogId>),
    /// Entries up to this one were removed.
    Purge(LogId),
    /// Everything but the entries, as it was when a segment was begun.
    Checkpoint(Checkpoint),
}

/// The state that a new segment repeats, so that older ones can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Checkpoint {
    /// The last vote saved.
    pub vote: Option<Vote>,
    /// The last known committed entry.
    pub committed: Option<LogId>,
    /// The last purged entry.
    pub purged: Option<LogId>,
    /// The last entry, or the last purged one when there is none.
    pub last: Option<LogId>,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The record ends after the bytes at hand, or claims an absurd length.
    #[error("a record of {length} bytes does not fit into the {left} bytes left")]
    Length {
        /// What its head says.
        length: u64,
        /// What is there.
        left: usize,
    },
    /// The checksum disagrees.
    #[error("the record's checksum says {expected:08x}, its bytes have {found:08x}")]
    Checksum {
        /// The checksum in the head.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// A kind that this version does not know.
    #[error("records of kind {0} are not known to this version")]
    Kind(u8),
    /// The body is not what its kind says.
    #[error("a record of kind {kind} has a body that cannot be decoded: {why}")]
    Body {
        /// The record's kind.
        kind: u8,
        /// What is wrong.
        why: String,
    },
}

/// Appends an entry's record to `out` and returns its length.
pub fn encode_entry(out: &mut Vec<u8>, entry: &Entry) -> usize {
    let id = entry.log_id.into();
    match &entry.payload {
        EntryPayload::Blank => encode(out, ENTRY, EntryV1 { id, shape: 0 }, &[]),
        EntryPayload::Normal(payload) => encode(out, ENTRY, EntryV1 { id, shape: 1 }, &payload.0),
        EntryPayload::Membership(membership) => {
            let mut body = Vec::new();
            write(&mut body, membership_to_v1(membership));
            encode(out, ENTRY, EntryV1 { id, shape: 2 }, &body)
        }
    }
}

/// Appends a record that is not an entry to `out` and returns its length.
pub fn encode_state(out: &mut Vec<u8>, record: &Record) -> usize {
    match record {
        Record::Entry(id) => encode(
            out,
            ENTRY,
            EntryV1 {
                id: (*id).into(),
                shape: 0,
            },
            &[],
        ),
        Record::Vote(vote) => encode(out, VOTE, VoteV1::from(*vote), &[]),
        Record::Committed(id) => encode(out, COMMITTED, id.map(IdV1::from), &[]),
        Record::TruncateAfter(id) => encode(out, TRUNCATE_AFTER, id.map(IdV1::from), &[]),
        Record::Purge(id) => encode(out, PURGE, IdV1::from(*id), &[]),
        Record::Checkpoint(at) => {
            let body = CheckpointV1 {
                vote: at.vote.map(VoteV1::from),
                committed: at.committed.map(IdV1::from),
                purged: at.purged.map(IdV1::from),
                last: at.last.map(IdV1::from),
            };
            encode(out, CHECKPOINT, body, &[])
        }
    }
}

fn encode(out: &mut Vec<u8>, kind: u8, head: impl Serialize, tail: &[u8]) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEAD - 1]);
    out.push(kind);
    write(out, head);
    out.extend_from_slice(tail);
    let length = out.len() - start - RECORD_HEAD;
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let crc = crc32c::crc32c(&out[start + RECORD_HEAD - 1..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out.len() - start
}

fn write(out: &mut Vec<u8>, body: impl Serialize) {
    bincode::serde::encode_into_std_write(body, out, bincode::config::standard())
        .expect("plain numbers and strings always encode, and a Vec takes every byte");
}

/// A record as it lies in a batch, its checksum verified.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    kind: u8,
    body: &'a [u8],
}

/// Splits the first record off `bytes`; returns it with its whole length.
///
/// # Errors
///
/// [`RecordError::Length`] and [`RecordError::Checksum`].
pub fn split_record(bytes: &[u8]) -> Result<(RawRecord<'_>, usize), RecordError> {
    let left = bytes.len();
    let Some(head) = bytes.first_chunk::<RECORD_HEAD>() else {
        return Err(RecordError::Length {
            length: RECORD_HEAD as u64,
            left,
        });
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let end = RECORD_HEAD + length as usize;
    let Some(checked) = bytes
        .get(RECORD_HEAD - 1..end)
        .filter(|_| end <= MAX_RECORD)
    else {
        return Err(RecordError::Length {
            length: u64::from(length),
            left,
        });
    };
    let found = crc32c::crc32c(checked);
    if found != expected {
        return Err(RecordError::Checksum { expected, found });
    }
    Ok((
        RawRecord {
            kind: head[8],
            body: &checked[1..],
        },
        end,
    ))
}

impl RawRecord<'_> {
    /// Decodes what the record says, an entry's payload left aside.
    ///
    /// # Errors
    ///
    /// [`RecordError::Kind`] and [`RecordError::Body`].
    pub fn decode(&self) -> Result<Record, RecordError> {
        match self.kind {
            ENTRY => Ok(Record::Entry(self.id(self.head::<EntryV1>()?.0.id)?)),
            VOTE => Ok(Record::Vote(self.whole::<VoteV1>()?.into())),
            COMMITTED => Ok(Record::Committed(self.maybe_id(self.whole()?)?)),
            TRUNCATE_AFTER => Ok(Record::TruncateAfter(self.maybe_id(self.whole()?)?)),
            PURGE => Ok(Record::Purge(self.id(self.whole()?)?)),
            CHECKPOINT => {
                let at = self.whole::<CheckpointV1>()?;
                Ok(Record::Checkpoint(Checkpoint {
                    vote: at.vote.map(Vote::from),
                    committed: self.maybe_id(at.committed)?,
                    purged: self.maybe_id(at.purged)?,
                    last: self.maybe_id(at.last)?,
                }))
            }
            unknown => Err(RecordError::Kind(unknown)),
        }
    }

    fn id(&self, stored: IdV1) -> Result<LogId, RecordError> {
        if stored.index > MAX_INDEX {
            let index = stored.index;
            return Err(self.bad(format!("no log has an entry {index}")));
        }
        Ok(stored.into())
    }

    fn maybe_id(&self, stored: Option<IdV1>) -> Result<Option<LogId>, RecordError> {
        stored.map(|stored| self.id(stored)).transpose()
    }

    fn head<T: DeserializeOwned>(&self) -> Result<(T, usize), RecordError> {
        bincode::serde::decode_from_slice(self.body, CONFIG).map_err(|e| self.bad(e.to_string()))
    }

    fn whole<T: DeserializeOwned>(&self) -> Result<T, RecordError> {
        let (value, read) = self.head()?;
        if read != self.body.len() {
            return Err(self.bad(format!("{} bytes are left over", self.body.len() - read)));
        }
        Ok(value)
    }

    fn bad(&self, why: String) -> RecordError {
        RecordError::Body {
            kind: self.kind,
            why,
        }
    }
}

/// Reads the entry whose record begins at `offset` of `buffer`. A command's payload shares the
/// buffer.
///
/// # Errors
///
/// Any [`RecordError`].
pub fn decode_entry(buffer: &Bytes, offset: usize) -> Result<Entry, RecordError> {
    let bytes = buffer.get(offset..).unwrap_or_default();
    let (raw, end) = split_record(bytes)?;
    if raw.kind != ENTRY {
        return Err(RecordError::Kind(raw.kind));
    }
    let (head, read) = raw.head::<EntryV1>()?;
    let payload = match head.shape {
        0 if read == raw.body.len() => EntryPayload::Blank,
        1 => {
            let body = buffer.slice(offset + RECORD_HEAD + read..offset + end);
            EntryPayload::Normal(Payload(body))
        }
        2 => {
            let rest = RawRecord {
                kind: ENTRY,
                body: &raw.body[read..],
            };
            let membership = membership_from_v1(rest.whole()?);
            EntryPayload::Membership(membership.map_err(|why| raw.bad(why))?)
        }
        shape => return Err(raw.bad(format!("the shape {shape} of its payload is not known"))),
    };
    Ok(Entry {
        log_id: raw.id(head.id)?,
        payload,
    })
}

#[cfg(test)]
mod tests;
