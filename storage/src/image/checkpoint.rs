//! Checkpoints: only what changed is written, and a crash at any moment leaves the old image or the
//! new one.
//!
//! 1. The changes go to the journal; sync.
//! 2. The new meta goes to `pending`, with the number of pieces of the journal; sync. From here on
//!    the checkpoint counts: whoever opens the image completes it.
//! 3. The journal is carried out on the rows and read back; sync. Doing so twice is the same as once,
//!    for the journal holds values, not differences.
//! 4. The new meta takes the place of the old one; sync. `pending` and journal are of no use any more.
//!
//! Each sync is what makes the next step safe; no more is asked of the database than that what was
//! flushed and synced is there afterwards. Its own atomic batches are not relied upon: they hold
//! back all later writes until they are sealed, and nobody has tried them beyond a segment.

use tenure_core::{Key, LogIndex, Record, Revision};

use super::db::Db;
use super::part::{self, Tally};
use super::{Entries, Image, ImageError, JOURNAL, META, PENDING, push, rows};
use crate::format::{Meta, Pending, encode_key};
use crate::types::{LogId, StoredMembership};

/// Bytes of one piece of the journal, about.
const PIECE_BYTES: usize = 24 * 1024;

/// What changed since the last checkpoint, as of one log entry.
#[derive(Debug, Default)]
pub struct Changes {
    /// The last entry applied.
    pub applied: Option<LogId>,
    /// The state's revision.
    pub revision: Revision,
    /// The last membership applied.
    pub membership: StoredMembership,
    /// The records under all keys that changed; `None` when there is none any more.
    pub rows: Vec<(Key, Option<Record>)>,
}

impl Changes {
    pub(super) fn are_none_since(&self, old: &Meta) -> bool {
        self.rows.is_empty() && self.applied == old.applied && self.membership == old.membership
    }

    /// The index up to which the rows are complete.
    #[must_use]
    pub fn index(&self) -> LogIndex {
        LogIndex(self.applied.map_or(0, |id| id.index))
    }
}

/// Steps of a checkpoint or an adoption, after each of which everything before is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The changes are in the journal.
    Journal,
    /// The checkpoint counts.
    Pending,
    /// The rows are changed.
    Rows,
    /// The meta is the new one.
    Meta,
    /// Received rows are whole.
    Staged,
}

/// Writes the changes on top of `base`, which has the numbers of the new checkpoint.
pub(super) fn write(image: &Image, base: Meta, changes: &Changes) -> Result<Meta, ImageError> {
    let db = &image.db;
    let (tally, pieces) = write_journal(db, &base, changes)?;
    let meta = Meta {
        applied: changes.applied,
        revision: changes.revision,
        membership: changes.membership.clone(),
        parts: tally.parts,
        sum: tally.sum,
        ..base
    };
    db.make_durable()?;
    image.reached(Step::Journal);
    let pending = Pending { meta, pieces };
    db.put(PENDING, pending.encode())?;
    db.make_durable()?;
    image.reached(Step::Pending);
    carry_out(db, &pending)?;
    db.make_durable()?;
    image.reached(Step::Rows);
    conclude(db, &pending.meta)?;
    image.reached(Step::Meta);
    clear_journal(db)?;
    Ok(pending.meta)
}

/// Completes a checkpoint that counts, and returns what the image stands at.
pub(super) fn recover(db: &Db) -> Result<Option<Meta>, ImageError> {
    let read = |name: &'static str| db.get(name);
    let meta = read(META)?
        .map(|bytes| Meta::decode(&bytes).map_err(|e| db.damaged("its meta", e.to_string())))
        .transpose()?;
    let pending = read(PENDING)?
        .map(|bytes| {
            Pending::decode(&bytes).map_err(|e| db.damaged("its pending checkpoint", e.to_string()))
        })
        .transpose()?;
    let done = meta.as_ref().map_or(0, |meta| meta.checkpoint);
    let meta = match pending {
        Some(pending) if pending.meta.checkpoint > done => {
            carry_out(db, &pending)?;
            db.make_durable()?;
            conclude(db, &pending.meta)?;
            Some(pending.meta)
        }
        Some(_) | None => meta,
    };
    clear_journal(db)?;
    Ok(meta)
}

fn conclude(db: &Db, meta: &Meta) -> Result<(), ImageError> {
    db.put(META, meta.encode())?;
    db.make_durable()
}

fn clear_journal(db: &Db) -> Result<(), ImageError> {
    db.remove(PENDING)?;
    db.tree(JOURNAL)?
        .clear()
        .map_err(|e| db.failed("write", &e))
}

struct Journal<'a> {
    db: &'a Db,
    tree: sled::Tree,
    piece: Vec<u8>,
    pieces: u64,
    tally: Tally,
}

impl Journal<'_> {
    fn change(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ImageError> {
        push(&mut self.piece, key, value);
        if self.piece.len() >= PIECE_BYTES {
            self.end_piece()?;
        }
        Ok(())
    }

    fn end_piece(&mut self) -> Result<(), ImageError> {
        let mut value = crc32c::crc32c(&self.piece).to_le_bytes().to_vec();
        value.append(&mut self.piece);
        self.tree
            .insert(self.pieces.to_be_bytes(), value)
            .map_err(|e| self.db.failed("write", &e))?;
        self.pieces += 1;
        Ok(())
    }
}

/// Writes to the journal what of the changes is not in the rows yet; counts what the rows will be.
fn write_journal(db: &Db, base: &Meta, changes: &Changes) -> Result<(Tally, u64), ImageError> {
    let tree = db.tree(&rows(base.tree))?;
    let mut journal = Journal {
        db,
        tree: db.tree(JOURNAL)?,
        piece: Vec::new(),
        pieces: 0,
        tally: Tally {
            parts: base.parts,
            sum: base.sum,
        },
    };
    for (key, record) in &changes.rows {
        write_row(db, &tree, &mut journal, key, record.as_ref())?;
    }
    if !journal.piece.is_empty() {
        journal.end_piece()?;
    }
    Ok((journal.tally, journal.pieces))
}

fn write_row(
    db: &Db,
    tree: &sled::Tree,
    journal: &mut Journal<'_>,
    key: &Key,
    record: Option<&Record>,
) -> Result<(), ImageError> {
    let new = record.map_or_else(Vec::new, |record| part::split(key, record));
    for found in tree.scan_prefix(encode_key(key)) {
        let (old, value) = found.map_err(|e| db.failed("read", &e))?;
        let opened = part::open(&old, &value).map_err(|e| db.damaged(part::describe(&old), e))?;
        journal.tally.remove(opened.crc);
        if !new.iter().any(|part| part.key == *old) {
            journal.change(&old, None)?;
        }
    }
    for part in &new {
        let opened = part::open(&part.key, &part.value)
            .map_err(|e| db.damaged(part::describe(&part.key), e))?;
        journal.tally.add(opened.crc);
        journal.change(&part.key, Some(&part.value))?;
    }
    Ok(())
}

/// Carries the journal out on the rows, and reads every change back.
fn carry_out(db: &Db, pending: &Pending) -> Result<(), ImageError> {
    let tree = db.tree(&rows(pending.meta.tree))?;
    each_change(db, pending, |key, value| {
        match value {
            Some(value) => tree.insert(key, value),
            None => tree.remove(key),
        }
        .map(drop)
        .map_err(|e| db.failed("write", &e))
    })?;
    each_change(db, pending, |key, value| {
        let found = tree.get(key).map_err(|e| db.failed("read back", &e))?;
        if found.as_deref() == value {
            return Ok(());
        }
        Err(db.damaged(part::describe(key), "it was not there after it was written"))
    })
}

fn each_change(
    db: &Db,
    pending: &Pending,
    mut carry_out: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let journal = db.tree(JOURNAL)?;
    for number in 0..pending.pieces {
        let damaged = |what: String| db.damaged(format!("piece {number} of its journal"), what);
        let stored = journal
            .get(number.to_be_bytes())
            .map_err(|e| db.failed("read", &e))?
            .ok_or_else(|| damaged("it is missing".to_owned()))?;
        let (crc, piece) = stored
            .split_first_chunk::<4>()
            .ok_or_else(|| damaged(format!("it has only {} bytes", stored.len())))?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(piece) {
            return Err(damaged("its checksum is not that of its bytes".to_owned()));
        }
        for change in Entries(piece) {
            let (key, value) = change.map_err(damaged)?;
            carry_out(key, value)?;
        }
    }
    Ok(())
}
