//! Servers: the processes of Tenure, as the replicated state remembers them.

use crate::{Endpoint, Revision, ServerId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a server may take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerStatus {
    /// May be a learner or voter.
    Admitted,
    /// Was removed. Its id is never used again: a replayed old configuration that names it could
    /// otherwise count votes of a server that forgot what it had promised.
    Retired,
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Admitted => "admitted",
            Self::Retired => "retired",
        })
    }
}

/// What is remembered of a server. Who votes is Raft's own knowledge and not repeated here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its id, never reused.
    pub id: ServerId,
    /// Where other servers reach it.
    pub raft: Endpoint,
    /// Where clients reach it.
    pub api: Endpoint,
    /// The random id of its data folder, once it was first seen. A server that comes with another
    /// folder has forgotten its votes and is refused.
    pub store: Option<u128>,
    /// Whether it may take part.
    pub status: ServerStatus,
    /// When it was last changed.
    pub modified: Revision,
}
