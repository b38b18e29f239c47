//! A set of small numbers that takes about two bytes for each when they lie close together, and one bit when they
//! are dense. After the array and bitmap containers of Roaring bitmaps (Chambi, Lemire, Kaser, Godin; 2016).

/// Numbers in one block.
const BLOCK: u32 = 4_096;
/// An array of more numbers than this takes more room than the bitmap.
const ARRAY_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Array(Vec<u16>),
    Bits(Box<[u64; 64]>, u32),
}

/// A set of numbers, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SlotSet {
    blocks: Vec<Block>,
    count: u64,
}

fn split(slot: u32) -> (usize, u16) {
    let low = u16::try_from(slot % BLOCK).unwrap_or_default();
    (usize::try_from(slot / BLOCK).unwrap_or(usize::MAX), low)
}

fn bit(low: u16) -> (usize, u64) {
    (usize::from(low / 64), 1 << (low % 64))
}

fn bits(of: &[u16]) -> Box<[u64; 64]> {
    let mut words = Box::new([0_u64; 64]);
    for low in of {
        let (word, mask) = bit(*low);
        words[word] |= mask;
    }
    words
}

impl Block {
    fn insert(&mut self, low: u16) -> bool {
        match self {
            Self::Array(array) => {
                let Err(at) = array.binary_search(&low) else {
                    return false;
                };
                if array.len() == array.capacity() {
                    array.reserve_exact((array.len() / 4).max(4));
                }
                array.insert(at, low);
                if array.len() > ARRAY_MAX {
                    let count = u32::try_from(array.len()).unwrap_or(BLOCK);
                    *self = Self::Bits(bits(array), count);
                }
                true
            }
            Self::Bits(words, count) => {
                let (word, mask) = bit(low);
                let new = words[word] & mask == 0;
                words[word] |= mask;
                *count = count.saturating_add(u32::from(new));
                new
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Self::Array(array) => {
                let found = array.binary_search(&low);
                if let Ok(at) = found {
                    array.remove(at);
                    if array.is_empty() {
                        *array = Vec::new();
                    }
                }
                found.is_ok()
            }
            Self::Bits(words, count) => {
                let (word, mask) = bit(low);
                let there = words[word] & mask != 0;
                words[word] &= !mask;
                *count = count.saturating_sub(u32::from(there));
                if *count == 0 {
                    *self = Self::Array(Vec::new());
                }
                there
            }
        }
    }

    fn collect(&self, base: u32, into: &mut Vec<u32>) {
        match self {
            Self::Array(array) => {
                into.extend(array.iter().map(|low| base.saturating_add((*low).into())));
            }
            Self::Bits(words, _) => {
                for (word, at) in words.iter().zip((0_u32..).step_by(64)) {
                    let mut left = *word;
                    while left != 0 {
                        let low = at.saturating_add(left.trailing_zeros());
                        into.push(base.saturating_add(low));
                        left &= left.wrapping_sub(1);
                    }
                }
            }
        }
    }
}

impl SlotSet {
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn insert(&mut self, slot: u32) {
        let (block, low) = split(slot);
        while self.blocks.len() <= block {
            self.blocks.push(Block::Array(Vec::new()));
        }
        let new = self.blocks[block].insert(low);
        self.count = self.count.saturating_add(new.into());
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let (block, low) = split(slot);
        let there = self.blocks.get_mut(block).is_some_and(|b| b.remove(low));
        self.count = self.count.saturating_sub(there.into());
        if self.count == 0 {
            self.blocks = Vec::new();
        }
    }

    /// Its numbers in order; one block is unpacked at a time.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_from(0)
    }

    /// Those of its numbers that are not below one, in order.
    pub(super) fn iter_from(&self, least: u32) -> impl Iterator<Item = u32> + '_ {
        let (first, _) = split(least);
        let bases = (0_u32..).step_by(usize::try_from(BLOCK).unwrap_or(1));
        let blocks = self.blocks.iter().zip(bases).skip(first);
        let all = blocks.flat_map(|(block, base)| {
            let mut slots = Vec::new();
            block.collect(base, &mut slots);
            slots
        });
        all.skip_while(move |slot| *slot < least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_holds_what_an_ordered_set_holds() {
        let (mut set, mut model) = (SlotSet::default(), BTreeSet::new());
        let mut seed = 1_u64;
        for step in 0..40_000_u32 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let slot = u32::try_from((seed >> 33) % 10_000).unwrap();
            if (seed >> 20) % 100 < if step < 20_000 { 70 } else { 20 } {
                set.insert(slot);
                model.insert(slot);
            } else {
                set.remove(slot);
                model.remove(&slot);
            }
            assert_eq!(set.len(), model.len() as u64);
        }
        assert!(set.iter().eq(model.iter().copied()));
        for slot in model {
            set.remove(slot);
        }
        assert_eq!(set, SlotSet::default());
    }
}
