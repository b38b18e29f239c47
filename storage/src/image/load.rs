//! Reading the rows.

use tenure_core::{LogIndex, State};

use super::db::Db;
use super::part::{self, Joiner, Tally};
use super::{ImageError, rows};
use crate::format::Meta;

/// The parts of a tree in key order, checked one by one.
pub(crate) struct Parts<'a> {
    db: &'a Db,
    iter: sled::Iter,
}

impl Iterator for Parts<'_> {
    type Item = Result<(sled::IVec, sled::IVec, u32), ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let checked = |(key, value): (sled::IVec, sled::IVec)| {
            let crc = match part::open(&key, &value) {
                Ok(opened) => opened.crc,
                Err(what) => return Err(self.db.damaged(part::describe(&key), what)),
            };
            Ok((key, value, crc))
        };
        let found = self.iter.next()?;
        Some(
            found
                .map_err(|e| self.db.failed("read", &e))
                .and_then(checked),
        )
    }
}

/// The parts of a tree.
pub(super) fn parts(db: &Db, tree: u64) -> Result<Parts<'_>, ImageError> {
    let iter = db.tree(&rows(tree))?.iter();
    Ok(Parts { db, iter })
}

/// The state that the rows of `meta` make up, all of them and no others.
pub(super) fn state(db: &Db, meta: &Meta) -> Result<State, ImageError> {
    let mut state = State::default();
    let mut joiner = Joiner::default();
    let mut tally = Tally::default();
    for found in parts(db, meta.tree)? {
        let (key, value, crc) = found?;
        let damaged = |what| db.damaged(part::describe(&key), what);
        tally.add(crc);
        let opened = part::open(&key, &value).map_err(damaged)?;
        if let Some(record) = joiner.take(&key, &opened).map_err(damaged)? {
            state.put(record);
        }
    }
    if !joiner.is_done() {
        return Err(db.damaged("its last row", "it has no end"));
    }
    check(db, meta, tally)?;
    let applied = meta.applied.map_or(0, |id| id.index);
    state.resume_at(LogIndex(applied), meta.revision);
    Ok(state)
}

/// Refuses rows that are not those that the meta counted.
pub(super) fn check(db: &Db, meta: &Meta, found: Tally) -> Result<(), ImageError> {
    let expected = Tally {
        parts: meta.parts,
        sum: meta.sum,
    };
    if found == expected {
        return Ok(());
    }
    let what = format!(
        "{} parts with sum {:x} should be there, {} with sum {:x} are",
        expected.parts, expected.sum, found.parts, found.sum
    );
    Err(db.damaged(format!("checkpoint {}", meta.checkpoint), what))
}
