//! Nodes that are lost, return, drain and go: what of theirs counts, and what stands in the way.

use super::counts::Tally;
use super::ledger::name_of;
use super::row::{Cell, Row};
use super::{CopyState, ItemName, Ledger, Obstacles, Refusal, Store};
use crate::NodeId;
use std::collections::BTreeSet;

/// What to do when items would be left with too few fresh copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooFew {
    /// Refuse, and name at most so many of them.
    Refuse {
        /// How many items to name.
        name: usize,
    },
    /// Go on: whoever asked accepted the loss in so many words.
    AcceptLoss,
}

impl Ledger {
    /// The node is lost: what it has stops counting and is not read. Its copies are not forgotten.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn lose(&mut self, node: NodeId) -> Result<(), Refusal> {
        self.turn(node, |store| store.lost = true)
    }

    /// The node is back: what it has and was not overwritten meanwhile counts again.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn regain(&mut self, node: NodeId) -> Result<(), Refusal> {
        self.turn(node, |store| store.lost = false)
    }

    /// The node drains: what it has stops counting and is still read, so that each replacement exists before the
    /// old copy goes.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`]; [`Refusal::WouldLeaveTooFew`] when fewer nodes are left to take copies than an item wants.
    pub fn drain(&mut self, node: NodeId, too_few: TooFew) -> Result<(), Refusal> {
        if let TooFew::Refuse { name } = too_few {
            self.refuse(node, self.drain_obstacles(node, name)?)?;
        }
        self.turn(node, |store| store.draining = true)
    }

    /// The node no longer drains.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn stop_drain(&mut self, node: NodeId) -> Result<(), Refusal> {
        self.turn(node, |store| store.draining = false)
    }

    /// Takes which data the node has as it was stored: nothing of what it has changes by that.
    pub(crate) fn set_folder(&mut self, node: NodeId, folder: u64) -> Result<(), Refusal> {
        let number = self.stores.number(node)?;
        if let Some(store) = self.stores.get_mut(number) {
            store.folder = folder;
        }
        Ok(())
    }

    /// The node says which data it has. When these are not those that it had, nothing of what it had is there any more: its
    /// copies are to be made anew.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn renew(&mut self, node: NodeId, folder: u64) -> Result<(), Refusal> {
        let number = self.stores.number(node)?;
        let known = self.stores.get(number).map_or(0, Store::folder);
        if let Some(store) = self.stores.get_mut(number) {
            store.folder = folder;
        }
        if known == 0 || known == folder {
            return Ok(());
        }
        for slot in self.slots_of(number) {
            let dropping = |row: &Row| row.cell(number).is_some_and(Cell::is_dropping);
            if self.slab.get(slot).is_some_and(dropping) {
                self.change(slot, |row| row.remove(number));
                self.forget_if_gone(slot);
            } else {
                self.change(slot, |row| row.set(number, CopyState::Syncing));
            }
        }
        Ok(())
    }

    /// Names of the items of which the node has a copy in any state, removed ones too.
    #[must_use]
    pub fn items_on(&self, node: NodeId) -> Vec<ItemName> {
        let Ok(number) = self.stores.number(node) else {
            return Vec::new();
        };
        let rows = self.slots_of(number).into_iter();
        rows.filter_map(|slot| name_of(self.slab.get(slot)?))
            .collect()
    }

    /// Whether nothing of the node is left in the ledger, so that its removal loses nothing.
    #[must_use]
    pub fn is_evacuated(&self, node: NodeId) -> bool {
        self.store(node).is_none_or(|store| store.items.len() == 0)
    }

    /// The node is gone for good, and its copies with it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`]; [`Refusal::WouldLeaveTooFew`] when a copy of its is needed: repair first, or accept the loss.
    pub fn remove_node(&mut self, node: NodeId, too_few: TooFew) -> Result<(), Refusal> {
        if let TooFew::Refuse { name } = too_few {
            self.refuse(node, self.removal_obstacles(node, name)?)?;
        }
        self.empty(node)?;
        self.stores.remove(node);
        Ok(())
    }

    /// Forgets all copies on a node: the caller has refused, or accepted, the loss.
    pub(crate) fn empty(&mut self, node: NodeId) -> Result<(), Refusal> {
        let number = self.stores.number(node)?;
        for slot in self.slots_of(number) {
            self.change(slot, |row| row.remove(number));
            self.forget_if_gone(slot);
        }
        Ok(())
    }

    /// Items of which a copy could not be replaced elsewhere if the node drained, as the nodes stand now: there are too few
    /// others, or too few zones where there were enough.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn drain_obstacles(&self, node: NodeId, name: usize) -> Result<Obstacles, Refusal> {
        let takers: Vec<&Store> = self.stores().filter(|store| store.takes_copies()).collect();
        let zones = |left: &[&Store]| {
            let zones: BTreeSet<_> = left.iter().map(|store| store.zone()).collect();
            zones.len()
        };
        let before = zones(&takers);
        let left: Vec<&Store> = takers.into_iter().filter(|it| it.node != node).collect();
        let (nodes, after) = (left.len(), zones(&left));
        let spread = self.policy.spread_zones;
        self.obstacles(node, name, |row, number| {
            let wanted = usize::from(row.wanted);
            let has = row.cell(number).is_some_and(|cell| !cell.is_dropping());
            let apart = spread && before >= wanted && after < wanted;
            has && !row.is_removed() && (nodes < wanted || apart)
        })
    }

    /// Items that would be left with too few fresh copies if the node went now.
    ///
    /// # Errors
    /// [`Refusal::NoSuchNode`].
    pub fn removal_obstacles(&self, node: NodeId, name: usize) -> Result<Obstacles, Refusal> {
        self.obstacles(node, name, |row, number| self.is_needed(row, number))
    }

    fn obstacles(
        &self,
        node: NodeId,
        name: usize,
        stands_in_the_way: impl Fn(&Row, u16) -> bool,
    ) -> Result<Obstacles, Refusal> {
        let number = self.stores.number(node)?;
        let mut count = 0_u64;
        let mut first: BTreeSet<&[u8]> = BTreeSet::new();
        let rows = self.slots_of(number).into_iter();
        for row in rows.filter_map(|slot| self.slab.get(slot)) {
            if !stands_in_the_way(row, number) {
                continue;
            }
            count = count.saturating_add(1);
            first.insert(row.name());
            if first.len() > name {
                first.pop_last();
            }
        }
        let item = |name: &[u8]| -> Option<ItemName> {
            let slot = self.names.find(&self.slab, name)?;
            name_of(self.slab.get(slot)?)
        };
        let first = first.into_iter().filter_map(item).collect();
        Ok(Obstacles { count, first })
    }

    fn refuse(&self, node: NodeId, obstacles: Obstacles) -> Result<(), Refusal> {
        if obstacles.count == 0 {
            return Ok(());
        }
        Err(Refusal::WouldLeaveTooFew { node, obstacles })
    }

    fn slots_of(&self, number: u16) -> Vec<u32> {
        let store = self.stores.get(number);
        store.map_or_else(Vec::new, |store| store.items.iter().collect())
    }

    /// Changes how a node stands, and with it what every item counts that has a copy there. No item is written, and each is
    /// looked at once, in the order in which they lie in memory.
    fn turn(&mut self, node: NodeId, turn: impl Fn(&mut Store)) -> Result<(), Refusal> {
        let number = self.stores.number(node)?;
        let slots = self.slots_of(number);
        let Some(store) = self.stores.get_mut(number) else {
            return Ok(());
        };
        let was = (store.lost, store.draining);
        turn(store);
        let is = (store.lost, store.draining);
        for slot in slots {
            let Some(row) = self.slab.get(slot) else {
                continue;
            };
            self.stores.stand(number, was);
            let old = Tally::of(row, &self.stores);
            self.stores.stand(number, is);
            let new = Tally::of(row, &self.stores);
            if old != new {
                self.counts.subtract(slot, row.size, old);
                self.counts.add(slot, row.size, new);
            }
        }
        Ok(())
    }
}
