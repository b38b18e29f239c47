//! An item as it is shown, as it is stored, and as it returns from what was stored.

use super::item::ITEMS_PER_REQUEST_MAX;
use super::ledger::{check_copies, name_of};
use super::row::{Cell, Row};
use super::{Checksum, CopyState, ItemId, ItemName, Ledger, Refusal, Stage, Store};
use crate::NodeId;

/// An item as it is stored or shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: ItemName,
    /// The version of its data; 0 before the first write.
    pub version: u64,
    /// The checksum of that version, if the service tells checksums.
    pub checksum: Option<Checksum>,
    /// Bytes of that version; 0 when the service does not tell sizes.
    pub size: u64,
    /// How many fresh copies are wanted; 0 in what is stored of one that follows the policy.
    pub wanted: u8,
    /// Whether that is what the policy says, and changes with it.
    pub follows: bool,
    /// Where it stands.
    pub stage: Stage,
    /// Its copies by node.
    pub copies: Vec<(NodeId, CopyState)>,
}

impl Ledger {
    /// An item as it is shown.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<Item> {
        self.told(id.0, Store::shown)
    }

    /// An item as it is stored, one that was removed too: how a node stands is not part of it.
    #[must_use]
    pub fn stored(&self, name: &ItemName) -> Option<Item> {
        let slot = self.names.find(&self.slab, name.as_str().as_bytes());
        self.as_stored(slot?)
    }

    /// All items as they are stored, in the order of their names.
    pub fn all_stored(&self) -> impl Iterator<Item = Item> {
        let slots = self.names.after(&self.slab, None);
        slots.filter_map(|slot| self.as_stored(slot))
    }

    fn as_stored(&self, slot: u32) -> Option<Item> {
        let item = self.told(slot, |_, cell| cell.state())?;
        let wanted = if item.follows { 0 } else { item.wanted };
        Some(Item { wanted, ..item })
    }

    /// The name of an item.
    #[must_use]
    pub fn name(&self, id: ItemId) -> Option<ItemName> {
        name_of(self.slab.get(id.0)?)
    }

    /// The version that an item is at, or was at when it was removed; 0 when it is not known.
    #[must_use]
    pub fn version(&self, id: ItemId) -> u64 {
        self.slab.get(id.0).map_or(0, |row| row.version)
    }

    /// Whether a node has a copy of an item that is to be brought up to date.
    #[must_use]
    pub fn is_unfinished(&self, id: ItemId, node: NodeId) -> bool {
        let (row, number) = (self.slab.get(id.0), self.stores.number(node).ok());
        let cell = row.zip(number).and_then(|(row, number)| row.cell(number));
        cell.is_some_and(|cell| !cell.is_fresh() && !cell.is_dropping())
    }

    /// The state of a node's copy of the item that is called so; None when there is none.
    #[must_use]
    pub fn copy_state(&self, id: ItemId, name: &ItemName, node: NodeId) -> Option<CopyState> {
        let row = self.slab.get(id.0)?;
        let number = self.stores.number(node).ok()?;
        let cell = row.cell(number)?;
        let store = self.stores.get(number)?;
        (row.name() == name.as_str().as_bytes()).then(|| store.shown(cell))
    }

    fn told(&self, slot: u32, state: impl Fn(&Store, Cell) -> CopyState) -> Option<Item> {
        let row = self.slab.get(slot)?;
        let shown = |cell: &Cell| {
            let store = self.stores.get(cell.store())?;
            Some((store.node, state(store, *cell)))
        };
        let mut copies: Vec<_> = row.cells().iter().filter_map(shown).collect();
        copies.sort_unstable();
        Some(Item {
            name: name_of(row)?,
            version: row.version,
            checksum: row.checksum(),
            size: row.size,
            wanted: row.wanted,
            follows: row.follows,
            stage: row.stage,
            copies,
        })
    }

    /// Items in the order of their names, from the first after `after` on; at most 4,096 of them.
    #[must_use]
    pub fn list(&self, after: Option<&ItemName>, limit: usize) -> Vec<Item> {
        let after = after.map(|name| name.as_str().as_bytes());
        let slots = self.names.after(&self.slab, after);
        let items = slots.filter_map(|slot| self.item(ItemId(slot)));
        let items = items.filter(|item| item.stage != Stage::Removed);
        items.take(limit.min(ITEMS_PER_REQUEST_MAX)).collect()
    }

    /// Forgets an item as if it had never been: before another state of it is taken from what was stored.
    pub(crate) fn forget(&mut self, name: &ItemName) {
        if let Some(slot) = self.names.find(&self.slab, name.as_str().as_bytes()) {
            self.delete(slot);
        }
    }

    /// Takes an item as it was stored: for a snapshot's return.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`] when a copy's node was not added first; [`Refusal::BadWanted`];
    /// [`Refusal::TooMany`] copies; [`Refusal::AlreadyACopy`] when a node stands twice; [`Refusal::Changed`] when the
    /// item is there.
    pub fn restore(&mut self, item: &Item) -> Result<ItemId, Refusal> {
        let wanted = self.wanted(if item.follows { 0 } else { item.wanted })?;
        check_copies(item.copies.len())?;
        if let Some(known) = self.stored(&item.name) {
            let (item, expected, actual) = (item.name.clone(), 0, known.version);
            return Err(Refusal::Changed {
                item,
                expected,
                actual,
            });
        }
        let mut row = Row::new(item.name.as_str(), wanted);
        (row.version, row.size) = (item.version, item.size);
        (row.stage, row.follows) = (item.stage, item.follows);
        row.set_checksum(item.checksum);
        for (node, state) in &item.copies {
            let number = self.stores.number(*node)?;
            if row.cell(number).is_some() {
                let (item, node) = (item.name.clone(), *node);
                return Err(Refusal::AlreadyACopy { item, node });
            }
            let fresh = matches!(state, CopyState::InSync | CopyState::Leaving);
            row.set(
                number,
                if fresh && item.stage != Stage::Written {
                    CopyState::Syncing
                } else {
                    *state
                },
            );
        }
        Ok(self.insert(row))
    }
}

/// Two ledgers are equal when they say the same; where their items lie in memory is of no matter.
impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        let stores = |ledger: &Self| -> Vec<_> {
            let stand = |store: &Store| {
                let ways = (store.is_lost(), store.is_draining(), store.folder());
                (store.node(), store.zone().cloned(), store.weight(), ways)
            };
            ledger.stores().map(stand).collect()
        };
        self.policy == other.policy
            && self.names.len() == other.names.len()
            && stores(self) == stores(other)
            && self.all_stored().eq(other.all_stored())
    }
}

impl Eq for Ledger {}
