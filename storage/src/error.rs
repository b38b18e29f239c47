//! What can go wrong with the files of a server, in sentences for the person who must mend it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// What to do about files that can be neither trusted nor repaired.
const REPLACE_SERVER: &str = "Nothing was changed. Put back an intact copy of the data folder that is \
     no older than this one, or remove this server from the cluster and add it again with an empty \
     folder and a new server id.";

/// The operating system refused or failed an operation on a file.
#[derive(Debug, Clone, Error)]
#[error("cannot {what} {}: {source}{}", path.display(), self.advice())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub what: &'static str,
    /// The file or folder it was tried on.
    pub path: PathBuf,
    /// The operating system's answer.
    #[source]
    pub source: Arc<io::Error>,
}

impl DiskError {
    /// Names the operation and the file that an error belongs to.
    pub fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        DiskError {
            what,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// True when the file system has no room left.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    fn advice(&self) -> &'static str {
        if self.is_full() {
            ". Free some space on this file system and start the server again; nothing that was \
             acknowledged is lost"
        } else {
            ""
        }
    }
}

/// Bytes in one of our files that are not what was written there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is damaged at byte {offset}: {what}. {REPLACE_SERVER}", path.display())]
pub struct Damage {
    /// The damaged file.
    pub path: PathBuf,
    /// Where in the file, in bytes from its beginning.
    pub offset: u64,
    /// What was found there, and what was expected.
    pub what: String,
}

impl Damage {
    /// Describes a disagreement at `offset` of `path`.
    pub fn new(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Damage {
            path: path.to_owned(),
            offset,
            what: what.into(),
        }
    }
}

/// Why a data folder was not opened. Nothing was changed in it, except where the error is
/// [`OpenError::Disk`].
///
/// None of these goes away by trying again, save [`OpenError::InUse`] when the other server stops.
#[derive(Debug, Clone, Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error(
        "{} is in use by another server. Stop that one, or give this server a folder of its own",
        path.display()
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// The folder holds files, but none that says it is ours.
    #[error(
        "{} is not a data folder of Tenure, and not empty: it contains {found:?}. Name an empty or \
         a new folder",
        path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// A name found in it.
        found: String,
    },
    /// The folder was made for a server of another cluster.
    #[error(
        "{} belongs to cluster {found:?}, but this server is configured for cluster {expected:?}. \
         Correct the cluster's name in the configuration, or name another folder",
        path.display()
    )]
    WrongCluster {
        /// The identity file.
        path: PathBuf,
        /// The cluster it names.
        found: String,
        /// The cluster that was asked for.
        expected: String,
    },
    /// The folder was made for another server of the cluster.
    #[error(
        "{} belongs to server {found}, but this server is configured as server {expected}. Correct \
         the server id in the configuration, or name another folder; the id of a folder never changes",
        path.display()
    )]
    WrongServer {
        /// The identity file.
        path: PathBuf,
        /// The server it names.
        found: u64,
        /// The server that was asked for.
        expected: u64,
    },
    /// The file starts with other bytes than our files of this kind do.
    #[error(
        "{} is not a file of Tenure: byte 0 starts with {found}, expected {expected}. Name another \
         folder, or put the right file back",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The bytes found.
        found: String,
        /// The bytes expected.
        expected: String,
    },
    /// The file was written by a version of Tenure that this one does not know.
    #[error(
        "{} has format version {found} (byte {offset}), and this program reads up to {known}. Start \
         it with the version of Tenure that wrote it, or a newer one",
        path.display()
    )]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// Where the version stands.
        offset: u64,
        /// The version found.
        found: u16,
        /// The newest version this program reads.
        known: u16,
    },
    /// The folder is ours, but a part that is never removed is missing.
    #[error("{} is missing, and with it votes and entries this server has answered for. {REPLACE_SERVER}", path.display())]
    Missing {
        /// The missing file or folder.
        path: PathBuf,
    },
    /// A file of ours holds bytes that were not written there.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The operating system failed an operation.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
