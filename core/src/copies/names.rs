//! Finds an item by its name, and goes through the names in order: a tree of two levels that keeps slots alone,
//! since the names lie in the items.

use super::row::Slab;

/// Most names in a block.
const BLOCK: usize = 512;

/// Slots in the order of their names. No block is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    blocks: Vec<Vec<u32>>,
    count: usize,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The block in which the name stands or would stand, and where in it.
    fn search(&self, slab: &Slab, name: &[u8]) -> (usize, Result<usize, usize>) {
        let begins_before =
            |block: &Vec<u32>| block.first().is_some_and(|slot| slab.name(*slot) <= name);
        let block = self.blocks.partition_point(begins_before).saturating_sub(1);
        let at = self.blocks.get(block).map_or(Err(0), |slots| {
            slots.binary_search_by(|slot| slab.name(*slot).cmp(name))
        });
        (block, at)
    }

    pub(super) fn find(&self, slab: &Slab, name: &[u8]) -> Option<u32> {
        let (block, at) = self.search(slab, name);
        self.blocks.get(block)?.get(at.ok()?).copied()
    }

    /// Adds the slot, whose item is in the slab. A name that is there already stays.
    pub(super) fn insert(&mut self, slab: &Slab, slot: u32) {
        let (block, Err(at)) = self.search(slab, slab.name(slot)) else {
            return;
        };
        self.count = self.count.saturating_add(1);
        let Some(slots) = self.blocks.get_mut(block) else {
            self.blocks.push(vec![slot]);
            return;
        };
        if slots.len() < BLOCK {
            if slots.len() == slots.capacity() {
                slots.reserve_exact((slots.len() / 4).max(8));
            }
            slots.insert(at, slot);
            return;
        }
        // Names that come in order leave full blocks behind them, not half ones.
        let middle = if at == BLOCK { BLOCK } else { BLOCK / 2 };
        let mut right = slots.split_off(middle);
        slots.shrink_to_fit();
        if at < middle {
            slots.insert(at, slot);
        } else {
            right.insert(at.saturating_sub(middle), slot);
        }
        self.blocks.insert(block.saturating_add(1), right);
    }

    /// Takes the slot away, whose item is still in the slab.
    pub(super) fn remove(&mut self, slab: &Slab, slot: u32) {
        let (block, Ok(at)) = self.search(slab, slab.name(slot)) else {
            return;
        };
        self.count = self.count.saturating_sub(1);
        let slots = &mut self.blocks[block];
        slots.remove(at);
        if slots.is_empty() {
            self.blocks.remove(block);
        }
    }

    /// Slots in the order of names, from the first name after `after` on.
    pub(super) fn after(
        &self,
        slab: &Slab,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = u32> + '_ {
        let (block, at) = match after.map(|name| self.search(slab, name)) {
            None => (0, 0),
            Some((block, Ok(at))) => (block, at.saturating_add(1)),
            Some((block, Err(at))) => (block, at),
        };
        let tail = self.blocks.get(block).and_then(|slots| slots.get(at..));
        let rest = self.blocks.iter().skip(block.saturating_add(1));
        let rest = rest.flatten();
        tail.into_iter().flatten().chain(rest).copied()
    }
}
