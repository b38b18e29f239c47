//! The identity file: `{magic, version, length, crc32c}` and a bincode body.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Identity, sync_folder};
use crate::error::{Damage, DiskError, OpenError};

/// The file's name in the data folder.
pub(super) const FILE: &str = "identity";
/// Its name until it is complete.
pub(super) const FILE_NEW: &str = "identity.new";

const MAGIC: [u8; 8] = *b"TENUREID";
const VERSION: u16 = 1;
/// Magic, version, length and checksum of the body.
const HEAD: usize = 18;
/// No identity is longer; keeps a damaged length from asking for memory.
const MAX_BYTES: u64 = 4096;

/// The body of the identity file, format version 1. Frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) cluster: String,
    pub(super) server: u64,
    pub(super) store: u128,
}

/// Refuses the identity of another cluster or server.
pub(super) fn check(path: &Path, found: &Stored, expected: &Identity) -> Result<(), OpenError> {
    if found.cluster != expected.cluster {
        return Err(OpenError::WrongCluster {
            path: path.to_owned(),
            found: found.cluster.clone(),
            expected: expected.cluster.clone(),
        });
    }
    if found.server != expected.server {
        return Err(OpenError::WrongServer {
            path: path.to_owned(),
            found: found.server,
            expected: expected.server,
        });
    }
    Ok(())
}

fn encode(body: &Stored) -> Result<Vec<u8>, io::Error> {
    let body = bincode::serde::encode_to_vec(body, bincode::config::standard())
        .map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Puts the file into `folder`, whole and durable when this returns.
pub(super) fn write(folder: &Path, body: &Stored) -> Result<(), OpenError> {
    let new = folder.join(FILE_NEW);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)?;
        file.write_all(&encode(body)?)?;
        file.sync_all()?;
        fs::rename(&new, folder.join(FILE))
    };
    write().map_err(|e| DiskError::new("write", &new, e))?;
    sync_folder(folder)?;
    Ok(())
}

/// Reads the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Stored>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(DiskError::new("open", path, e).into()),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| DiskError::new("read", path, e))?;
    decode(path, &bytes).map(Some)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Stored, OpenError> {
    let damaged = |offset, what: String| OpenError::Damaged(Damage::new(path, offset, what));
    let Some((head, body)) = bytes.split_at_checked(HEAD) else {
        let length = bytes.len();
        return Err(damaged(
            length as u64,
            format!("the file ends after {length} bytes, its head alone has {HEAD}"),
        ));
    };
    if head[..8] != MAGIC {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: head[..8].escape_ascii().to_string(),
            expected: MAGIC.escape_ascii().to_string(),
        });
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != VERSION {
        return Err(OpenError::UnknownVersion {
            path: path.to_owned(),
            offset: 8,
            found: version,
            known: VERSION,
        });
    }
    let length = u32::from_le_bytes([head[10], head[11], head[12], head[13]]);
    if length as usize != body.len() {
        return Err(damaged(
            10,
            format!("the body should have {length} bytes and has {}", body.len()),
        ));
    }
    let expected = u32::from_le_bytes([head[14], head[15], head[16], head[17]]);
    let found = crc32c::crc32c(body);
    if found != expected {
        return Err(damaged(
            14,
            format!("the checksum says {expected:08x}, the body has {found:08x}"),
        ));
    }
    let config = bincode::config::standard().with_limit::<{ MAX_BYTES as usize }>();
    let (identity, read) = bincode::serde::decode_from_slice(body, config)
        .map_err(|e| damaged(HEAD as u64, format!("the body cannot be decoded: {e}")))?;
    if read != body.len() {
        return Err(damaged(
            (HEAD + read) as u64,
            format!("{} bytes are left over", body.len() - read),
        ));
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_identity_of_format_version_1() {
        let body = Stored {
            cluster: "c".into(),
            server: 7,
            store: 1,
        };
        let bytes = encode(&body).expect("encode");
        let expected = b"TENUREID\x01\x00\x04\x00\x00\x00\x87\x10+\xd1\x01c\x07\x01";
        assert_eq!(
            bytes.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
