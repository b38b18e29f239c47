//! The number of the last checkpoint, outside of the database.
//!
//! Damage in certain places makes the database forget what came later, without a word, and even what
//! it is told from then on. The number tells; it is written when the checkpoint is durable, so that
//! after a crash it is never beyond it.
//!
//! ```text
//! magic "TENUREIM" | version u16 | checkpoint u64 | crc32c u32 of all before it
//! ```

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::ImageError;
use crate::error::DiskError;
use crate::folder::sync_folder;

const FILE: &str = "checkpoint";
const FILE_NEW: &str = "checkpoint.new";
const MAGIC: [u8; 8] = *b"TENUREIM";
const VERSION: u16 = 1;
const LENGTH: usize = 22;

/// Remembers that `checkpoint` is durable. It is remembered when this returns.
pub fn remember(folder: &Path, checkpoint: u64) -> Result<(), DiskError> {
    let (path, new) = (folder.join(FILE), folder.join(FILE_NEW));
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(&encode(checkpoint))?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|e| DiskError::new("write", &path, e))?;
    sync_folder(folder)
}

/// Refuses an image that stands at `found` when a later checkpoint was durable.
pub fn check(folder: &Path, found: u64) -> Result<(), ImageError> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(DiskError::new("read", &path, e).into()),
    };
    let damaged = |what: String| ImageError::Damaged {
        path: folder.to_owned(),
        subject: format!("the file {FILE}"),
        what,
    };
    let last = decode(&bytes).map_err(damaged)?;
    if found >= last {
        return Ok(());
    }
    Err(ImageError::Damaged {
        path: folder.to_owned(),
        subject: format!("checkpoint {last}"),
        what: format!(
            "it was durable, but the database has forgotten what follows checkpoint {found}"
        ),
    })
}

fn encode(checkpoint: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..18].copy_from_slice(&checkpoint.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..18]);
    bytes[18..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<u64, String> {
    let bytes = <[u8; LENGTH]>::try_from(bytes)
        .map_err(|_| format!("it has {} bytes instead of {LENGTH}", bytes.len()))?;
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[10..18]);
    let checkpoint = u64::from_le_bytes(number);
    if bytes == encode(checkpoint) {
        return Ok(checkpoint);
    }
    Err("its bytes are not what was written, or were written by another version".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_behind_its_mark_is_damaged() {
        let temp = tempfile::tempdir().expect("temp");
        check(temp.path(), 0).expect("there is no mark yet");
        remember(temp.path(), 7).expect("remember");
        check(temp.path(), 7).expect("at the mark");
        check(temp.path(), 8).expect("a crash came before the mark");
        let refused = check(temp.path(), 6).expect_err("behind");
        assert!(refused.is_damage(), "{refused}");
        assert!(refused.to_string().contains("checkpoint 7"), "{refused}");
    }

    #[test]
    fn a_mark_that_is_not_what_was_written_is_damage() {
        let temp = tempfile::tempdir().expect("temp");
        let good = encode(7);
        for at in 0..LENGTH {
            let mut bytes = good;
            bytes[at] ^= 1;
            fs::write(temp.path().join(FILE), bytes).expect("write");
            let refused = check(temp.path(), 7).expect_err("damaged");
            assert!(refused.is_damage(), "byte {at}: {refused}");
        }
        fs::write(temp.path().join(FILE), &good[..10]).expect("write");
        let refused = check(temp.path(), 7).expect_err("short");
        assert!(refused.to_string().contains("10 bytes"), "{refused}");
    }
}
