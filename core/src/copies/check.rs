//! The numbered rules of the ledger, checked by looking at everything: for tests and simulations.

use super::counts::Counts;
use super::item::COPIES_MAX;
use super::{ItemId, Ledger, Stage};
use crate::invariants::Violation;
use std::collections::{BTreeMap, BTreeSet};

struct Found(Vec<Violation>);

impl Found {
    fn check(&mut self, number: u32, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = what();
            self.0.push(Violation { number, what });
        }
    }
}

/// Checks one ledger by itself: C1 to C5 of this module's table. Its cost grows with the items.
#[must_use]
pub fn check(ledger: &Ledger) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    items(ledger, &mut found);
    names(ledger, &mut found);
    counts(ledger, &mut found);
    found.0
}

fn items(ledger: &Ledger, found: &mut Found) {
    for slot in 0..ledger.slab.end() {
        let Some(row) = ledger.slab.get(slot) else {
            continue;
        };
        let stores: BTreeSet<u16> = row.cells().iter().map(|cell| cell.store()).collect();
        let known = stores
            .iter()
            .all(|number| ledger.stores.get(*number).is_some());
        found.check(1, known && stores.len() == row.cells().len(), || {
            format!("copies of {slot}: {:?}", row.cells())
        });
        let bounded = row.cells().len() <= COPIES_MAX && (1..=16).contains(&row.wanted);
        found.check(2, bounded, || {
            format!("{slot}: {} of {}", row.cells().len(), row.wanted)
        });
        let fresh = row.cells().iter().any(|cell| cell.is_fresh());
        let stands = row.version > 0 || row.stage != Stage::Written;
        found.check(5, stands && (row.is_written() || !fresh), || {
            format!("{slot} is {:?} and has a fresh copy: {fresh}", row.stage)
        });
    }
}

fn names(ledger: &Ledger, found: &mut Found) {
    let slots: Vec<u32> = ledger.names.after(&ledger.slab, None).collect();
    let all = (0..ledger.slab.end()).filter(|slot| ledger.slab.get(*slot).is_some());
    let ordered = slots.is_sorted_by(|a, b| ledger.slab.name(*a) < ledger.slab.name(*b));
    let complete = slots.len() == all.count() && slots.len() == ledger.names.len();
    found.check(3, ordered && complete, || {
        format!("{} names, ordered: {ordered}", slots.len())
    });
}

fn counts(ledger: &Ledger, found: &mut Found) {
    let mut counts = Counts::default();
    let mut held: BTreeMap<u16, (BTreeSet<u32>, u64, u64)> = BTreeMap::new();
    for slot in 0..ledger.slab.end() {
        let Some(row) = ledger.slab.get(slot) else {
            continue;
        };
        counts.add(slot, row.size, ledger.tally(row));
        for cell in row.cells() {
            let (items, fresh, bytes) = held.entry(cell.store()).or_default();
            items.insert(slot);
            if cell.is_fresh() {
                *fresh = fresh.saturating_add(1);
                *bytes = bytes.saturating_add(row.size);
            }
        }
    }
    let same = |a: &Counts, b: &Counts| {
        let classes = |counts: &Counts| -> Vec<_> {
            let classes = counts.endangered.iter();
            classes
                .map(|(danger, class)| {
                    (*danger, class.bytes, class.items.iter().collect::<Vec<_>>())
                })
                .collect()
        };
        let numbers = |counts: &Counts| {
            let without = (counts.unwritten, counts.removed);
            (counts.census.clone(), without, counts.bytes)
        };
        numbers(a) == numbers(b) && classes(a) == classes(b) && a.spare.iter().eq(b.spare.iter())
    };
    found.check(4, same(&counts, &ledger.counts), || {
        format!("counted {:?}, a full look gives {counts:?}", ledger.counts)
    });
    for (number, store) in ledger.stores.iter() {
        let (items, fresh, bytes) = held.remove(&number).unwrap_or_default();
        let agrees = store.items.iter().eq(items.iter().copied())
            && store.items.len() == u64::try_from(items.len()).unwrap_or(u64::MAX)
            && (store.fresh, store.fresh_bytes) == (fresh, bytes);
        found.check(4, agrees, || {
            format!(
                "node {}: {:?}, a full look gives {items:?}, {fresh}, {bytes}",
                store.node,
                store.fresh()
            )
        });
    }
}

/// Checks what one decision, which `lossy` says was allowed to lose copies or reports that some were, made of `before`:
/// C6 and C7.
#[must_use]
pub fn check_step(before: &Ledger, after: &Ledger, lossy: bool) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    let slots = 0..before.slab.end();
    for was in slots.filter_map(|slot| before.slab.get(slot)) {
        let Some(slot) = after.names.find(&after.slab, was.name()) else {
            continue;
        };
        let (old, now) = (
            before.tally(was),
            after.slab.get(slot).map(|row| after.tally(row)),
        );
        let Some(now) = now else { continue };
        let version = after.slab.get(slot).map_or(0, |row| row.version);
        found.check(6, version >= was.version, || {
            format!("{slot}: {} to {version}", was.version)
        });
        let shrank = now.usable < old.usable && now.counted < was.wanted && !now.removed;
        found.check(7, lossy || !shrank, || {
            format!("{:?}: {old:?} to {now:?}", after.item(ItemId(slot)))
        });
    }
    found.0
}

#[cfg(test)]
mod tests {
    use super::super::{Checksum, CopyState, ItemName, Reported, TooFew};
    use super::*;
    use crate::{CopiesPolicy, NodeId};

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(CopiesPolicy::default());
        let nodes: Vec<NodeId> = (1..=4).map(NodeId).collect();
        for node in &nodes {
            ledger.add_node(*node, None, 100).unwrap();
        }
        for name in ["a", "b", "c"] {
            let item = ItemName::new(name).unwrap();
            let on = ledger.propose(&item, 3, &BTreeSet::new());
            ledger.place(&item, 3, &on).unwrap();
            let reported = Reported {
                item,
                replaces: 0,
                version: 1,
                checksum: Checksum::new(&[1]).ok(),
                size: 10,
                holders: on,
            };
            assert!(ledger.report(&[reported]).unwrap()[0].is_ok());
        }
        ledger
    }

    fn numbers(violations: &[Violation]) -> BTreeSet<u32> {
        violations
            .iter()
            .map(|violation| violation.number)
            .collect()
    }

    #[test]
    fn every_rule_of_one_ledger_can_be_broken() {
        type Break = fn(&mut Ledger);
        let table: [(u32, Break); 8] = [
            (1, |ledger| {
                ledger.slab.get_mut(0).unwrap().set(9, CopyState::Stale)
            }),
            (2, |ledger| ledger.slab.get_mut(0).unwrap().wanted = 0),
            (3, |ledger| {
                ledger.names = super::super::names::Names::default()
            }),
            (4, |ledger| ledger.counts.spare.insert(1)),
            (4, |ledger| ledger.slab.get_mut(2).unwrap().size = 11),
            (4, |ledger| {
                ledger.stores.get_mut(0).unwrap().items.insert(77)
            }),
            (5, |ledger| ledger.slab.get_mut(0).unwrap().version = 0),
            (5, |ledger| {
                ledger.slab.get_mut(0).unwrap().stage = Stage::Vacant
            }),
        ];
        assert_eq!(check(&ledger()), []);
        for (number, act) in table {
            let mut broken = ledger();
            act(&mut broken);
            assert!(numbers(&check(&broken)).contains(&number), "C{number}");
        }
    }

    #[test]
    fn every_rule_of_a_step_can_be_broken() {
        let before = ledger();
        assert_eq!(check_step(&before, &before, false), []);
        let mut older = before.clone();
        older.change(0, |row| row.version = 0);
        assert!(numbers(&check_step(&before, &older, true)).contains(&6));
        let mut fewer = before.clone();
        let node = fewer.stores().next().unwrap().node();
        fewer.remove_node(node, TooFew::AcceptLoss).unwrap();
        assert_eq!(
            numbers(&check_step(&before, &fewer, false)),
            BTreeSet::from([7])
        );
        assert_eq!(check_step(&before, &fewer, true), []);
    }
}
