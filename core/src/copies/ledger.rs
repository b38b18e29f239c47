//! Which copies there are of the items of one service, and how fresh each is; what is asked of it is counted, not searched.

use super::counts::{Counts, Danger, Tally};
use super::item::COPIES_MAX;
use super::names::Names;
use super::row::{Cell, Row, Slab};
use super::stores::{Store, Stores};
use super::{CopyState, ItemId, ItemName, Refusal};
use crate::{CopiesPolicy, NodeId, Zone};
use std::collections::BTreeMap;

/// The items of one service of the kind `copies`, and their copies.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub(super) policy: CopiesPolicy,
    pub(super) slab: Slab,
    pub(super) names: Names,
    pub(super) stores: Stores,
    pub(super) counts: Counts,
}

/// What a service has, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Items known.
    pub items: u64,
    /// Of these, placed and not yet written.
    pub unwritten: u64,
    /// Bytes of all written items, each counted once.
    pub bytes: u64,
    /// Written items by their fresh copies on nodes that are not lost.
    pub by_usable: BTreeMap<u8, u64>,
    /// Items with fewer fresh copies that count than are wanted.
    pub under_replicated: u64,
    /// Bytes of the copies that these lack.
    pub missing_bytes: u64,
    /// Items of which a copy could go.
    pub spare: u64,
}

/// The copies of an item before a change.
struct Held {
    cells: [Cell; COPIES_MAX],
    count: usize,
    size: u64,
}

impl Held {
    fn of(row: &Row) -> Self {
        let mut cells = [Cell::new(0, CopyState::InSync); COPIES_MAX];
        let held = row.cells();
        cells.split_at_mut(held.len()).0.copy_from_slice(held);
        Self {
            cells,
            count: held.len(),
            size: row.size,
        }
    }

    fn cells(&self) -> &[Cell] {
        self.cells.split_at(self.count).0
    }

    fn has(&self, store: u16) -> bool {
        self.cells().iter().any(|cell| cell.store() == store)
    }
}

impl Ledger {
    /// An empty ledger. Copies wanted and the minimum for a write come from the service's policy.
    #[must_use]
    pub fn new(policy: CopiesPolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// The service's policy.
    #[must_use]
    pub fn policy(&self) -> &CopiesPolicy {
        &self.policy
    }

    /// Takes a policy. Where it wants another number of copies, each item that follows it is looked at.
    pub fn set_policy(&mut self, policy: CopiesPolicy) {
        let moved = policy.copies != self.policy.copies;
        self.policy = policy;
        let Some(wanted) = self.wanted(0).ok().filter(|_| moved) else {
            return;
        };
        for slot in 0..self.slab.end() {
            if self.slab.get(slot).is_some_and(|row| row.follows) {
                self.change(slot, |row| row.wanted = wanted);
            }
        }
    }

    /// Makes a node known as a holder of copies.
    ///
    /// # Errors
    /// [`Refusal::NodeKnown`]; [`Refusal::TooMany`] when the service has 16,384 of them.
    pub fn add_node(
        &mut self,
        node: NodeId,
        zone: Option<Zone>,
        weight: u32,
    ) -> Result<(), Refusal> {
        self.stores.add(node, zone, weight)
    }

    /// Takes a node's zone and weight. No copy moves by that alone.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn set_node(
        &mut self,
        node: NodeId,
        zone: Option<Zone>,
        weight: u32,
    ) -> Result<(), Refusal> {
        let number = self.stores.number(node)?;
        if let Some(store) = self.stores.get_mut(number) {
            (store.zone, store.weight) = (zone, weight);
        }
        Ok(())
    }

    /// Nodes that hold copies or may, by id.
    pub fn stores(&self) -> impl Iterator<Item = &Store> {
        self.stores.iter().map(|(_, store)| store)
    }

    /// One of them.
    #[must_use]
    pub fn store(&self, node: NodeId) -> Option<&Store> {
        self.stores.get(self.stores.number(node).ok()?)
    }

    /// The numbers of the service. Their cost does not grow with the items.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            items: self.count(),
            unwritten: self.counts.unwritten,
            bytes: self.counts.bytes,
            spare: self.counts.spare.len(),
            ..Summary::default()
        };
        for (danger, count) in &self.counts.census {
            let items = summary.by_usable.entry(danger.usable).or_default();
            *items = items.saturating_add(*count);
        }
        for class in self.counts.endangered.values() {
            summary.under_replicated = summary.under_replicated.saturating_add(class.items.len());
            summary.missing_bytes = summary.missing_bytes.saturating_add(class.bytes);
        }
        summary
    }

    /// How many written items are how endangered, the most endangered first; those that lack nothing are among them.
    pub fn census(&self) -> impl Iterator<Item = (Danger, u64)> {
        self.counts
            .census
            .iter()
            .map(|(danger, count)| (*danger, *count))
    }

    /// Items that lack copies, the most endangered first.
    pub fn under_replicated(&self) -> impl Iterator<Item = (Danger, ItemId)> {
        let classes = self.counts.endangered.iter();
        classes.flat_map(|(danger, class)| class.items.iter().map(|slot| (*danger, ItemId(slot))))
    }

    /// How many items there are, without those that were removed.
    #[must_use]
    pub fn count(&self) -> u64 {
        let known = u64::try_from(self.names.len()).unwrap_or(u64::MAX);
        known.saturating_sub(self.counts.removed)
    }

    /// The item of this name.
    #[must_use]
    pub fn find(&self, name: &ItemName) -> Option<ItemId> {
        self.row(name).ok().map(|(slot, _)| ItemId(slot))
    }

    pub(super) fn insert(&mut self, row: Row) -> ItemId {
        let slot = self.slab.insert(row);
        self.names.insert(&self.slab, slot);
        if let Some(row) = self.slab.get(slot) {
            let tally = Tally::of(row, &self.stores);
            self.counts.add(slot, row.size, tally);
            let held = Held::of(row);
            self.count_copies(slot, None, Some(&held));
        }
        ItemId(slot)
    }

    pub(super) fn delete(&mut self, slot: u32) {
        if let Some(row) = self.slab.get(slot) {
            let tally = Tally::of(row, &self.stores);
            self.counts.subtract(slot, row.size, tally);
            let held = Held::of(row);
            self.count_copies(slot, Some(&held), None);
        }
        self.names.remove(&self.slab, slot);
        self.slab.remove(slot);
    }

    /// Changes an item and everything that is counted of it.
    pub(super) fn change(&mut self, slot: u32, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.slab.get_mut(slot) else {
            return;
        };
        let (before, old) = (Held::of(row), Tally::of(row, &self.stores));
        change(row);
        let (after, new) = (Held::of(row), Tally::of(row, &self.stores));
        if (old, before.size) != (new, after.size) {
            self.counts.subtract(slot, before.size, old);
            self.counts.add(slot, after.size, new);
        }
        self.count_copies(slot, Some(&before), Some(&after));
    }

    fn count_copies(&mut self, slot: u32, before: Option<&Held>, after: Option<&Held>) {
        for (held, other, more) in [(before, after, false), (after, before, true)] {
            let Some(held) = held else { continue };
            for cell in held.cells() {
                let Some(store) = self.stores.get_mut(cell.store()) else {
                    continue;
                };
                if cell.is_fresh() {
                    store.count_fresh(held.size, more);
                }
                let stays = other.is_some_and(|other| other.has(cell.store()));
                match (stays, more) {
                    (true, _) => {}
                    (false, true) => store.items.insert(slot),
                    (false, false) => store.items.remove(slot),
                }
            }
        }
    }

    pub(super) fn row(&self, name: &ItemName) -> Result<(u32, &Row), Refusal> {
        let slot = self.names.find(&self.slab, name.as_str().as_bytes());
        let found = slot.and_then(|slot| Some((slot, self.slab.get(slot)?)));
        let found = found.filter(|(_, row)| !row.is_removed());
        found.ok_or_else(|| Refusal::NoSuchItem(name.clone()))
    }

    /// How many copies are wanted of an item of which so many are asked for; 0 for what the policy says.
    pub(super) fn wanted(&self, asked: u8) -> Result<u8, Refusal> {
        let wanted = match asked {
            0 => u8::try_from(self.policy.copies).unwrap_or(u8::MAX),
            some => some,
        };
        check_wanted(wanted)?;
        Ok(wanted)
    }

    pub(super) fn tally(&self, row: &Row) -> Tally {
        Tally::of(row, &self.stores)
    }
}

pub(super) fn name_of(row: &Row) -> Option<ItemName> {
    let text = std::str::from_utf8(row.name()).ok()?;
    ItemName::new(text).ok()
}

pub(super) fn check_wanted(wanted: u8) -> Result<(), Refusal> {
    if wanted == 0 || wanted > super::item::WANTED_MAX {
        return Err(Refusal::BadWanted(wanted));
    }
    Ok(())
}

pub(super) fn check_copies(given: usize) -> Result<(), Refusal> {
    if given > COPIES_MAX {
        return Err(Refusal::TooMany {
            what: "copies of one item",
            given,
            max: COPIES_MAX,
        });
    }
    Ok(())
}
