//! What is here, as it is known without touching the disk.

use std::collections::BTreeMap;

use super::Sum;

/// One version of an item, as the inventory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The checksum of its data.
    pub sum: Sum,
    /// Its bytes.
    pub size: u64,
}

pub(super) type Inventory = BTreeMap<String, Shelf>;

/// What is here of one item.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) versions: BTreeMap<u64, Held>,
    /// Another number after each [`super::Files::keep`], whether that wrote anything or not.
    pub(super) mark: u64,
}

/// What is here of one item, as a page of the inventory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// The item.
    pub item: String,
    /// The latest version that is here.
    pub latest: u64,
    /// For [`super::Files::remove_unless_kept`].
    pub mark: u64,
}
