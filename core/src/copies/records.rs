//! What is stored of the copies of a service: a row for each item, and one for each node of which more is known than its
//! record says.

use super::Item;
use crate::{NodeId, Revision, ServiceName};

/// An item of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRecord {
    /// The service.
    pub service: ServiceName,
    /// The item, as it is stored.
    pub item: Item,
}

/// What is known of a node as a holder of copies, beside what its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRecord {
    /// The service.
    pub service: ServiceName,
    /// The node.
    pub node: NodeId,
    /// Whether it is lost: what it has is neither read nor counted.
    pub lost: bool,
    /// Names its data, as it said last; 0 while it has not.
    pub folder: u64,
}

/// A rebalance that runs or rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalance {
    /// The service.
    pub service: ServiceName,
    /// Whether it rests.
    pub paused: bool,
    /// When it was last started, paused or resumed: the index of that entry.
    pub since: Revision,
}
