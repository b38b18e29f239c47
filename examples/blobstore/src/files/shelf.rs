//! What a node has of each item.

use std::collections::BTreeMap;

use super::Held;

pub(super) type Inventory = BTreeMap<String, Shelf>;

/// What is here of one item.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) versions: BTreeMap<u64, Held>,
    /// Another number after each [`Files::keep`], whether that wrote anything or not.
    pub(super) mark: u64,
}

/// What is here of one item, as a page of the inventory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// The item.
    pub item: String,
    /// The latest version that is here.
    pub latest: u64,
    /// For [`Files::remove_unless_kept`].
    pub mark: u64,
}
