//! What can be wrong with the image.

use std::path::PathBuf;

use thiserror::Error;

use crate::error::DiskError;
use crate::types::LogId;

/// Why the image was not opened, written or read. None of these goes away by trying again on the
/// same server; a checkpoint that failed has changed nothing that was there before it.
#[derive(Debug, Clone, Error)]
pub enum ImageError {
    /// The operating system failed an operation.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The embedded database failed an operation.
    #[error("cannot {what} the image {}: {why}", path.display())]
    Database {
        /// What was tried, as a verb.
        what: &'static str,
        /// The image's folder.
        path: PathBuf,
        /// The database's answer.
        why: String,
    },
    /// Bytes in the image that are not what was written there.
    #[error("the image {} is damaged: {subject}: {what}", path.display())]
    Damaged {
        /// The image's folder.
        path: PathBuf,
        /// Which row or part.
        subject: String,
        /// What was found there, and what was expected.
        what: String,
    },
    /// A trial of opening the image in a process of its own failed.
    #[error("the image {} is damaged: the trial of opening it ended with {why}", path.display())]
    Probe {
        /// The image's folder.
        path: PathBuf,
        /// How the trial ended.
        why: String,
    },
    /// The image was written in another data folder.
    #[error(
        "the image {} belongs to another data folder (store {found:032x}, expected {expected:032x}). \
         Put the right one back", path.display()
    )]
    Foreign {
        /// The image's folder.
        path: PathBuf,
        /// The store that it names.
        found: u128,
        /// The store of this folder.
        expected: u128,
    },
    /// The image and what is left of the log do not meet.
    #[error(
        "the image {} stands at {}, but the log begins after {purged}: the entries between them are \
         gone. Nothing was taken from the log. Remove this server from the cluster and add it again with an \
         empty folder and a new server id", path.display(), at(applied)
    )]
    BehindLog {
        /// The image's folder.
        path: PathBuf,
        /// The last entry that the image includes.
        applied: Option<LogId>,
        /// The last entry that is no longer in the log.
        purged: LogId,
    },
    /// The image is damaged, and the log does not reach back to its beginning.
    #[error(
        "{damage}. It cannot be rebuilt here: the log begins after {purged}. Nothing was taken from the log. \
         Remove this server from the cluster and add it again with an empty folder and a new server id"
    )]
    CannotRebuild {
        /// What is wrong with the image.
        damage: Box<ImageError>,
        /// The last entry that is no longer in the log.
        purged: LogId,
    },
    /// An earlier write failed; whether its bytes are on the disk cannot be known.
    #[error("the image is closed after an earlier failure: {0}. Restart this server")]
    Poisoned(String),
    /// A snapshot was replaced by a newer one before it was read. Ask for the current one.
    #[error("the snapshot at checkpoint {asked} was replaced by that of checkpoint {current}")]
    Superseded {
        /// The checkpoint asked for.
        asked: u64,
        /// The checkpoint that is there.
        current: u64,
    },
}

impl ImageError {
    /// Whether the image's content cannot be trusted (and a rebuild from the log would mend it).
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Probe { .. } | Self::Database { .. } => true,
            Self::Disk(_)
            | Self::Foreign { .. }
            | Self::BehindLog { .. }
            | Self::CannotRebuild { .. }
            | Self::Poisoned(_)
            | Self::Superseded { .. } => false,
        }
    }
}

impl From<ImageError> for std::io::Error {
    fn from(error: ImageError) -> Self {
        std::io::Error::other(error)
    }
}

fn at(applied: &Option<LogId>) -> String {
    match applied {
        Some(id) => format!("entry {id}"),
        None => "the beginning".to_owned(),
    }
}
