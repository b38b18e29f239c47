//! The frame of a chunk.

use bytes::Bytes;

const VERSION: u8 = 1;
const HEAD: usize = 10;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where the rows stand and how many there are.
    Meta,
    /// Rows.
    Rows,
    /// Nothing: all rows were sent.
    End,
}

/// A chunk whose checksum is right.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pub(super) kind: Kind,
    pub(super) number: u32,
    pub(super) body: &'a [u8],
}

pub(super) fn encode(kind: Kind, number: u32, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.push(VERSION);
    bytes.push(match kind {
        Kind::Meta => 1,
        Kind::Rows => 2,
        Kind::End => 3,
    });
    bytes.extend_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), body);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.into()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Chunk<'_>, String> {
    let (head, body) = bytes
        .split_first_chunk::<HEAD>()
        .ok_or_else(|| format!("it has only {} bytes", bytes.len()))?;
    let [version, kind, n0, n1, n2, n3, c0, c1, c2, c3] = *head;
    if version != VERSION {
        return Err(format!(
            "it has format version {version}, and this program reads {VERSION}"
        ));
    }
    let stored = u32::from_le_bytes([c0, c1, c2, c3]);
    let found = crc32c::crc32c_append(crc32c::crc32c(&head[..6]), body);
    if stored != found {
        return Err(format!(
            "its checksum says {stored:08x}, its bytes have {found:08x}"
        ));
    }
    let kind = match kind {
        1 => Kind::Meta,
        2 => Kind::Rows,
        3 => Kind::End,
        other => return Err(format!("there is no kind {other}")),
    };
    Ok(Chunk {
        kind,
        number: u32::from_le_bytes([n0, n1, n2, n3]),
        body,
    })
}
