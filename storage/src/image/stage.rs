//! Rows that are being received, beside those in use.

use std::sync::Arc;

use tenure_core::State;

use super::part::{self, Tally};
use super::{Image, ImageError, META, checkpoint::Step, load, rows};
use crate::format::Meta;

/// A tree of its own for rows from elsewhere. Dropping it abandons them.
#[derive(Debug)]
pub(crate) struct Stage {
    image: Arc<Image>,
    tree: u64,
    /// The tree itself, once it has a part.
    parts: Option<sled::Tree>,
    tally: Tally,
    last: Vec<u8>,
    adopted: bool,
}

impl Image {
    /// A new, empty stage.
    pub(crate) fn stage(self: &Arc<Self>) -> Stage {
        Stage {
            image: self.clone(),
            tree: self.writer().take_tree(),
            parts: None,
            tally: Tally::default(),
            last: Vec::new(),
            adopted: false,
        }
    }

    /// Puts the staged rows in place of all others: reads and checks them, hands the state to
    /// `install` and makes them durable. `install` runs while nobody can write the image, so that
    /// state and image change together for whoever writes next.
    ///
    /// # Errors
    /// Before `install` ran, nothing was changed. After any error the image is closed.
    pub(crate) fn adopt(
        &self,
        mut stage: Stage,
        meta: &Meta,
        install: impl FnOnce(State),
    ) -> Result<(), ImageError> {
        self.written(|writer| {
            let old = self.meta();
            let new = Meta {
                tree: stage.tree,
                checkpoint: old.as_ref().map_or(0, |old| old.checkpoint) + 1,
                ..meta.clone()
            };
            let state = load::state(&self.db, &new)?;
            self.db.make_durable()?;
            self.reached(Step::Staged);
            self.db.put(META, new.encode())?;
            self.db.make_durable()?;
            self.reached(Step::Meta);
            stage.adopted = true;
            self.set_meta(&new)?;
            install(state);
            // A reader may still be in the old rows; they go when the next checkpoint finds none.
            writer.garbage.extend(old.map(|old| old.tree));
            Ok(())
        })
    }
}

impl Stage {
    /// Adds a part. Parts come in key order.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        let refused = |what: String| self.image.damaged(part::describe(key), what);
        let opened = part::open(key, value).map_err(refused)?;
        if key <= self.last.as_slice() {
            return Err(refused("it does not come after the part before it".into()));
        }
        self.tally.add(opened.crc);
        self.last = key.to_vec();
        let (image, tree) = (&self.image, self.tree);
        let parts = &mut self.parts;
        image.written(|_| {
            let parts = match parts {
                Some(parts) => parts,
                None => parts.insert(image.db.tree(&rows(tree))?),
            };
            let put = parts.insert(key, value);
            put.map(drop).map_err(|e| image.db.failed("write", &e))
        })
    }

    /// Refuses rows that are not all that `meta` counts.
    pub(crate) fn check(&self, meta: &Meta) -> Result<(), ImageError> {
        load::check(&self.image.db, meta, self.tally)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.adopted {
            self.image.writer().garbage.insert(self.tree);
        }
    }
}
