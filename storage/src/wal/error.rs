//! Why the running log refuses or fails.

use std::io;

use thiserror::Error;

use crate::error::{Damage, DiskError};

/// Why an operation on the running log failed.
///
/// After [`LogError::Disk`] every later operation fails with the same error until the server is
/// started again; whether the operation became durable is unknown. The others change nothing.
#[derive(Debug, Clone, Error)]
pub enum LogError {
    /// The operating system failed an operation; see [`DiskError::is_full`].
    #[error("the log stopped, nothing more is acknowledged: {0}")]
    Disk(#[source] DiskError),
    /// The operating system could not read an entry back.
    #[error("an entry cannot be read back: {0}")]
    Read(#[source] DiskError),
    /// An entry read back is not what was written.
    #[error(transparent)]
    Damaged(Damage),
    /// Entries were to be appended that do not follow the last one.
    #[error("entry {found} cannot be appended, the next one is {expected}")]
    Gap {
        /// The index that comes next.
        expected: u64,
        /// The index that was given.
        found: u64,
    },
    /// An entry is larger than the log takes.
    #[error(
        "entry {index} takes {length} bytes, the log takes {max} at most; send smaller commands"
    )]
    TooLong {
        /// The entry's index.
        index: u64,
        /// Its length as a record.
        length: usize,
        /// The longest record there may be.
        max: usize,
    },
    /// The writer is gone, because the log was closed or its thread could not go on.
    #[error("the log is closed")]
    Closed,
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> io::Error {
        let kind = match &error {
            LogError::Disk(disk) | LogError::Read(disk) => disk.source.kind(),
            LogError::Damaged(_) => io::ErrorKind::InvalidData,
            LogError::Gap { .. } | LogError::TooLong { .. } => io::ErrorKind::InvalidInput,
            LogError::Closed => io::ErrorKind::BrokenPipe,
        };
        io::Error::new(kind, error)
    }
}
