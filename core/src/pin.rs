//! Pins: an operator's word about a node that outranks every automatic choice.

use crate::{NodeId, Note, Revision, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a pin says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinKind {
    /// Keeps its roles: nothing automatic takes them away.
    Up,
    /// Is given no role.
    Down,
}

impl fmt::Display for PinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// An operator's word about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The node.
    pub node: NodeId,
    /// What it says.
    pub kind: PinKind,
    /// Until when; None until it is taken away. The leader proposes the removal when its own clock
    /// has passed it: `apply` compares no clocks.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Note,
    /// When it was set.
    pub modified: Revision,
}
