//! Finds an item by its name, and goes through the names in order: a tree of two levels that keeps slots alone, since the
//! names lie in the items. To look at an item's name costs a miss of the cache, so a block also has one byte of each
//! name's key, by which an exact name is found without looking at the others.

use super::placement::key_of;
use super::row::Slab;

/// Most names in a block.
const BLOCK: usize = 512;

#[derive(Debug, Clone, Default)]
struct Block {
    /// No name in the block is smaller (the first block aside), and every name in the block before is.
    least: Box<[u8]>,
    /// In the order of their names.
    slots: Vec<u32>,
    /// A byte of each name's key, in the same order.
    prints: Vec<u8>,
}

fn print(name: &[u8]) -> u8 {
    let [first, ..] = key_of(name).to_le_bytes();
    first
}

impl Block {
    fn find(&self, slab: &Slab, name: &[u8]) -> Option<u32> {
        let wanted = print(name);
        let alike = self.prints.iter().zip(&self.slots);
        let mut alike = alike.filter(|(print, _)| **print == wanted);
        let found = alike.find(|(_, slot)| slab.name(**slot) == name);
        found.map(|(_, slot)| *slot)
    }

    fn search(&self, slab: &Slab, name: &[u8]) -> Result<usize, usize> {
        let compare = |slot: &u32| slab.name(*slot).cmp(name);
        self.slots.binary_search_by(compare)
    }

    fn insert(&mut self, at: usize, slot: u32, print: u8) {
        if self.slots.len() == self.slots.capacity() {
            let more = (self.slots.len() / 4).max(8);
            self.slots.reserve_exact(more);
            self.prints.reserve_exact(more);
        }
        self.slots.insert(at, slot);
        self.prints.insert(at, print);
    }

    /// Keeps the first `middle` names; the others are the block returned.
    fn split(&mut self, slab: &Slab, middle: usize) -> Self {
        let slots = self.slots.split_off(middle);
        let prints = self.prints.split_off(middle);
        self.slots.shrink_to_fit();
        self.prints.shrink_to_fit();
        let least = slots.first().map_or(&[][..], |slot| slab.name(*slot));
        Self {
            least: least.into(),
            slots,
            prints,
        }
    }
}

/// Slots in the order of their names. No block is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    blocks: Vec<Block>,
    count: usize,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The block in which the name stands or would stand.
    fn block_of(&self, name: &[u8]) -> usize {
        let begins_before = |block: &Block| *block.least <= *name;
        self.blocks.partition_point(begins_before).saturating_sub(1)
    }

    pub(super) fn find(&self, slab: &Slab, name: &[u8]) -> Option<u32> {
        self.blocks.get(self.block_of(name))?.find(slab, name)
    }

    /// Adds the slot, whose item is in the slab. A name that is there already stays.
    pub(super) fn insert(&mut self, slab: &Slab, slot: u32) {
        let name = slab.name(slot);
        let print = print(name);
        let number = self.block_of(name);
        let Some(block) = self.blocks.get_mut(number) else {
            let (slots, prints) = (vec![slot], vec![print]);
            let least = Box::default();
            self.blocks.push(Block {
                least,
                slots,
                prints,
            });
            self.count = 1;
            return;
        };
        let Err(at) = block.search(slab, name) else {
            return;
        };
        self.count = self.count.saturating_add(1);
        if block.slots.len() < BLOCK {
            block.insert(at, slot, print);
            return;
        }
        // Names that come in order leave full blocks behind them, not half ones.
        let middle = if at == BLOCK { BLOCK } else { BLOCK / 2 };
        let mut right = block.split(slab, middle);
        if at < middle {
            block.insert(at, slot, print);
        } else {
            let at = at.saturating_sub(middle);
            right.insert(at, slot, print);
            if at == 0 {
                right.least = name.into();
            }
        }
        self.blocks.insert(number.saturating_add(1), right);
    }

    /// Takes the slot away, whose item is still in the slab.
    pub(super) fn remove(&mut self, slab: &Slab, slot: u32) {
        let name = slab.name(slot);
        let number = self.block_of(name);
        let Some(block) = self.blocks.get_mut(number) else {
            return;
        };
        let Ok(at) = block.search(slab, name) else {
            return;
        };
        self.count = self.count.saturating_sub(1);
        block.slots.remove(at);
        block.prints.remove(at);
        if block.slots.is_empty() {
            self.blocks.remove(number);
        }
    }

    /// Slots in the order of names, from the first name after `after` on.
    pub(super) fn after(
        &self,
        slab: &Slab,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = u32> + '_ {
        let number = after.map_or(0, |name| self.block_of(name));
        let block = self.blocks.get(number);
        let at = match (block, after) {
            (Some(block), Some(name)) => match block.search(slab, name) {
                Ok(at) => at.saturating_add(1),
                Err(at) => at,
            },
            (Some(_), None) | (None, _) => 0,
        };
        let tail = block.and_then(|block| block.slots.get(at..));
        let rest = self.blocks.iter().skip(number.saturating_add(1));
        let rest = rest.flat_map(|block| &block.slots);
        tail.into_iter().flatten().chain(rest).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_finds_and_orders_what_an_ordered_map_does() {
        let (mut slab, mut names) = (Slab::default(), Names::default());
        let mut model: BTreeMap<String, u32> = BTreeMap::new();
        let mut seed = 1_u64;
        for step in 0..12_000_u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // First in order, then out of it, then mostly removals.
            let of = if step < 3_000 {
                10_000 + step
            } else {
                (seed >> 33) % 16_000
            };
            let name = format!("item-{of:05}");
            let removes = (seed >> 20) % 100 < if step < 8_000 { 10 } else { 80 };
            let known = model.get(&name).copied();
            assert_eq!(names.find(&slab, name.as_bytes()), known);
            match known {
                Some(slot) if removes => {
                    names.remove(&slab, slot);
                    slab.remove(slot);
                    model.remove(&name);
                }
                None if !removes => {
                    let slot = slab.insert(Row::new(&name, 3));
                    names.insert(&slab, slot);
                    model.insert(name.clone(), slot);
                }
                Some(_) | None => {}
            }
            if step % 500 == 0 {
                let from = model.range::<String, _>((
                    std::ops::Bound::Excluded(name.clone()),
                    std::ops::Bound::Unbounded,
                ));
                assert!(
                    names
                        .after(&slab, Some(name.as_bytes()))
                        .eq(from.map(|(_, slot)| *slot))
                );
                assert!(names.after(&slab, None).eq(model.values().copied()));
                assert_eq!(names.len(), model.len());
            }
        }
    }
}
