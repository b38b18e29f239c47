//! Nodes: the managed machines.

use crate::{Attributes, Incarnation, Member, NodeId, NodeName, Note, Revision, Zone};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a node stands between its first join and its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Known, not yet in use.
    Joining,
    /// In use.
    Active,
    /// Its roles and copies are to move elsewhere; it still serves what it has.
    Draining,
    /// An operator works on it; it is given nothing and its silence alarms nobody.
    Maintenance,
    /// Gone for good. Its id is never used again.
    Removed,
}

impl Lifecycle {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Joining,
        Self::Active,
        Self::Draining,
        Self::Maintenance,
        Self::Removed,
    ];

    /// Whether a node may go from `self` to `to`. Removal has a command of its own, with conditions.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Removed, _) | (_, Self::Joining | Self::Removed) => false,
            (Self::Joining, Self::Active | Self::Maintenance) => true,
            (Self::Joining, Self::Draining) => false,
            (Self::Active | Self::Draining | Self::Maintenance, to) => self != to,
        }
    }

    /// Whether new roles and instances may be placed on such a node.
    #[must_use]
    pub fn accepts_placement(self) -> bool {
        matches!(self, Self::Joining | Self::Active)
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Joining => "joining",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Removed => "removed",
        })
    }
}

/// A managed machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its id, never reused.
    pub id: NodeId,
    /// Its name, unique among nodes that are not removed.
    pub name: NodeName,
    /// The failure domain it stands in.
    pub zone: Option<Zone>,
    /// Labels for people and for placement.
    pub labels: Attributes,
    /// Its share relative to others when load or copies are spread; 0 takes none, 100 is usual.
    pub weight: u32,
    /// How often it has joined.
    pub incarnation: Incarnation,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// Why it stands there, as whoever moved it said.
    pub reason: Note,
    /// When it was added.
    pub created: Revision,
    /// When it was last changed.
    pub modified: Revision,
}

impl Node {
    /// The node in its present life.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            node: self.id,
            incarnation: self.incarnation,
        }
    }

    /// Whether it still belongs to the cluster.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.lifecycle != Lifecycle::Removed
    }
}
