//! The nodes of one service as holders of copies, numbered so that a copy takes two bytes.

use super::row::{Cell, STORES_MAX};
use super::slots::SlotSet;
use super::{CopyState, Refusal};
use crate::{NodeId, Zone};
use std::collections::BTreeMap;

/// A node as a holder of copies.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) node: NodeId,
    pub(super) zone: Option<Zone>,
    pub(super) weight: u32,
    pub(super) lost: bool,
    pub(super) draining: bool,
    pub(super) items: SlotSet,
    pub(super) fresh: u64,
    pub(super) fresh_bytes: u64,
    pub(super) folder: u64,
}

impl Store {
    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The failure domain it stands in. Nodes without one are taken to share one.
    #[must_use]
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }

    /// Its share relative to others; one of weight 0 is given nothing.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether it is lost: what it has is neither read nor counted until it returns.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether it drains: what it has is read but not counted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Names its data, as its node said last; 0 while it has not.
    #[must_use]
    pub fn folder(&self) -> u64 {
        self.folder
    }

    /// Whether its fresh copies count.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.lost && !self.draining
    }

    /// Whether it may be given new copies.
    #[must_use]
    pub fn takes_copies(&self) -> bool {
        self.counts() && self.weight > 0
    }

    /// Items of which it has a copy in any state.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items.len()
    }

    /// Items of which it has a fresh copy, and their bytes.
    #[must_use]
    pub fn fresh(&self) -> (u64, u64) {
        (self.fresh, self.fresh_bytes)
    }

    /// The state of a copy that it holds, as it is shown.
    pub(super) fn shown(&self, cell: Cell) -> CopyState {
        if cell.is_fresh() && self.draining {
            CopyState::Leaving
        } else {
            cell.state()
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Stores {
    by_number: Vec<Option<Store>>,
    by_node: BTreeMap<NodeId, u16>,
}

impl Stores {
    pub(super) fn number(&self, node: NodeId) -> Result<u16, Refusal> {
        let number = self.by_node.get(&node).copied();
        number.ok_or(Refusal::NoSuchNode(node))
    }

    pub(super) fn get(&self, number: u16) -> Option<&Store> {
        self.by_number.get(usize::from(number))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u16) -> Option<&mut Store> {
        self.by_number.get_mut(usize::from(number))?.as_mut()
    }

    pub(super) fn stand(&mut self, number: u16, (lost, draining): (bool, bool)) {
        if let Some(store) = self.get_mut(number) {
            (store.lost, store.draining) = (lost, draining);
        }
    }

    /// In the order of their nodes' ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Store)> {
        let numbers = self.by_node.values();
        numbers.filter_map(|number| Some((*number, self.get(*number)?)))
    }

    pub(super) fn add(
        &mut self,
        node: NodeId,
        zone: Option<Zone>,
        weight: u32,
    ) -> Result<(), Refusal> {
        if self.by_node.contains_key(&node) {
            return Err(Refusal::NodeKnown(node));
        }
        let vacant = self.by_number.iter().position(Option::is_none);
        let at = vacant.unwrap_or(self.by_number.len());
        let number = u16::try_from(at).unwrap_or(u16::MAX);
        if at >= STORES_MAX {
            return Err(Refusal::TooMany {
                what: "nodes that store copies of one service",
                given: at.saturating_add(1),
                max: STORES_MAX,
            });
        }
        if at == self.by_number.len() {
            self.by_number.push(None);
        }
        self.by_number[at] = Some(Store {
            node,
            zone,
            weight,
            lost: false,
            draining: false,
            items: SlotSet::default(),
            fresh: 0,
            fresh_bytes: 0,
            folder: 0,
        });
        self.by_node.insert(node, number);
        Ok(())
    }

    /// Forgets a store of which no copy is left.
    pub(super) fn remove(&mut self, node: NodeId) {
        if let Some(number) = self.by_node.remove(&node)
            && let Some(place) = self.by_number.get_mut(usize::from(number))
        {
            *place = None;
        }
    }
}
