//! Why something of the files could not be done.

use std::io;
use std::path::{Path, PathBuf};

use super::{Sum, VERSIONS_MAX};

/// Why something of the files could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such version of the item here.
    #[error("there is no version {version} of {item:?} here")]
    Absent {
        /// The item.
        item: String,
        /// The version.
        version: u64,
    },
    /// The version is here with other data: two writers chose the same version.
    #[error("version {version} of {item:?} is here with other data: write it as a later version")]
    Taken {
        /// The item.
        item: String,
        /// The version.
        version: u64,
    },
    /// What lies on the disk is not what was written; it was set aside and is not here any more.
    #[error(
        "version {version} of {item:?} is damaged: its checksum is {found}, it was written with {expected}"
    )]
    Damaged {
        /// The item.
        item: String,
        /// The version.
        version: u64,
        /// The checksum that was read.
        found: Sum,
        /// The checksum that was written.
        expected: Sum,
    },
    /// Too many versions of one item wait for the cluster's word.
    #[error("{count} versions of {item:?} are here, at most {VERSIONS_MAX} are kept at a time")]
    TooMany {
        /// The item.
        item: String,
        /// How many there are.
        count: usize,
    },
    /// The disk failed. Nothing was acknowledged; a retry is safe.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// Of which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn disk(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Disk { what, path, source }
    }
}
