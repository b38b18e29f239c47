//! A verification: nodes read their copies and tell the checksums, a bounded number at a time.

use super::Tending;
use super::orders::OrderKey;
use crate::controller::Look;
use crate::copies::{Accepted, CopyState, ITEMS_PER_REQUEST_MAX, Item, ItemName, Ledger, Refusal};
use crate::{NodeId, OrderKind};
use std::collections::VecDeque;

/// Copies that one node reads at a time.
const READS_PER_NODE: usize = 16;
/// Items that are looked at at a time.
const LOOK: usize = 512;
/// Copies that differ and are named.
const NAMED_MAX: usize = 100;

/// A verification that runs, or the last one that did.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    /// These items; all when None.
    named: Option<VecDeque<ItemName>>,
    after: Option<ItemName>,
    pub(super) running: bool,
    /// Whether every copy has been ordered to be read.
    ordered: bool,
    pub(super) copies: u64,
    pub(super) compared: u64,
    pub(super) differ: u64,
    pub(super) unread: u64,
    pub(super) differing: Vec<(ItemName, NodeId, String)>,
}

impl Verification {
    pub(super) fn unread(&mut self) {
        self.unread = self.unread.saturating_add(1);
    }

    /// What the log made of what a node read.
    pub(super) fn compared(
        &mut self,
        node: NodeId,
        item: &ItemName,
        answer: Result<Accepted, Refusal>,
    ) {
        match answer {
            Ok(_) => self.compared = self.compared.saturating_add(1),
            Err(why @ Refusal::ChecksumDiffers { .. }) => {
                self.compared = self.compared.saturating_add(1);
                self.differ = self.differ.saturating_add(1);
                if self.differing.len() < NAMED_MAX {
                    self.differing.push((item.clone(), node, why.to_string()));
                }
            }
            // It was overwritten meanwhile, or is gone.
            Err(_) => self.unread(),
        }
    }
}

impl Tending {
    /// Begins a verification in the place of one that has ended. Says how many copies there are to read, about.
    pub(in crate::controller) fn begin_verification(
        &mut self,
        ledger: &Ledger,
        items: Vec<ItemName>,
    ) -> u64 {
        let fresh = |item: &Item| {
            let copies = item.copies.iter();
            let fresh = copies.filter(|(_, state)| is_fresh(*state));
            u64::try_from(fresh.count()).unwrap_or(u64::MAX)
        };
        let copies = if items.is_empty() {
            ledger.stores().map(|store| store.fresh().0).sum()
        } else {
            let known = items
                .iter()
                .filter_map(|name| ledger.item(ledger.find(name)?));
            known.map(|item| fresh(&item)).sum()
        };
        self.verification = Some(Verification {
            named: (!items.is_empty()).then(|| items.into()),
            after: None,
            running: true,
            ordered: false,
            copies,
            compared: 0,
            differ: 0,
            unread: 0,
            differing: Vec::new(),
        });
        self.due = crate::Moment(0);
        copies
    }

    pub(in crate::controller) fn end_verification(&mut self) {
        if let Some(verification) = &mut self.verification {
            verification.running = false;
        }
        let reads = self
            .orders
            .iter()
            .filter(|(_, key, _)| key.kind == OrderKind::Verify);
        let reads: Vec<(NodeId, OrderKey)> =
            reads.map(|(node, key, _)| (node, key.clone())).collect();
        for (node, key) in reads {
            drop(self.orders.remove(node, &key));
            self.news.insert(node);
        }
    }

    pub(super) fn is_verifying(&self) -> bool {
        self.verification.as_ref().is_some_and(|it| it.running)
    }

    /// Orders the next copies to be read.
    pub(super) fn verify_on(&mut self, look: Look<'_>, ledger: &Ledger) {
        let Some(mut verification) = self.verification.take_if(|it| it.running) else {
            return;
        };
        let mut left = LOOK;
        while left > 0 && !verification.ordered {
            let Some(item) = verification.next(ledger) else {
                verification.ordered = true;
                break;
            };
            left = left.saturating_sub(1);
            if !self.read(look, ledger, &item, &mut verification) {
                break;
            }
            verification.pass(item.name);
        }
        let mut kinds = self.orders.iter().map(|(_, key, _)| key.kind);
        let reading = kinds.any(|kind| kind == OrderKind::Verify);
        verification.running = !verification.ordered || reading;
        self.verification = Some(verification);
    }

    /// Orders all fresh copies of an item to be read; false when one of the nodes has enough to read.
    fn read(
        &mut self,
        look: Look<'_>,
        ledger: &Ledger,
        item: &Item,
        verification: &mut Verification,
    ) -> bool {
        let lost = |node| ledger.store(node).is_none_or(|store| store.is_lost());
        let fresh = item.copies.iter().filter(|(_, state)| is_fresh(*state));
        let nodes: Vec<NodeId> = fresh.map(|(node, _)| *node).collect();
        let busy = |node: &NodeId| self.orders.count(*node, OrderKind::Verify) >= READS_PER_NODE;
        if nodes.iter().any(|node| !lost(*node) && busy(node)) {
            return false;
        }
        let Some(id) = ledger.find(&item.name) else {
            return true;
        };
        for node in nodes {
            if lost(node) || item.checksum.is_none() {
                verification.unread();
                continue;
            }
            let name = item.name.clone();
            if self.orders.verify(look.now, node, id, name, item.version) {
                self.news.insert(node);
            }
        }
        true
    }
}

impl Verification {
    /// The next item; those that do not exist are passed over.
    fn next(&mut self, ledger: &Ledger) -> Option<Item> {
        let Some(named) = &mut self.named else {
            return ledger.list(self.after.as_ref(), 1).pop();
        };
        loop {
            let name = named.front()?;
            if let Some(item) = ledger.find(name).and_then(|id| ledger.item(id)) {
                return Some(item);
            }
            named.pop_front();
        }
    }

    fn pass(&mut self, name: ItemName) {
        match &mut self.named {
            Some(named) => drop(named.pop_front()),
            None => self.after = Some(name),
        }
    }
}

fn is_fresh(state: CopyState) -> bool {
    matches!(state, CopyState::InSync | CopyState::Leaving)
}

const _: () = assert!(LOOK <= ITEMS_PER_REQUEST_MAX);
