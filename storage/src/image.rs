//! The state's image on disk: rows of all records as of one log entry, in an embedded database.
//!
//! What is durable after which call has returned:
//! - [`Image::checkpoint`]: all rows as of the entry that the returned meta names, read back and found
//!   whole. A crash at any moment before leaves the image of the checkpoint before it.
//! - `Image::adopt`: the received rows, in place of all others. A crash before leaves the old ones.
//! - Everything else promises nothing.
//!
//! A checkpoint must be all or nothing, for entries are applied once: rows newer than the entry that
//! the image claims to stand at would have it applied to them again. Rows are therefore never changed
//! before all changes lie in a journal, whole and synced; see the submodule `checkpoint`.
//!
//! There is one writer at a time. An error while writing closes the image for good: what the disk
//! holds after a failed sync is not known, and trying again would only hide that.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_core::State;

mod checkpoint;
mod db;
mod entries;
mod error;
mod gate;
mod load;
mod mark;
mod part;
mod probe;
mod ready;
mod stage;
#[cfg(test)]
mod tests;

pub use checkpoint::Changes;
pub(crate) use db::set_aside;
pub(crate) use entries::{Entries, push};
pub use error::ImageError;
pub(crate) use gate::Pin;
pub(crate) use part::Tally;
pub use probe::{Probe, probe};
pub(crate) use stage::Stage;

use crate::format::Meta;
use checkpoint::Step;
use db::Db;
use gate::Gate;

const META: &str = "meta";
const OWNER: &str = "owner";
const PENDING: &str = "pending";
const JOURNAL: &str = "journal";
const ROWS: &str = "rows-";

/// An open image. Its calls block the thread that makes them.
pub struct Image {
    db: Db,
    gate: Gate,
    meta: Mutex<Option<Meta>>,
    writer: Mutex<Writer>,
    #[cfg(test)]
    pub(crate) steps: tests::Steps,
}

/// Says which one, not what is in it.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checkpoint = self.meta().map(|meta| meta.checkpoint);
        f.debug_struct("Image")
            .field("path", &self.db.path())
            .field("checkpoint", &checkpoint)
            .finish_non_exhaustive()
    }
}

/// What only the writer touches.
#[derive(Debug)]
struct Writer {
    poisoned: Option<String>,
    next_tree: u64,
    /// Trees that nothing points to any more; dropped when no reader can be in them.
    garbage: BTreeSet<u64>,
}

fn rows(tree: u64) -> String {
    format!("{ROWS}{tree}")
}

impl Image {
    /// Opens the image in `folder`, which exists, and creates it when the folder is empty.
    /// Completes a checkpoint whose journal is whole, and forgets one whose journal is not.
    ///
    /// # Errors
    /// See [`ImageError`]; [`ImageError::is_damage`] tells whether a rebuild would help.
    pub fn open(folder: &Path, store: u128, trial: &Probe) -> Result<Self, ImageError> {
        ready::prepare(folder)?;
        let db = if db::exists(folder) {
            trial.run(folder)?;
            let db = Db::open(folder)?;
            check_owner(&db, store)?;
            db
        } else {
            let db = Db::open(folder)?;
            db.put(OWNER, store.to_le_bytes().to_vec())?;
            db.make_durable()?;
            db
        };
        let meta = checkpoint::recover(&db)?;
        mark::check(folder, meta.as_ref().map_or(0, |meta| meta.checkpoint))?;
        let trees = tree_numbers(&db);
        let current = meta.as_ref().map(|meta| meta.tree);
        let image = Self {
            gate: Gate::default(),
            writer: Mutex::new(Writer {
                poisoned: None,
                next_tree: trees.last().map_or(1, |last| last + 1),
                garbage: trees
                    .into_iter()
                    .filter(|tree| Some(*tree) != current)
                    .collect(),
            }),
            meta: Mutex::new(meta),
            db,
            #[cfg(test)]
            steps: tests::Steps::default(),
        };
        image.writer().sweep(&image.db)?;
        Ok(image)
    }

    /// What the image stands at; `None` before the first checkpoint.
    pub fn meta(&self) -> Option<Meta> {
        self.meta
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the whole state, and checks that not a part of it is missing or wrong.
    ///
    /// # Errors
    /// [`ImageError::Damaged`] names the part.
    pub fn load(&self) -> Result<State, ImageError> {
        match self.meta() {
            None => Ok(State::default()),
            Some(meta) => load::state(&self.db, &meta),
        }
    }

    /// Makes the image durable as of the changes that `collect` returns, which is called when the
    /// image may be changed: no reader has it pinned any more.
    ///
    /// # Errors
    /// After any error the image is closed: every later call answers [`ImageError::Poisoned`].
    pub fn checkpoint(&self, collect: impl FnOnce() -> Changes) -> Result<Meta, ImageError> {
        let _writing = self.gate.write();
        self.written(|writer| {
            writer.sweep(&self.db)?;
            let old = self.meta();
            let changes = collect();
            if let Some(old) = old.as_ref().filter(|old| changes.are_none_since(old)) {
                return Ok(old.clone());
            }
            let (tree, number) = match &old {
                Some(old) => (old.tree, old.checkpoint + 1),
                None => (writer.take_tree(), 1),
            };
            let base = Meta {
                tree,
                checkpoint: number,
                ..old.unwrap_or_default()
            };
            let meta = checkpoint::write(self, base, &changes)?;
            self.set_meta(&meta)?;
            Ok(meta)
        })
    }

    /// Waits until nobody reads or changes the rows, so that a checkpoint need not wait on its thread.
    pub(crate) async fn is_free(&self) {
        self.gate.is_free().await;
    }

    /// Freezes the rows, unless they are being changed at this moment.
    pub(crate) fn try_pin(&self) -> Option<Pin> {
        self.gate.try_pin()
    }

    /// Freezes the rows as soon as nobody changes them. Blocks the thread.
    pub(crate) fn pin(&self) -> Pin {
        self.gate.pin()
    }

    /// The stored parts that `meta` speaks of, in key order. The caller holds a pin.
    pub(crate) fn parts(&self, meta: &Meta) -> Result<load::Parts<'_>, ImageError> {
        load::parts(&self.db, meta.tree)
    }

    /// Refuses rows that are not those that `meta` counted.
    pub(crate) fn check(&self, meta: &Meta, found: Tally) -> Result<(), ImageError> {
        load::check(&self.db, meta, found)
    }

    /// Names the image and a part of it that is not what was written.
    pub(crate) fn damaged(
        &self,
        subject: impl Into<String>,
        what: impl Into<String>,
    ) -> ImageError {
        self.db.damaged(subject, what)
    }

    /// Lets tests look at the disk between two steps.
    fn reached(&self, step: Step) {
        #[cfg(test)]
        self.steps.reached(step);
        #[cfg(not(test))]
        let _ = step;
    }

    /// What is durable in the database counts from now on, and is missed when it is not there.
    fn set_meta(&self, meta: &Meta) -> Result<(), ImageError> {
        mark::remember(self.db.path(), meta.checkpoint)?;
        *self.meta.lock().unwrap_or_else(PoisonError::into_inner) = Some(meta.clone());
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a write, and closes the image when it fails.
    fn written<T>(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let mut writer = self.writer();
        if let Some(why) = &writer.poisoned {
            return Err(ImageError::Poisoned(why.clone()));
        }
        let result = write(&mut writer);
        if let Err(error) = &result {
            writer.poisoned = Some(error.to_string());
        }
        result
    }
}

impl Writer {
    fn take_tree(&mut self) -> u64 {
        let tree = self.next_tree;
        self.next_tree += 1;
        tree
    }

    /// Drops trees that nothing points to.
    fn sweep(&mut self, db: &Db) -> Result<(), ImageError> {
        while let Some(tree) = self.garbage.pop_first() {
            db.drop_tree(rows(tree).as_bytes())?;
        }
        Ok(())
    }
}

/// Checks that the image was written in this data folder. The database forgets in silence whatever
/// comes after the first damaged byte; one that has forgotten its owner has forgotten everything.
fn check_owner(db: &Db, store: u128) -> Result<(), ImageError> {
    let found = db
        .get(OWNER)?
        .ok_or_else(|| db.damaged("its owner", "it is missing, and with it all that follows"))?;
    let bytes = <[u8; 16]>::try_from(found.as_ref())
        .map_err(|_| db.damaged("its owner", format!("it has {} bytes", found.len())))?;
    let found = u128::from_le_bytes(bytes);
    if found == store {
        return Ok(());
    }
    Err(ImageError::Foreign {
        path: db.path().to_owned(),
        found,
        expected: store,
    })
}

fn tree_numbers(db: &Db) -> BTreeSet<u64> {
    let number = |name: sled::IVec| {
        std::str::from_utf8(&name)
            .ok()?
            .strip_prefix(ROWS)?
            .parse()
            .ok()
    };
    db.tree_names().into_iter().filter_map(number).collect()
}
