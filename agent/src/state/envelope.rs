//! Around every record on disk: `{magic, version, length, crc32c}`, then the body as JSON.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use super::StateError;

/// Magic, version, length and checksum of the body.
const HEAD: usize = 18;

/// What tells one kind of record from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) magic: [u8; 8],
    pub(super) version: u16,
}

/// Whether there is a record, and whether it is whole.
#[derive(Debug)]
pub(super) enum Unsealed<T> {
    Whole(T),
    /// Nothing was ever written there.
    Blank,
}

/// The bytes of a record.
pub(super) fn seal(kind: Kind, body: &impl Serialize) -> Result<Vec<u8>, String> {
    let body = serde_json::to_vec(body).map_err(|why| why.to_string())?;
    let length = u32::try_from(body.len()).map_err(|why| why.to_string())?;
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(&kind.magic);
    bytes.extend_from_slice(&kind.version.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The record at the beginning of some bytes; what follows it is of no account.
pub(super) fn unseal<T: DeserializeOwned>(
    path: &Path,
    kind: Kind,
    bytes: &[u8],
) -> Result<Unsealed<T>, StateError> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Unsealed::Blank);
    }
    let damaged = |why: String| StateError::Damaged {
        path: path.to_owned(),
        why,
    };
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else {
        let length = bytes.len();
        let why = format!("it ends after {length} bytes, its head alone has {HEAD}");
        return Err(damaged(why));
    };
    if head[..8] != kind.magic {
        let (found, expected) = (head[..8].escape_ascii(), kind.magic.escape_ascii());
        return Err(damaged(format!(
            "it begins with \"{found}\", which should be \"{expected}\""
        )));
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version == 0 {
        return Err(damaged(
            "it has format version 0, which never was".to_owned(),
        ));
    }
    if version != kind.version {
        return Err(StateError::UnknownVersion {
            path: path.to_owned(),
            found: version,
            known: kind.version,
        });
    }
    let length = u32::from_le_bytes([head[10], head[11], head[12], head[13]]);
    let body = usize::try_from(length).ok().and_then(|at| rest.get(..at));
    let Some(body) = body else {
        let there = rest.len();
        return Err(damaged(format!(
            "its body should have {length} bytes, and {there} are there"
        )));
    };
    let expected = u32::from_le_bytes([head[14], head[15], head[16], head[17]]);
    let found = crc32c::crc32c(body);
    if found != expected {
        return Err(damaged(format!(
            "the checksum says {expected:08x}, the body has {found:08x}"
        )));
    }
    let read = serde_json::from_slice(body);
    let read = read.map_err(|why| damaged(format!("its body cannot be read: {why}")))?;
    Ok(Unsealed::Whole(read))
}
