//! Rows as they are stored: cut into parts, each with its own checksum.
//!
//! ```text
//! key    row key, u16 number of this part (big endian, so that parts sort)
//! value  u8 version, u16 how many parts, u32 crc32c of key, version, parts and bytes; then bytes
//! ```

use tenure_core::{Key, Record};

use crate::format::{FormatError, decode_key, decode_record, encode_key, encode_record};

const VERSION: u8 = 1;
const HEAD: usize = 7;
const NUMBER: usize = 2;

/// Bytes of a row in one part. Sixteen parts may share one node of the tree, and the database keeps
/// nodes above 2 MiB in files that it never syncs.
const BYTES_MAX: usize = 32 * 1024;

/// One stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Cuts a row into parts.
pub fn split(key: &Key, record: &Record) -> Vec<Part> {
    let prefix = encode_key(key);
    let bytes = encode_record(record);
    let pieces: Vec<&[u8]> = bytes.chunks(BYTES_MAX).collect();
    // A row has at most a few hundred KiB by the core's limits.
    let count = u16::try_from(pieces.len()).expect("the core's limits keep a row below 2 GiB");
    (0..count)
        .zip(pieces)
        .map(|(number, piece)| part(&prefix, number, count, piece))
        .collect()
}

fn part(prefix: &[u8], number: u16, count: u16, bytes: &[u8]) -> Part {
    let mut key = Vec::with_capacity(prefix.len() + NUMBER);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&number.to_be_bytes());
    let mut value = Vec::with_capacity(HEAD + bytes.len());
    value.push(VERSION);
    value.extend_from_slice(&count.to_le_bytes());
    value.extend_from_slice(&checksum(&key, count, bytes).to_le_bytes());
    value.extend_from_slice(bytes);
    Part { key, value }
}

fn checksum(key: &[u8], count: u16, bytes: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(key), &[VERSION]);
    crc32c::crc32c_append(crc32c::crc32c_append(head, &count.to_le_bytes()), bytes)
}

/// What stands in a part's value.
#[derive(Debug, Clone, Copy)]
pub struct Opened<'a> {
    /// How many parts the row has.
    pub count: u16,
    /// The part's checksum, which is right.
    pub crc: u32,
    /// The row's bytes in this part.
    pub bytes: &'a [u8],
}

/// Reads a part's value and checks it.
pub fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<Opened<'a>, String> {
    let (head, bytes) = value
        .split_first_chunk::<HEAD>()
        .ok_or_else(|| format!("it has only {} bytes", value.len()))?;
    let [version, c0, c1, k0, k1, k2, k3] = *head;
    if version != VERSION {
        return Err(format!(
            "it has format version {version}, and this program reads {VERSION}"
        ));
    }
    let count = u16::from_le_bytes([c0, c1]);
    let stored = u32::from_le_bytes([k0, k1, k2, k3]);
    let found = checksum(key, count, bytes);
    if stored != found {
        return Err(format!(
            "its checksum says {stored:08x}, its bytes have {found:08x}"
        ));
    }
    Ok(Opened {
        count,
        crc: stored,
        bytes,
    })
}

/// What a key means to a person.
pub fn describe(key: &[u8]) -> String {
    match decode_key(key) {
        Ok((row, [n0, n1])) => format!("{row}, part {}", u16::from_be_bytes([*n0, *n1])),
        Ok(_) | Err(_) => format!("key {}", key.escape_ascii()),
    }
}

/// Puts parts that come in key order together again.
#[derive(Debug, Default)]
pub struct Joiner {
    key: Option<Key>,
    bytes: Vec<u8>,
    next: u16,
}

impl Joiner {
    /// Takes the next part; gives the row when it was the last of it.
    pub fn take(&mut self, key: &[u8], opened: &Opened<'_>) -> Result<Option<Record>, String> {
        let (row, number) = split_key(key).map_err(|e| e.to_string())?;
        let expected = self.next;
        let continues = self.key.as_ref() == Some(&row) || self.key.is_none();
        if !continues || number != expected || number >= opened.count {
            return Err(format!(
                "it is part {number} of {} where part {expected} should follow",
                opened.count
            ));
        }
        self.bytes.extend_from_slice(opened.bytes);
        if number + 1 < opened.count {
            self.key = Some(row);
            self.next = number + 1;
            return Ok(None);
        }
        let record = decode_record(&row, &self.bytes).map_err(|e| e.to_string())?;
        *self = Self::default();
        Ok(Some(record))
    }

    /// Whether no row is begun.
    pub fn is_done(&self) -> bool {
        self.key.is_none()
    }
}

fn split_key(key: &[u8]) -> Result<(Key, u16), FormatError> {
    let (row, rest) = decode_key(key)?;
    let number = <[u8; NUMBER]>::try_from(rest)
        .map_err(|_| FormatError::Missing("number of the part in its key"))?;
    Ok((row, u16::from_be_bytes(number)))
}

/// How many parts there are, and the wrapping sum of their checksums: what tells a whole tree from
/// one that lost or kept a row it should not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Parts.
    pub parts: u64,
    /// Sum of checksums.
    pub sum: u64,
}

impl Tally {
    /// Counts a part in.
    pub fn add(&mut self, crc: u32) {
        self.parts += 1;
        self.sum = self.sum.wrapping_add(crc.into());
    }

    /// Counts a part out.
    pub fn remove(&mut self, crc: u32) {
        self.parts = self.parts.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(crc.into());
    }
}
