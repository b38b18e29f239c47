//! Which node is chosen, and which copy is let go.

use super::repairs::{Views, fill, later, lost_since, unlimited};
use super::{ledger, name, put, wrote};
use std::collections::BTreeSet;
use tenure_core::NodeId;
use tenure_core::copies::repair::{Limits, plan};
use tenure_core::copies::{Attempts, rebalance};

#[test]
fn a_replacement_stands_in_a_zone_that_has_no_copy_yet() {
    let mut ledger = ledger(12, 4);
    fill(&mut ledger, 300);
    ledger.lose(NodeId(1)).unwrap();
    let limits = unlimited();
    let now = later(&limits);
    let plan = plan(
        &ledger,
        &lost_since(1, 0),
        &limits,
        &Attempts::default(),
        now,
    );
    assert!(plan.assign.len() > 30);
    for assign in plan.assign {
        let item = ledger.item(assign.item).unwrap();
        let kept = item.copies.iter().filter(|(node, _)| *node != NodeId(1));
        let zones: BTreeSet<u64> = kept.map(|(node, _)| node.0 % 4).collect();
        assert!(!zones.contains(&(assign.to.0 % 4)), "{item:?} {assign:?}");
    }
}

#[test]
fn a_stale_copy_nobody_needs_is_dropped_where_it_does_not_belong_and_refreshed_where_it_does() {
    let mut ledger = ledger(6, 6);
    let best = ledger.propose(&name("a"), 3, &BTreeSet::new());
    let other = (1..=6)
        .map(NodeId)
        .find(|node| !best.contains(node))
        .unwrap();
    for (item, stale) in [("a", other), ("a", best[0])] {
        let known = ledger.find(&name(item));
        if known.is_none() {
            put(&mut ledger, item, &best);
        }
        if stale == other {
            ledger.assign(&name(item), other).unwrap();
            let plan = plan(
                &ledger,
                &Views::new(),
                &Limits::default(),
                &Attempts::default(),
                later(&Limits::default()),
            );
            assert_eq!((plan.transfer.len(), plan.drop.len()), (0, 1));
            assert_eq!(plan.drop[0].to, other);
            continue;
        }
        let fresh = [best[1], best[2], other];
        assert!(ledger.report(&[wrote(item, 1, &fresh)]).unwrap()[0].is_ok());
        assert_eq!(ledger.summary().under_replicated, 0);
        let plan = plan(
            &ledger,
            &Views::new(),
            &Limits::default(),
            &Attempts::default(),
            later(&Limits::default()),
        );
        assert_eq!((plan.transfer.len(), plan.drop.len()), (1, 0));
        assert_eq!(plan.transfer[0].to, stale);
    }
}

#[test]
fn what_lacks_copies_is_repaired_before_it_is_moved() {
    let mut ledger = ledger(6, 6);
    let best = ledger.propose(&name("a"), 3, &BTreeSet::new());
    let elsewhere: Vec<NodeId> = (1..=6)
        .map(NodeId)
        .filter(|node| !best.contains(node))
        .collect();
    put(&mut ledger, "a", &elsewhere);
    let moves = |ledger: &_| {
        rebalance::rebalance(ledger, &Views::new(), None, 10, 10)
            .assign
            .len()
    };
    assert_eq!(moves(&ledger), 3);
    assert!(ledger.report(&[wrote("a", 1, &elsewhere[..2])]).unwrap()[0].is_ok());
    assert_eq!(moves(&ledger), 0);
}

#[test]
fn a_plan_stops_looking_when_nobody_can_receive_more() {
    let mut ledger = ledger(5, 5);
    fill(&mut ledger, 300);
    ledger.lose(NodeId(1)).unwrap();
    let limits = Limits {
        per_node: 2,
        ..Limits::default()
    };
    let plan = plan(
        &ledger,
        &lost_since(1, 0),
        &limits,
        &Attempts::default(),
        later(&limits),
    );
    assert_eq!(plan.assign.len(), 8);
    let looked = plan.items - plan.waiting.later;
    assert!(looked < 100 && plan.waiting.later > 0, "{:?}", plan.waiting);
}
