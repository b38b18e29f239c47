//! Where to read an item and where to write it.

use super::placement;
use super::writes::check_request;
use super::{Checksum, ItemName, Ledger, Refusal};
use crate::{NodeId, Zone};
use std::collections::BTreeMap;

/// Who asks where items are.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The zone that it stands in, when it said.
    pub zone: Option<&'a Zone>,
    /// How busy the nodes are, in thousandths of what they can do; 0 for those that are not named.
    pub loads: &'a BTreeMap<NodeId, u32>,
}

/// Where an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its version; 0 before the first write.
    pub version: u64,
    /// The checksum of that version, if known.
    pub checksum: Option<Checksum>,
    /// Its bytes, if told.
    pub size: u64,
    /// Nodes to read it from, the best first: those of the reader's zone, then those that do not drain, then the
    /// less busy; among equals the order differs from item to item, so that readers spread.
    pub fresh: Vec<NodeId>,
    /// Nodes that the next write should reach.
    pub writable: Vec<NodeId>,
}

impl Ledger {
    /// Says where items are, each by itself.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when more than 4,096 are asked for. Of each item: [`Refusal::NoSuchItem`].
    pub fn locate(
        &self,
        items: &[ItemName],
        reader: Reader<'_>,
    ) -> Result<Vec<Result<Located, Refusal>>, Refusal> {
        check_request("items", items.len())?;
        Ok(items
            .iter()
            .map(|item| self.locate_item(item, reader))
            .collect())
    }

    /// Says where one item is.
    ///
    /// # Errors
    /// [`Refusal::NoSuchItem`].
    pub fn locate_item(&self, item: &ItemName, reader: Reader<'_>) -> Result<Located, Refusal> {
        let (_, row) = self.row(item)?;
        let key = placement::key_of(row.name());
        let mut fresh = Vec::with_capacity(row.cells().len());
        let mut writable = Vec::with_capacity(row.cells().len());
        for cell in row.cells() {
            let Some(store) = self.stores.get(cell.store()).filter(|store| !store.lost) else {
                continue;
            };
            if cell.is_dropping() {
                continue;
            }
            writable.push(store.node);
            if cell.is_fresh() {
                let elsewhere = reader.zone.is_some() && reader.zone != store.zone.as_ref();
                let load = reader.loads.get(&store.node).copied().unwrap_or_default();
                let draw = placement::draw(key, store.node, 1);
                fresh.push((elsewhere, store.draining, load, draw, store.node));
            }
        }
        fresh.sort_unstable();
        writable.sort_unstable();
        Ok(Located {
            version: row.version,
            checksum: row.checksum(),
            size: row.size,
            fresh: fresh.into_iter().map(|(.., node)| node).collect(),
            writable,
        })
    }
}
