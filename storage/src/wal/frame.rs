//! The outer layers of a log file: the header of a segment, and of each batch in it.
//!
//! All numbers are little-endian.
//!
//! ```text
//! segment   magic "TENUREWL" | version u16 | 0 u16 | crc u32 | store id u128 | number u64 | first seq u64
//! batch     magic "TnBt" | body length u32 | seq u64 | synced u64 | body crc u32 | head crc u32 | body
//! ```
//!
//! The checksums (CRC-32C) of a batch start from one over the store id, so that a batch copied
//! from another store, or into a command, is not taken for one of ours.

use std::path::Path;

use crate::error::{Damage, OpenError};

/// First bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"TENUREWL";
/// The format that this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;
/// Length of a segment's header.
pub const SEGMENT_HEAD: usize = 48;
/// First bytes of every batch.
pub const BATCH_MAGIC: [u8; 4] = *b"TnBt";
/// Length of a batch's header.
pub const BATCH_HEAD: usize = 32;
/// No batch has a higher number, so that there is always a next one.
pub const MAX_SEQ: u64 = u64::MAX / 2;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// The store that wrote it.
    pub store: u128,
    /// The segment's number, from 1 without gaps.
    pub number: u64,
    /// The sequence number of its first batch.
    pub first_seq: u64,
}

impl SegmentHead {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `file`.
    ///
    /// # Errors
    ///
    /// Foreign, unknown and damaged headers, told apart.
    pub fn decode(path: &Path, file: &[u8]) -> Result<SegmentHead, OpenError> {
        let magic = &file[..file.len().min(8)];
        if magic != SEGMENT_MAGIC {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
                found: magic.escape_ascii().to_string(),
                expected: SEGMENT_MAGIC.escape_ascii().to_string(),
            });
        }
        let Some(head) = file.first_chunk::<SEGMENT_HEAD>() else {
            let what = format!("the file ends within its header of {SEGMENT_HEAD} bytes");
            return Err(Damage::new(path, file.len() as u64, what).into());
        };
        let version = u16::from_le_bytes(array(head, 8));
        if version != FORMAT_VERSION {
            return Err(OpenError::UnknownVersion {
                path: path.to_owned(),
                offset: 8,
                found: version,
                known: FORMAT_VERSION,
            });
        }
        let decoded = SegmentHead {
            store: u128::from_le_bytes(array(head, 16)),
            number: u64::from_le_bytes(array(head, 32)),
            first_seq: u64::from_le_bytes(array(head, 40)),
        };
        if decoded.encode() != *head {
            let what = "the header of the file does not match its checksum";
            return Err(Damage::new(path, 0, what).into());
        }
        if decoded.first_seq > MAX_SEQ {
            let what = format!("no log has a batch {}", decoded.first_seq);
            return Err(Damage::new(path, 40, what).into());
        }
        Ok(decoded)
    }
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// Length of the body in bytes.
    pub length: u32,
    /// The batch's number: one more than that of the batch before it.
    pub seq: u64,
    /// The highest batch that was durable before this one was written.
    pub synced: u64,
    /// Checksum of the body.
    pub body_crc: u32,
}

/// What the checksums of a store's batches start from.
pub fn seed(store: u128) -> u32 {
    crc32c::crc32c(&store.to_le_bytes())
}

impl BatchHead {
    /// Describes `body`.
    pub fn of(body: &[u8], seq: u64, synced: u64, seed: u32) -> BatchHead {
        BatchHead {
            length: u32::try_from(body.len()).expect("a batch is bounded far below 4 GiB"),
            seq,
            synced,
            body_crc: crc32c::crc32c_append(seed, body),
        }
    }

    /// The header's bytes.
    pub fn encode(&self, seed: u32) -> [u8; BATCH_HEAD] {
        let mut bytes = [0; BATCH_HEAD];
        bytes[..4].copy_from_slice(&BATCH_MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `bytes`; `None` when there is no valid one.
    pub fn decode(bytes: &[u8], seed: u32) -> Option<BatchHead> {
        let head = bytes.first_chunk::<BATCH_HEAD>()?;
        let decoded = BatchHead {
            length: u32::from_le_bytes(array(head, 4)),
            seq: u64::from_le_bytes(array(head, 8)),
            synced: u64::from_le_bytes(array(head, 16)),
            body_crc: u32::from_le_bytes(array(head, 24)),
        };
        (decoded.encode(seed) == *head && decoded.seq <= MAX_SEQ).then_some(decoded)
    }

    /// The body that follows the header in `bytes`; `None` when it is cut short or altered.
    pub fn body<'a>(&self, bytes: &'a [u8], seed: u32) -> Option<&'a [u8]> {
        let end = BATCH_HEAD.checked_add(self.length as usize)?;
        let body = bytes.get(BATCH_HEAD..end)?;
        (crc32c::crc32c_append(seed, body) == self.body_crc).then_some(body)
    }
}

/// Searches `bytes` for a batch whose header says that batch `seq` was durable before it was
/// written. Returns where it starts.
pub fn find_proof(bytes: &[u8], seq: u64, seed: u32) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = find(&bytes[from..], &BATCH_MAGIC) {
        let at = from + found;
        if BatchHead::decode(&bytes[at..], seed).is_some_and(|head| head.synced >= seq) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    // The bytes of the two goldens below were computed by a program of its own.
    #[test]
    fn golden_segment_header_of_format_version_1() {
        let head = SegmentHead {
            store: 1,
            number: 2,
            first_seq: 3,
        };
        let golden = "54454e555245574c0100000030bc14f901000000000000000000000000000000\
                      02000000000000000300000000000000";
        assert_eq!(hex(&head.encode()), golden);
    }

    #[test]
    fn golden_batch_header_of_format_version_1() {
        let head = BatchHead::of(b"body", 5, 4, seed(1));
        let golden = "546e427404000000050000000000000004000000000000001423dee51b85baf8";
        assert_eq!(hex(&head.encode(seed(1))), golden);
    }

    #[test]
    fn a_batch_header_of_another_store_is_none_of_ours() {
        let bytes = BatchHead::of(b"body", 5, 4, seed(1)).encode(seed(1));
        assert!(BatchHead::decode(&bytes, seed(1)).is_some());
        assert!(BatchHead::decode(&bytes, seed(2)).is_none());
    }

    #[test]
    fn every_flip_in_a_header_is_noticed() {
        let bytes = BatchHead::of(b"body", 5, 4, seed(1)).encode(seed(1));
        for bit in 0..BATCH_HEAD * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BatchHead::decode(&flipped, seed(1)), None, "bit {bit}");
        }
    }

    #[test]
    fn only_a_later_batch_that_vouches_for_it_proves_a_batch_durable() {
        let seed = seed(1);
        let mut bytes = b"TnBt and other rubbish".to_vec();
        let at = bytes.len();
        bytes.extend_from_slice(&BatchHead::of(b"", 9, 7, seed).encode(seed));
        for (seq, found) in [(7, Some(at)), (8, None), (9, None)] {
            assert_eq!(find_proof(&bytes, seq, seed), found, "{seq}");
        }
    }
}
