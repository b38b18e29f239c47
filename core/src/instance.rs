//! Instances: one service on one node, with what it last said of itself.

use crate::{Attributes, Endpoint, Epoch, Incarnation, NodeId, Note, Revision, ServiceName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an instance is doing. Peers and stores of copies are [`Role::Peer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows the primary.
    Replica,
    /// One of equals.
    Peer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Peer => "peer",
        })
    }
}

/// How an instance says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing was reported yet. Never taken for healthy.
    #[default]
    Unknown,
    /// On its way up.
    Starting,
    /// Serves.
    Healthy,
    /// Serves, with trouble.
    Degraded,
    /// Does not serve.
    Failing,
}

impl Health {
    /// Whether requests may be sent to it.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        })
    }
}

/// How far an instance has got. Offsets compare only within one history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The history it belongs to, such as a replication id.
    pub history: Note,
    /// How far in it.
    pub offset: u64,
}

/// What an instance says of itself: not what was decided for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// How it is.
    pub health: Health,
    /// The role it is in, and the epoch it holds it by.
    pub role: Option<(Role, Epoch)>,
    /// How far it has got.
    pub position: Option<Position>,
    /// A remark, such as the error that makes it failing.
    pub note: Note,
    /// Small facts for those who resolve it, such as a version.
    pub attributes: Attributes,
}

/// One service on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The service.
    pub service: ServiceName,
    /// The node.
    pub node: NodeId,
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// Whom to prefer as primary among equally complete ones: higher first; 0 never. 100 is usual.
    pub preference: u32,
    /// What it last said.
    pub report: Report,
    /// In which of the node's lives it said so.
    pub reported_in: Incarnation,
    /// When it was added.
    pub created: Revision,
    /// When it was last changed, reports included.
    pub modified: Revision,
}
