//! What the agent keeps on disk: who it is, and what it has promised.

mod envelope;
mod folder;
#[cfg(test)]
mod garbage;
mod identity;
mod keeper;
mod kept;
mod stored;

pub(crate) use folder::Folder;
pub(crate) use identity::{Identity, boot_id};
pub(crate) use keeper::Keeper;
pub(crate) use kept::KeptFile;

use std::path::{Path, PathBuf};

/// Why the agent's folder cannot be used. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The system refused something.
    #[error("cannot {what} {}: {why}", path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another agent uses the folder.
    #[error(
        "{} is in use by another agent: every agent needs a state_dir of its own, and one is enough \
         for a node", path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error(
        "{} is damaged: {why}. If the node's agent is the only one of its name, remove the file: the \
         agent then joins as a new incarnation", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file was written by another version.
    #[error(
        "{} has format version {found}, this build knows {known}: use the version of the agent that \
         wrote it, or a newer one", path.display()
    )]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version in it.
        found: u16,
        /// The version that is known.
        known: u16,
    },
    /// The folder belongs to another cluster.
    #[error(
        "{} belongs to cluster {found:?}, the configuration says {expected:?}: correct cluster or \
         state_dir", path.display()
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// The cluster in it.
        found: String,
        /// The cluster of the configuration.
        expected: String,
    },
    /// The folder belongs to another node.
    #[error(
        "{} belongs to node {found:?}, the configuration says {expected:?}: correct node or state_dir",
        path.display()
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// The node in it.
        found: String,
        /// The node of the configuration.
        expected: String,
    },
}

impl StateError {
    fn disk(what: &'static str, path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Disk {
            what,
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}
