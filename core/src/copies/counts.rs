//! How endangered items are, counted as they change and never by looking at all of them.

use super::row::Row;
use super::slots::SlotSet;
use super::stores::{Store, Stores};
use std::{cmp::Reverse, collections::BTreeMap};

/// How endangered an item is: first those with the fewest fresh copies left to read from, then those that lack most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Danger {
    /// Fresh copies on nodes that are not lost.
    pub usable: u8,
    /// By how many the fresh copies that count fall short of those wanted.
    pub missing: Reverse<u8>,
}

/// What one look at an item's copies gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) usable: u8,
    pub(super) counted: u8,
    pub(super) missing: u8,
    pub(super) written: bool,
    pub(super) removed: bool,
    /// Whether it has a copy that could go.
    pub(super) spare: bool,
}

impl Tally {
    pub(super) fn of(row: &Row, stores: &Stores) -> Self {
        let mut tally = Self {
            written: row.is_written(),
            removed: row.is_removed(),
            ..Self::default()
        };
        let mut idle = false;
        let mut leaving = false;
        let mut dropping = false;
        for cell in row.cells() {
            let Some(store) = stores.get(cell.store()) else {
                continue;
            };
            if cell.is_dropping() {
                dropping |= !store.lost;
                continue;
            }
            let counted = cell.is_fresh() && store.counts();
            tally.usable = tally
                .usable
                .saturating_add((cell.is_fresh() && !store.lost).into());
            tally.counted = tally.counted.saturating_add(counted.into());
            idle |= !counted && !store.lost;
            leaving |= store.draining && !store.lost;
        }
        if tally.written {
            tally.missing = row.wanted.saturating_sub(tally.counted);
            tally.spare = tally.missing == 0 && (tally.counted > row.wanted || idle);
        } else {
            tally.spare = leaving;
        }
        tally.spare |= dropping;
        tally
    }

    fn danger(self) -> Danger {
        Danger {
            usable: self.usable,
            missing: Reverse(self.missing),
        }
    }
}

/// Items that are equally endangered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Endangered {
    pub(super) items: SlotSet,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) census: BTreeMap<Danger, u64>,
    pub(super) endangered: BTreeMap<Danger, Endangered>,
    pub(super) spare: SlotSet,
    pub(super) unwritten: u64,
    pub(super) removed: u64,
    pub(super) bytes: u64,
}

impl Counts {
    fn without_data(&mut self, tally: Tally) -> &mut u64 {
        if tally.removed {
            &mut self.removed
        } else {
            &mut self.unwritten
        }
    }

    pub(super) fn add(&mut self, slot: u32, size: u64, tally: Tally) {
        if tally.spare {
            self.spare.insert(slot);
        }
        if !tally.written {
            let count = self.without_data(tally);
            *count = count.saturating_add(1);
            return;
        }
        self.bytes = self.bytes.saturating_add(size);
        let census = self.census.entry(tally.danger()).or_default();
        *census = census.saturating_add(1);
        if tally.missing > 0 {
            let class = self.endangered.entry(tally.danger()).or_default();
            class.items.insert(slot);
            class.bytes = class.bytes.saturating_add(lacking(size, tally));
        }
    }

    pub(super) fn subtract(&mut self, slot: u32, size: u64, tally: Tally) {
        if tally.spare {
            self.spare.remove(slot);
        }
        if !tally.written {
            let count = self.without_data(tally);
            *count = count.saturating_sub(1);
            return;
        }
        self.bytes = self.bytes.saturating_sub(size);
        let danger = tally.danger();
        if let Some(census) = self.census.get_mut(&danger) {
            *census = census.saturating_sub(1);
            if *census == 0 {
                self.census.remove(&danger);
            }
        }
        if let Some(class) = self.endangered.get_mut(&danger) {
            class.items.remove(slot);
            class.bytes = class.bytes.saturating_sub(lacking(size, tally));
            if class.items.len() == 0 {
                self.endangered.remove(&danger);
            }
        }
    }
}

fn lacking(size: u64, tally: Tally) -> u64 {
    size.saturating_mul(tally.missing.into())
}

impl Store {
    pub(super) fn count_fresh(&mut self, size: u64, more: bool) {
        (self.fresh, self.fresh_bytes) = if more {
            (
                self.fresh.saturating_add(1),
                self.fresh_bytes.saturating_add(size),
            )
        } else {
            (
                self.fresh.saturating_sub(1),
                self.fresh_bytes.saturating_sub(size),
            )
        };
    }
}
