//! What can happen to copies, one at a time.

use super::walk::{Counts, NODES_MIN, World};
use super::{REFUSE, sum, zone};
use std::collections::BTreeSet;
use tenure_core::NodeId;
use tenure_core::copies::repair::{Assign, Plan, plan};
use tenure_core::copies::{Checked, CopyState, ItemId, ItemName, Refusal, Reported};

impl World {
    pub(super) fn write(&mut self, counts: &mut Counts) {
        let item = self.any_item();
        let Some(id) = self.ledger.find(&item) else {
            let wanted = 1 + self.dice.below(4) as u8;
            let nodes = self.ledger.propose(&item, wanted, &BTreeSet::new());
            let placed = self.step(false, "place", |ledger| ledger.place(&item, wanted, &nodes));
            let too_few = nodes.len() < usize::from(wanted.min(2));
            assert_eq!(placed.is_err(), too_few, "{placed:?} {nodes:?}");
            return counts.see("placed");
        };
        let known = self.ledger.item(id).unwrap();
        let miss = self.dice.below(40);
        let kept = known.copies.iter();
        let kept = kept.filter(|(_, state)| *state != CopyState::Dropping);
        let reached = kept.map(|(node, _)| *node);
        let holders: Vec<NodeId> = reached
            .filter(|node| !self.lost.contains_key(node) && !self.dice.percent(miss))
            .collect();
        let (version, of) = (
            known.version + 1 + self.dice.below(3),
            self.dice.below(1 << 40),
        );
        let reported = Reported {
            item: item.clone(),
            replaces: known.version,
            version,
            checksum: Some(sum(of)),
            size: self.dice.below(5_000),
            holders: holders.clone(),
        };
        let answers = self
            .step(true, "write", |ledger| ledger.report(&[reported]))
            .unwrap();
        match &answers[0] {
            Ok(_) => {
                counts.see("written");
                for node in holders {
                    self.disks.insert((node, item.clone()), (version, of));
                }
            }
            Err(refusal) => {
                assert!(
                    matches!(refusal, Refusal::TooFewCopies { .. }),
                    "{refusal:?}"
                );
                counts.see("writes that reached too few");
            }
        }
    }

    /// A disk rots, and a verification finds it; never the last fresh copy that can be read.
    pub(super) fn rot(&mut self, counts: &mut Counts) {
        let item = self.any_item();
        let Some(known) = self.ledger.find(&item).and_then(|id| self.ledger.item(id)) else {
            return;
        };
        let fresh = known.copies.iter().filter(|(node, state)| {
            matches!(state, CopyState::InSync | CopyState::Leaving) && !self.lost.contains_key(node)
        });
        let fresh: Vec<NodeId> = fresh.map(|(node, _)| *node).collect();
        if fresh.len() < 2 {
            return;
        }
        let node = self.dice.pick(fresh).unwrap();
        self.disks
            .insert((node, item.clone()), (known.version, u64::MAX));
        let (version, checksum) = (known.version, sum(u64::MAX));
        let checked = Checked {
            item,
            node,
            version,
            found: Some(checksum),
        };
        let answers = self
            .step(true, "verify", |ledger| ledger.verify(&[checked]))
            .unwrap();
        assert_eq!(answers, [Ok(false)]);
        counts.see("found rotten");
    }

    pub(super) fn lose_or_regain(&mut self, counts: &mut Counts) {
        let node = self.any_node();
        if self.lost.remove(&node).is_some() {
            counts.see("returned");
            self.step(false, "regain", |ledger| ledger.regain(node))
                .unwrap();
        } else if self.lost.len() < 2 {
            counts.see("lost");
            self.lost.insert(node, self.now);
            self.attempts.lost(node, self.now, &self.limits);
            self.transfers
                .retain(|transfer| transfer.from != node && transfer.to != node);
            self.step(true, "lose", |ledger| ledger.lose(node)).unwrap();
        }
    }

    pub(super) fn drain_or_not(&mut self, counts: &mut Counts) {
        let node = self.any_node();
        if self.ledger.store(node).unwrap().is_draining() {
            self.step(false, "stop drain", |ledger| ledger.stop_drain(node))
                .unwrap();
            return counts.see("drains stopped");
        }
        let drained = self.step(false, "drain", |ledger| ledger.drain(node, REFUSE));
        counts.see(if drained.is_ok() {
            "drained"
        } else {
            "drains refused"
        });
    }

    pub(super) fn remove_or_add(&mut self, counts: &mut Counts) {
        if self.ledger.stores().count() <= NODES_MIN || self.dice.percent(20) {
            let (node, zone) = (NodeId(self.next_node), zone(self.dice.below(4)));
            self.next_node += 1;
            self.step(false, "add", |ledger| ledger.add_node(node, zone, 100))
                .unwrap();
            return counts.see("added");
        }
        let node = self.any_node();
        let removed = self.step(false, "remove", |ledger| ledger.remove_node(node, REFUSE));
        if removed.is_err() {
            return counts.see("removals refused");
        }
        counts.see("removed");
        self.lost.remove(&node);
        self.disks.retain(|(on, _), _| *on != node);
        self.attempts.lost(node, self.now, &self.limits);
        self.transfers
            .retain(|transfer| transfer.from != node && transfer.to != node);
    }

    fn name_of(&self, item: ItemId) -> Option<ItemName> {
        Some(self.ledger.item(item)?.name)
    }

    pub(super) fn assign(&mut self, assign: Assign) {
        let Some(item) = self.name_of(assign.item) else {
            return;
        };
        let given = self.step(false, "assign", |ledger| ledger.assign(&item, assign.to));
        assert!(given.is_ok(), "{given:?}");
    }

    pub(super) fn repair(&mut self, counts: &mut Counts) -> Plan {
        let plan = plan(
            &self.ledger,
            &self.views(),
            &self.limits,
            &self.attempts,
            self.now,
        );
        for transfer in &plan.transfer {
            self.attempts.started(transfer);
            self.transfers.push(*transfer);
        }
        for assign in &plan.assign {
            self.assign(*assign);
        }
        for gone in &plan.drop {
            let item = self.name_of(gone.item).unwrap();
            let dropped = self.step(false, "drop", |ledger| ledger.drop_copy(&item, gone.to));
            assert!(dropped.is_ok(), "{dropped:?}");
            self.transfers
                .retain(|transfer| (transfer.item, transfer.to) != (gone.item, gone.to));
            self.attempts.ended(gone.item, gone.to);
            counts.see("let go");
        }
        for gone in &plan.delete {
            // The node may not get to it before the next plan.
            if self.dice.percent(30) {
                continue;
            }
            let item = self.name_of(gone.item).unwrap();
            self.disks.remove(&(gone.to, item.clone()));
            let dropped = self.step(false, "dropped", |ledger| ledger.dropped(&item, gone.to));
            assert!(dropped.is_ok(), "{dropped:?}");
            counts.see("dropped");
        }
        assert!(self.attempts.running() <= self.limits.cluster as usize);
        plan
    }

    /// One transfer ends; when it does so well, the node has what was ordered, which may be overtaken.
    pub(super) fn transfer(&mut self, fails: u64, counts: &mut Counts) {
        let Some(at) = self.dice.pick(0..self.transfers.len()) else {
            return;
        };
        let transfer = self.transfers.swap_remove(at);
        let item = self.name_of(transfer.item);
        let copied = item.and_then(|item| {
            let found = self.disks.get(&(transfer.from, item.clone())).copied();
            found.map(|found| (item, found))
        });
        let (Some((item, (version, of))), false) = (copied, self.dice.percent(fails)) else {
            counts.see("transfers failed");
            return self
                .attempts
                .failed(transfer.item, transfer.to, self.now, &self.limits);
        };
        let has = self.disks.get(&(transfer.to, item.clone())).copied();
        let is_newer = has.is_some_and(|(has, _)| has > transfer.version);
        if is_newer || (version, Some(sum(of))) != (transfer.version, transfer.checksum) {
            counts.see("transfers discarded");
            return self.attempts.ended(transfer.item, transfer.to);
        }
        self.disks
            .insert((transfer.to, item.clone()), (version, of));
        let reported = Reported {
            item,
            replaces: version,
            version,
            checksum: Some(sum(of)),
            size: 0,
            holders: vec![transfer.to],
        };
        let answers = self
            .step(false, "caught up", |ledger| ledger.report(&[reported]))
            .unwrap();
        counts.see(if answers[0].is_ok() {
            "caught up"
        } else {
            "overtaken"
        });
        self.attempts.ended(transfer.item, transfer.to);
    }
}
