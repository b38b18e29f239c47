//! Items, where they are, and who holds them.

use super::ItemRefusal;
use crate::Header;
use std::collections::BTreeMap;
use tenure_core::{
    Endpoint, NodeId, NodeName, Zone,
    copies::{Checksum, CopyState, ItemName},
};

pub use tenure_core::copies::Located;

/// An item to make known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceItem {
    /// Its name.
    pub name: ItemName,
    /// How many copies are wanted of it, 1 to 16; None for what the policy says, now and when it changes.
    pub copies: Option<u8>,
}

impl PlaceItem {
    /// One of which as many copies are wanted as the policy says.
    #[must_use]
    pub fn new(name: ItemName) -> Self {
        Self { name, copies: None }
    }
}

/// A node that holds copies, as whoever reads from it or writes to it needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderAt {
    /// Its name; None for one that this build cannot read.
    pub name: Option<NodeName>,
    /// Its failure domain, if it has one.
    pub zone: Option<Zone>,
    /// Where its instance of the service is reached; None when it has none (any more).
    pub endpoint: Option<Endpoint>,
}

/// Where items are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// Which state this is of.
    pub header: Header,
    /// In the order in which they were asked for: where each is, or why that is not told.
    pub items: Vec<Result<Located, ItemRefusal>>,
    /// The nodes that are named there.
    pub holders: BTreeMap<NodeId, HolderAt>,
}

impl Locations {
    /// Where a node's instance is reached.
    #[must_use]
    pub fn endpoint(&self, node: NodeId) -> Option<&Endpoint> {
        self.holders.get(&node)?.endpoint.as_ref()
    }
}

/// An item with all of its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemCopies {
    /// Its name.
    pub name: ItemName,
    /// Its version; 0 before the first write.
    pub version: u64,
    /// The checksum of that version, if the service tells any.
    pub checksum: Option<Checksum>,
    /// Its bytes, if told.
    pub size: u64,
    /// How many fresh copies are wanted.
    pub wanted: u32,
    /// How many fresh copies count: on nodes that are neither lost nor to be emptied.
    pub counted: u32,
    /// By node.
    pub copies: Vec<CopyOf>,
}

/// One copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOf {
    /// The node that has it.
    pub node: NodeId,
    /// How fresh it is.
    pub state: CopyState,
    /// Whether the node is not heard from: then the copy is neither read nor counted.
    pub lost: bool,
}

/// Items with all of their copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    /// Which state this is of.
    pub header: Header,
    /// The items.
    pub items: Vec<ItemCopies>,
    /// Whether there are more.
    pub more: bool,
    /// The nodes that are named there.
    pub holders: BTreeMap<NodeId, HolderAt>,
}
