//! The bytes of one file: a header that says what it is, then the data.
//!
//! `TENUREBL`, version of the format (u16), length of the name (u16), version of the item (u64), bytes of data (u64),
//! SHA-256 of the data, the name, and the first 8 bytes of the SHA-256 of all this; little-endian.

use std::io::{self, Read};

use super::{DATA_BYTES_MAX, Held, Sum};

const MAGIC: &[u8; 8] = b"TENUREBL";
const FORMAT: u16 = 1;
const FIXED: usize = 60;
const SEAL: usize = 8;
const NAME_BYTES_MAX: usize = 255;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) item: String,
    pub(super) version: u64,
    pub(super) held: Held,
}

/// Why a header was not understood.
#[derive(Debug)]
pub(super) enum HeaderFault {
    Disk(io::Error),
    Damaged(String),
}

impl HeaderFault {
    fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }
}

impl Header {
    /// What stands before the data.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let name = self.item.as_bytes();
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(FIXED + name.len() + SEAL);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.held.size.to_le_bytes());
        bytes.extend(self.held.sum.as_bytes());
        bytes.extend(name);
        bytes.extend(seal(&bytes));
        bytes
    }

    /// Reads it from the beginning of a file of so many bytes.
    pub(super) fn read(file: &mut impl Read, length: u64) -> Result<Self, HeaderFault> {
        let mut fixed = [0; FIXED];
        fill(file, &mut fixed)?;
        if !fixed.starts_with(MAGIC) {
            return Err(HeaderFault::damaged(
                "it does not begin as such a file does",
            ));
        }
        let format = u16::from_le_bytes(field(&fixed, 8));
        if format != FORMAT {
            let why = format!("it is of format {format}, this build reads {FORMAT}");
            return Err(HeaderFault::Damaged(why));
        }
        let name_length = usize::from(u16::from_le_bytes(field(&fixed, 10)));
        if name_length > NAME_BYTES_MAX {
            return Err(HeaderFault::damaged("its name is too long"));
        }
        let mut rest = vec![0; name_length + SEAL];
        fill(file, &mut rest)?;
        let (name, sealed) = rest.split_at(name_length);
        let mut whole = fixed.to_vec();
        whole.extend(name);
        if seal(&whole) != sealed {
            return Err(HeaderFault::damaged("its header is not what was written"));
        }
        let size = u64::from_le_bytes(field(&fixed, 20));
        let told = u64::try_from(whole.len() + SEAL).unwrap_or(u64::MAX);
        if told.checked_add(size) != Some(length) {
            let why =
                format!("it has {length} bytes, its header and {size} bytes of data were written");
            return Err(HeaderFault::Damaged(why));
        }
        let item =
            std::str::from_utf8(name).map_err(|why| HeaderFault::damaged(why.to_string()))?;
        Ok(Self {
            item: item.to_owned(),
            version: u64::from_le_bytes(field(&fixed, 12)),
            held: Held {
                sum: Sum::from_bytes(field(&fixed, 28)),
                size,
            },
        })
    }
}

/// What stands after the header; nothing where even that is not whole, which no checksum agrees with.
pub(super) fn data(mut bytes: Vec<u8>) -> Vec<u8> {
    let name = bytes
        .get(10..12)
        .and_then(|it| <[u8; 2]>::try_from(it).ok());
    let name = name.map_or(0, u16::from_le_bytes);
    let at = FIXED + usize::from(name) + SEAL;
    if bytes.len() < at || bytes.len() - at > DATA_BYTES_MAX {
        return Vec::new();
    }
    bytes.split_off(at)
}

fn field<const N: usize>(fixed: &[u8; FIXED], at: usize) -> [u8; N] {
    let part = fixed.get(at..at + N);
    part.and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}

fn seal(bytes: &[u8]) -> [u8; SEAL] {
    let sum = Sum::of(bytes);
    let first = sum.as_bytes().first_chunk::<SEAL>();
    first.copied().unwrap_or_default()
}

fn fill(file: &mut impl Read, room: &mut [u8]) -> Result<(), HeaderFault> {
    match file.read_exact(room) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
            Err(HeaderFault::damaged("it is too short"))
        }
        Err(why) => Err(HeaderFault::Disk(why)),
    }
}
