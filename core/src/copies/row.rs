//! One item as it lies in memory, and where items lie: packed, because there are a million.

use super::item::COPIES_MAX;
use super::{Checksum, CopyState, Stage};

/// Copies kept in the item itself; more go to a block of their own.
const INLINE: usize = 6;
/// Items in one block of the slab.
const BLOCK: usize = 1_024;
/// Most stores of one service: what the bits left beside a state can number.
pub(crate) const STORES_MAX: usize = 1 << 14;

/// A copy: the store's number and a state, in two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell(u16);

impl Cell {
    pub(super) fn new(store: u16, state: CopyState) -> Self {
        Self((store << 2) | code(state))
    }

    pub(super) fn store(self) -> u16 {
        self.0 >> 2
    }

    /// Never [`CopyState::Leaving`]: that follows from the node.
    pub(super) fn state(self) -> CopyState {
        match self.0 & 3 {
            0 => CopyState::InSync,
            1 => CopyState::Syncing,
            2 => CopyState::Stale,
            _ => CopyState::Dropping,
        }
    }

    /// Whether it was let go.
    pub(super) fn is_dropping(self) -> bool {
        self.0 & 3 == 3
    }

    pub(super) fn is_fresh(self) -> bool {
        self.0 & 3 == 0
    }
}

fn code(state: CopyState) -> u16 {
    match state {
        CopyState::InSync | CopyState::Leaving => 0,
        CopyState::Syncing => 1,
        CopyState::Stale => 2,
        CopyState::Dropping => 3,
    }
}

#[derive(Debug, Clone)]
enum Cells {
    Few(u8, [Cell; INLINE]),
    Many(u8, Box<[Cell; COPIES_MAX]>),
}

/// An item. Name and checksum share one allocation.
#[derive(Debug, Clone)]
pub(super) struct Row {
    text: Box<[u8]>,
    pub(super) version: u64,
    pub(super) size: u64,
    cells: Cells,
    name_length: u8,
    pub(super) wanted: u8,
    pub(super) stage: Stage,
    /// Whether as many copies are wanted as the policy says.
    pub(super) follows: bool,
}

impl Row {
    pub(super) fn new(name: &str, wanted: u8) -> Self {
        Self {
            text: name.as_bytes().into(),
            version: 0,
            size: 0,
            cells: Cells::Few(0, [Cell(0); INLINE]),
            name_length: u8::try_from(name.len()).unwrap_or(u8::MAX),
            wanted,
            stage: Stage::Vacant,
            follows: false,
        }
    }

    /// Whether there are data of it.
    pub(super) fn is_written(&self) -> bool {
        self.stage == Stage::Written
    }

    pub(super) fn is_removed(&self) -> bool {
        self.stage == Stage::Removed
    }

    /// The name: names are compared as bytes, which orders UTF-8 as text.
    pub(super) fn name(&self) -> &[u8] {
        self.text.split_at(self.name_length.into()).0
    }

    pub(super) fn checksum(&self) -> Option<Checksum> {
        Checksum::new(self.text.split_at(self.name_length.into()).1).ok()
    }

    pub(super) fn checksum_length(&self) -> usize {
        self.text.len().saturating_sub(self.name_length.into())
    }

    pub(super) fn set_checksum(&mut self, checksum: Option<Checksum>) {
        let new = checksum.as_ref().map_or(&[][..], Checksum::as_bytes);
        if new.len() == self.checksum_length() {
            self.text
                .split_at_mut(self.name_length.into())
                .1
                .copy_from_slice(new);
        } else {
            self.text = [self.name(), new].concat().into();
        }
    }

    pub(super) fn cells(&self) -> &[Cell] {
        match &self.cells {
            Cells::Few(count, cells) => cells.split_at(usize::from(*count)).0,
            Cells::Many(count, cells) => cells.split_at(usize::from(*count)).0,
        }
    }

    pub(super) fn cell(&self, store: u16) -> Option<Cell> {
        self.cells()
            .iter()
            .copied()
            .find(|cell| cell.store() == store)
    }

    /// Adds or changes the copy of a store. The caller has seen that there is room.
    pub(super) fn set(&mut self, store: u16, state: CopyState) {
        let at = self.cells().iter().position(|cell| cell.store() == store);
        let new = Cell::new(store, state);
        match (&mut self.cells, at) {
            (Cells::Few(_, cells), Some(at)) => cells[at] = new,
            (Cells::Many(_, cells), Some(at)) => cells[at] = new,
            (Cells::Few(count, cells), None) if usize::from(*count) < INLINE => {
                cells[usize::from(*count)] = new;
                *count = count.saturating_add(1);
            }
            (Cells::Few(..) | Cells::Many(..), None) => self.push_away(new),
        }
    }

    fn push_away(&mut self, new: Cell) {
        let mut all = self.cells().to_vec();
        all.push(new);
        self.replace(&all);
    }

    pub(super) fn remove(&mut self, store: u16) {
        let mut all = self.cells().to_vec();
        all.retain(|cell| cell.store() != store);
        self.replace(&all);
    }

    fn replace(&mut self, all: &[Cell]) {
        let all = all.get(..COPIES_MAX).unwrap_or(all);
        let count = u8::try_from(all.len()).unwrap_or_default();
        self.cells = if all.len() <= INLINE {
            let mut cells = [Cell(0); INLINE];
            cells.split_at_mut(all.len()).0.copy_from_slice(all);
            Cells::Few(count, cells)
        } else {
            let mut cells = Box::new([Cell(0); COPIES_MAX]);
            cells.split_at_mut(all.len()).0.copy_from_slice(all);
            Cells::Many(count, cells)
        };
    }
}

/// All items of a service by slot. Blocks, because one vector of them all would have to be copied to grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Slab {
    blocks: Vec<Vec<Option<Row>>>,
    free: Vec<u32>,
    end: u32,
}

fn split(slot: u32) -> (usize, usize) {
    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
    (slot / BLOCK, slot % BLOCK)
}

impl Slab {
    pub(super) fn get(&self, slot: u32) -> Option<&Row> {
        let (block, at) = split(slot);
        self.blocks.get(block)?.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Row> {
        let (block, at) = split(slot);
        self.blocks.get_mut(block)?.get_mut(at)?.as_mut()
    }

    pub(super) fn name(&self, slot: u32) -> &[u8] {
        self.get(slot).map_or(&[], Row::name)
    }

    /// One more than the highest slot ever used.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    pub(super) fn insert(&mut self, row: Row) -> u32 {
        if let Some(slot) = self.free.pop() {
            let (block, at) = split(slot);
            self.blocks[block][at] = Some(row);
            return slot;
        }
        let slot = self.end;
        let (block, _) = split(slot);
        if self.blocks.len() == block {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        self.blocks[block].push(Some(row));
        self.end = slot.saturating_add(1);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let (block, at) = split(slot);
        let place = self
            .blocks
            .get_mut(block)
            .and_then(|block| block.get_mut(at));
        if place.is_some_and(|place| place.take().is_some()) {
            self.free.push(slot);
        }
    }
}

const _: () = assert!(size_of::<Option<Row>>() <= 56);
