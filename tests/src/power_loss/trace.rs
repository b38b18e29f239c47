//! Reading a trace.

use std::{fs, io, path::Path};

#[path = "../../recorder/src/record.rs"]
mod record;

pub use record::{Kind, Record};

/// Reads the whole trace at `path`.
///
/// # Errors
/// When the file cannot be read or is no trace. Reading it again gives the same answer.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(Record::decode(&mut rest).map_err(io::Error::other)?);
    }
    Ok(records)
}
