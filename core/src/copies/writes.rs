//! What writers and nodes say of items, and what is decided of single copies: each either holds or is refused.

use super::item::ITEMS_PER_REQUEST_MAX;
use super::ledger::check_copies;
use super::row::Row;
use super::{Checksum, CopyState, ItemId, ItemName, Ledger, Refusal, Stage};
use crate::NodeId;

/// What one write reached, or which nodes caught up with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The item.
    pub item: ItemName,
    /// The version that the write replaced; not looked at when `version` is the present one.
    pub replaces: u64,
    /// The version that the holders have. Higher than the present one: a write. Equal to it: they caught up.
    pub version: u64,
    /// The checksum of that version's data.
    pub checksum: Option<Checksum>,
    /// Bytes of that version's data; 0 when not told.
    pub size: u64,
    /// Nodes that hold all of it durably.
    pub holders: Vec<NodeId>,
}

/// What a report came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Fresh copies on nodes that are not lost.
    pub usable: u8,
    /// By how many those that count fall short of those wanted.
    pub missing: u8,
}

/// What a node found when it read its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The item.
    pub item: ItemName,
    /// Where it was read.
    pub node: NodeId,
    /// The version that was read.
    pub version: u64,
    /// The checksum of what was read; None when there was nothing.
    pub found: Option<Checksum>,
}

impl Ledger {
    /// Makes an item known, with copies assigned to `nodes` and nothing written. One that is known already stays as it
    /// is, so that a retry is safe.
    ///
    /// # Errors
    /// [`Refusal::BadWanted`]; [`Refusal::TooMany`] nodes; [`Refusal::TooFewCopies`] when `nodes` are fewer than a write must
    /// reach; [`Refusal::NoSuchNode`], [`Refusal::NodeTakesNone`], [`Refusal::AlreadyACopy`] when a node stands twice.
    pub fn place(
        &mut self,
        item: &ItemName,
        wanted: u8,
        nodes: &[NodeId],
    ) -> Result<ItemId, Refusal> {
        if let Some(known) = self.find(item) {
            return Ok(known);
        }
        let follows = wanted == 0;
        let wanted = self.wanted(wanted)?;
        if nodes.len() > usize::from(wanted) {
            let (given, max) = (nodes.len(), wanted.into());
            let what = "nodes for one item";
            return Err(Refusal::TooMany { what, given, max });
        }
        self.check_minimum(item, wanted, nodes.len())?;
        let mut numbers = Vec::with_capacity(nodes.len());
        for node in nodes {
            let number = self.taker(*node)?;
            if numbers.contains(&number) {
                let (item, node) = (item.clone(), *node);
                return Err(Refusal::AlreadyACopy { item, node });
            }
            numbers.push(number);
        }
        let begin = |row: &mut Row| {
            (row.wanted, row.follows, row.stage) = (wanted, follows, Stage::Vacant);
            for number in numbers {
                row.set(number, CopyState::Syncing);
            }
        };
        // One of that name that was removed a moment ago, whose copies are still being deleted.
        if let Some(slot) = self.names.find(&self.slab, item.as_str().as_bytes()) {
            self.change(slot, begin);
            return Ok(ItemId(slot));
        }
        let mut row = Row::new(item.as_str(), wanted);
        begin(&mut row);
        Ok(self.insert(row))
    }

    /// Removes an item that is at `version`. It is forgotten once its nodes have deleted their copies; one that is placed
    /// again under its name before goes on counting versions.
    ///
    /// # Errors
    /// [`Refusal::NoSuchItem`]; [`Refusal::Changed`] when it is at another version.
    pub fn remove_item(&mut self, item: &ItemName, version: u64) -> Result<(), Refusal> {
        let (slot, row) = self.row(item)?;
        if row.version != version {
            let (expected, actual, item) = (version, row.version, item.clone());
            return Err(Refusal::Changed {
                item,
                expected,
                actual,
            });
        }
        self.change(slot, |row| {
            row.stage = Stage::Removed;
            let held: Vec<u16> = row.cells().iter().map(|cell| cell.store()).collect();
            for number in held {
                row.set(number, CopyState::Dropping);
            }
        });
        self.forget_if_gone(slot);
        Ok(())
    }

    /// Forgets an item that was removed and of which no copy is left.
    pub(super) fn forget_if_gone(&mut self, slot: u32) {
        let row = self.slab.get(slot);
        if row.is_some_and(|row| row.is_removed() && row.cells().is_empty()) {
            self.delete(slot);
        }
    }

    /// Takes a batch of reports, each by itself: a refused one keeps none of the others from being taken.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when the batch has more than 4,096; then nothing of it was taken. Of each report:
    /// [`Refusal::NoSuchItem`], [`Refusal::OldVersion`], [`Refusal::Changed`], [`Refusal::ChecksumLength`],
    /// [`Refusal::ChecksumDiffers`], [`Refusal::TooMany`] holders, [`Refusal::NoSuchNode`], [`Refusal::NotACopy`],
    /// [`Refusal::TooFewCopies`]. The same report again is a report of who caught up, and harmless.
    pub fn report(
        &mut self,
        batch: &[Reported],
    ) -> Result<Vec<Result<Accepted, Refusal>>, Refusal> {
        check_request("reports", batch.len())?;
        Ok(batch.iter().map(|one| self.report_one(one)).collect())
    }

    fn report_one(&mut self, report: &Reported) -> Result<Accepted, Refusal> {
        let (slot, row) = self.row(&report.item)?;
        let is_write = self.check_report(report, row)?;
        let mut holders = Vec::with_capacity(report.holders.len());
        let mut usable = 0_usize;
        for node in &report.holders {
            let number = self.holder(&report.item, row, *node)?;
            if !holders.contains(&number) {
                holders.push(number);
                let lost = self.stores.get(number).is_none_or(|store| store.lost);
                usable = usable.saturating_add((!lost).into());
            }
        }
        if is_write {
            self.check_minimum(&report.item, row.wanted, usable)?;
        }
        self.change(slot, |row| {
            if is_write {
                overwrite(row, report);
            }
            for number in holders {
                row.set(number, CopyState::InSync);
            }
        });
        let row = self.slab.get(slot);
        let tally = row.map(|row| self.tally(row)).unwrap_or_default();
        Ok(Accepted {
            usable: tally.usable,
            missing: tally.missing,
        })
    }

    /// Whether a report is of a new write; else it is of who caught up.
    fn check_report(&self, report: &Reported, row: &Row) -> Result<bool, Refusal> {
        check_copies(report.holders.len())?;
        let (item, actual) = (report.item.clone(), row.version);
        if report.version < actual || report.version == 0 {
            let given = report.version;
            return Err(Refusal::OldVersion {
                item,
                given,
                actual,
            });
        }
        let is_write = report.version > actual;
        if !is_write && !row.is_written() {
            let given = report.version;
            return Err(Refusal::OldVersion {
                item,
                given,
                actual,
            });
        }
        if is_write && report.replaces != actual {
            let expected = report.replaces;
            return Err(Refusal::Changed {
                item,
                expected,
                actual,
            });
        }
        let given = report
            .checksum
            .as_ref()
            .map_or(0, |sum| sum.as_bytes().len());
        let expected = row.checksum_length();
        if given != expected && actual > 0 {
            return Err(Refusal::ChecksumLength { given, expected });
        }
        if !is_write && report.checksum != row.checksum() {
            let version = actual;
            return Err(Refusal::ChecksumDiffers { item, version });
        }
        Ok(is_write)
    }

    fn check_minimum(&self, item: &ItemName, wanted: u8, have: usize) -> Result<(), Refusal> {
        let minimum = usize::try_from(self.policy.write_min).unwrap_or(usize::MAX);
        let need = minimum.min(wanted.into()).max(1);
        if have < need {
            let item = item.clone();
            return Err(Refusal::TooFewCopies { item, have, need });
        }
        Ok(())
    }

    /// Compares what nodes read of their copies with what is known. A fresh copy that differs is stale from here on.
    /// The answer is whether it is the same.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when there are more than 4,096; then nothing was compared. Of each: [`Refusal::NoSuchItem`],
    /// [`Refusal::NoSuchNode`], [`Refusal::NotACopy`], [`Refusal::NothingToCompare`], [`Refusal::ChecksumLength`],
    /// [`Refusal::OldVersion`] when another version was read than the present one: read again.
    pub fn verify(&mut self, batch: &[Checked]) -> Result<Vec<Result<bool, Refusal>>, Refusal> {
        check_request("verifications", batch.len())?;
        Ok(batch.iter().map(|one| self.verify_one(one)).collect())
    }

    fn verify_one(&mut self, checked: &Checked) -> Result<bool, Refusal> {
        let (slot, row) = self.row(&checked.item)?;
        let number = self.holder(&checked.item, row, checked.node)?;
        let item = checked.item.clone();
        let (given, actual) = (checked.version, row.version);
        if given != actual || !row.is_written() {
            return Err(Refusal::OldVersion {
                item,
                given,
                actual,
            });
        }
        if let Some(found) = &checked.found {
            if row.checksum_length() == 0 {
                return Err(Refusal::NothingToCompare(item));
            }
            let (given, expected) = (found.as_bytes().len(), row.checksum_length());
            if given != expected {
                return Err(Refusal::ChecksumLength { given, expected });
            }
        }
        let same = checked.found.is_some() && checked.found == row.checksum();
        if !same && row.cell(number).is_some_and(super::row::Cell::is_fresh) {
            self.change(slot, |row| row.set(number, CopyState::Stale));
        }
        Ok(same)
    }

    /// Gives a node a copy of an item, to be synchronised.
    ///
    /// # Errors
    /// [`Refusal::NoSuchItem`], [`Refusal::NoSuchNode`], [`Refusal::NodeTakesNone`], [`Refusal::AlreadyACopy`],
    /// [`Refusal::TooMany`] copies.
    pub fn assign(&mut self, item: &ItemName, node: NodeId) -> Result<(), Refusal> {
        let (slot, row) = self.row(item)?;
        let number = self.taker(node)?;
        if row.cell(number).is_some() {
            let item = item.clone();
            return Err(Refusal::AlreadyACopy { item, node });
        }
        check_copies(row.cells().len().saturating_add(1))?;
        self.change(slot, |row| row.set(number, CopyState::Syncing));
        Ok(())
    }

    /// Lets a node's copy of an item go. After this has been committed the node may delete it, and [`Ledger::dropped`] says
    /// that it has.
    ///
    /// # Errors
    /// [`Refusal::NoSuchItem`], [`Refusal::NoSuchNode`], [`Refusal::NotACopy`]; [`Refusal::CopyNeeded`] when a fresh
    /// copy would leave fewer that count than are wanted, or any other would leave none that is fresh.
    pub fn drop_copy(&mut self, item: &ItemName, node: NodeId) -> Result<(), Refusal> {
        let (slot, row) = self.row(item)?;
        let number = self.holder(item, row, node)?;
        if self.is_needed(row, number) {
            let item = item.clone();
            return Err(Refusal::CopyNeeded { item, node });
        }
        self.change(slot, |row| row.set(number, CopyState::Dropping));
        Ok(())
    }

    /// The node has deleted a copy that was let go, of an item that may have been removed.
    ///
    /// # Errors
    /// [`Refusal::NoSuchItem`], [`Refusal::NoSuchNode`], [`Refusal::NotACopy`]; [`Refusal::CopyNeeded`] when it was not
    /// let go, or was given to the node again since.
    pub fn dropped(&mut self, item: &ItemName, node: NodeId) -> Result<(), Refusal> {
        let slot = self.names.find(&self.slab, item.as_str().as_bytes());
        let number = self.stores.number(node)?;
        let Some(slot) = slot else {
            return Err(Refusal::NoSuchItem(item.clone()));
        };
        let cell = self.slab.get(slot).and_then(|row| row.cell(number));
        let (item, node) = (item.clone(), node);
        match cell {
            None => Err(Refusal::NotACopy { item, node }),
            Some(cell) if !cell.is_dropping() => Err(Refusal::CopyNeeded { item, node }),
            Some(_) => {
                self.change(slot, |row| row.remove(number));
                self.forget_if_gone(slot);
                Ok(())
            }
        }
    }

    /// Whether an item would be worse off without this copy.
    pub(super) fn is_needed(&self, row: &Row, number: u16) -> bool {
        let (Some(cell), Some(store)) = (row.cell(number), self.stores.get(number)) else {
            return false;
        };
        let tally = self.tally(row);
        if !row.is_written() || cell.is_dropping() {
            return false;
        }
        if cell.is_fresh() {
            let counted = tally.counted.saturating_sub(store.counts().into());
            counted < row.wanted
        } else {
            tally.usable == 0
        }
    }

    fn taker(&self, node: NodeId) -> Result<u16, Refusal> {
        let number = self.stores.number(node)?;
        let store = self.stores.get(number);
        if store.is_some_and(super::Store::counts) {
            return Ok(number);
        }
        Err(Refusal::NodeTakesNone(node))
    }

    fn holder(&self, item: &ItemName, row: &Row, node: NodeId) -> Result<u16, Refusal> {
        let number = self.stores.number(node)?;
        if row.cell(number).is_some_and(|cell| !cell.is_dropping()) {
            return Ok(number);
        }
        let item = item.clone();
        Err(Refusal::NotACopy { item, node })
    }
}

/// A copy that missed the write is stale from the same entry on; one that never had anything has still nothing.
fn overwrite(row: &mut Row, report: &Reported) {
    (row.version, row.size) = (report.version, report.size);
    row.stage = Stage::Written;
    row.set_checksum(report.checksum);
    let fresh = row.cells().iter().filter(|cell| cell.is_fresh());
    let fresh: Vec<u16> = fresh.map(|cell| cell.store()).collect();
    for number in fresh {
        row.set(number, CopyState::Stale);
    }
}

pub(super) fn check_request(what: &'static str, given: usize) -> Result<(), Refusal> {
    if given > ITEMS_PER_REQUEST_MAX {
        let max = ITEMS_PER_REQUEST_MAX;
        return Err(Refusal::TooMany { what, given, max });
    }
    Ok(())
}
