//! Pauses: an operator's word that nothing automatic happens for a while.

use crate::{NodeId, Note, Revision, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// For what nothing automatic happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// For every service.
    Cluster,
    /// For one service.
    Service(ServiceName),
    /// Nothing is taken from this node, and it is given nothing.
    Node(NodeId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => write!(f, "the cluster"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

/// Nothing automatic happens. What is asked for by an operator still does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// For what.
    pub scope: Scope,
    /// Until when; None until it is taken away. The leader proposes the removal when its own clock
    /// has passed it: `apply` compares no clocks.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Note,
    /// When it was set.
    pub modified: Revision,
}
