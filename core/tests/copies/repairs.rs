//! Repair, drain and rebalance by examples.

use super::{REFUSE, ledger, name, nodes, put, sum, zone};
use std::collections::BTreeMap;
use tenure_core::copies::repair::{Limits, NodeView, Plan, plan};
use tenure_core::copies::{Attempts, CopyState, Ledger, Reported, TooFew, check, rebalance};
use tenure_core::{Millis, Moment, NodeId};

pub(super) type Views = BTreeMap<NodeId, NodeView>;

pub(super) fn lost_since(node: u64, at: u64) -> Views {
    let lost_at = Some(Moment(at));
    BTreeMap::from([(
        NodeId(node),
        NodeView {
            lost_at,
            ..NodeView::default()
        },
    )])
}

pub(super) fn unlimited() -> Limits {
    Limits {
        per_node: u32::MAX,
        cluster: u32::MAX,
        look: u32::MAX,
        ..Limits::default()
    }
}

pub(super) fn later(limits: &Limits) -> Moment {
    Moment(0).after(limits.grace.plus(Millis(1)))
}

/// Plans and carries out until nothing is left to do; says how many copies were made.
pub(super) fn run(ledger: &mut Ledger, views: &Views, limits: &Limits, now: Moment) -> usize {
    let attempts = Attempts::default();
    let mut made = 0;
    for _ in 0..1_000 {
        let plan = plan(ledger, views, limits, &attempts, now);
        if plan.assign.is_empty() && plan.transfer.is_empty() && plan.drop.is_empty() {
            break;
        }
        made += plan.transfer.len();
        carry_out(ledger, &plan);
        assert!(check(ledger).is_empty(), "{:?}", check(ledger));
    }
    made
}

pub(super) fn carry_out(ledger: &mut Ledger, plan: &Plan) {
    for assign in &plan.assign {
        let item = ledger.item(assign.item).unwrap().name;
        ledger.assign(&item, assign.to).unwrap();
    }
    for transfer in &plan.transfer {
        let item = ledger.item(transfer.item).unwrap();
        let (replaces, version, checksum) = (0, transfer.version, item.checksum);
        let holders = vec![transfer.to];
        let report = Reported {
            item: item.name,
            replaces,
            version,
            checksum,
            size: 0,
            holders,
        };
        let answers = ledger.report(&[report]).unwrap();
        assert!(answers[0].is_ok(), "{answers:?}");
    }
    for gone in &plan.drop {
        let item = ledger.item(gone.item).unwrap().name;
        ledger.drop_copy(&item, gone.to).unwrap();
        ledger.dropped(&item, gone.to).unwrap();
    }
}

pub(super) fn fill(ledger: &mut Ledger, items: u64) {
    for item in 0..items {
        let text = format!("item-{item}");
        let on = ledger.propose(&name(&text), 3, &[].into());
        put(ledger, &text, &on);
    }
}

#[test]
fn the_most_endangered_come_first() {
    let mut ledger = ledger(6, 6);
    put(&mut ledger, "two-left", &nodes([1, 2, 3]));
    put(&mut ledger, "one-left", &nodes([1, 4, 5]));
    put(&mut ledger, "whole", &nodes([1, 2, 6]));
    let stale = |item: &str, version, on: &[NodeId]| Reported {
        version,
        ..super::wrote(item, version - 1, on)
    };
    ledger
        .report(&[
            stale("two-left", 2, &nodes([1, 2])),
            stale("one-left", 2, &nodes([1, 4])),
        ])
        .unwrap();
    ledger.lose(NodeId(4)).unwrap();
    let limits = Limits {
        cluster: 1,
        ..Limits::default()
    };
    let plan = plan(
        &ledger,
        &lost_since(4, 0),
        &limits,
        &Attempts::default(),
        Moment(5),
    );
    let first = plan.transfer[0];
    assert_eq!(ledger.item(first.item).unwrap().name, name("one-left"));
    assert_eq!(
        (first.from, first.to, first.version),
        (NodeId(1), NodeId(5), 2)
    );
    assert_eq!((plan.transfer.len(), plan.items, plan.bytes), (1, 2, 3_000));
    assert_eq!(plan.waiting.later, 1);
}

#[test]
fn a_lost_node_is_waited_for_and_resumes_with_what_it_has() {
    let mut ledger = ledger(5, 5);
    fill(&mut ledger, 50);
    let whole = ledger.list(None, 100);
    ledger.lose(NodeId(1)).unwrap();
    let (limits, views) = (unlimited(), lost_since(1, 0));
    let held = ledger.store(NodeId(1)).unwrap().items();
    let none = Attempts::default();
    let waits = plan(
        &ledger,
        &views,
        &limits,
        &none,
        Moment(0).after(Millis(599_999)),
    );
    assert_eq!(
        (waits.assign.len(), waits.waiting.grace, waits.items),
        (0, held, held)
    );
    let bulk = plan(&ledger, &views, &limits, &none, later(&limits));
    assert_eq!((bulk.assign.len() as u64, bulk.waiting.grace), (held, 0));
    ledger.regain(NodeId(1)).unwrap();
    let after = plan(&ledger, &Views::new(), &limits, &none, later(&limits));
    assert_eq!((after.items, after.assign.len()), (0, 0));
    assert_eq!(ledger.list(None, 100), whole);
}

#[test]
fn an_item_with_one_copy_left_does_not_wait() {
    let mut ledger = ledger(4, 4);
    put(&mut ledger, "a", &nodes([1, 2]));
    ledger.lose(NodeId(2)).unwrap();
    let plan = plan(
        &ledger,
        &lost_since(2, 0),
        &Limits::default(),
        &Attempts::default(),
        Moment(1),
    );
    assert_eq!((plan.assign.len(), plan.waiting.grace), (1, 0));
}

#[test]
fn many_copy_from_many_within_the_limits() {
    let mut ledger = ledger(10, 5);
    fill(&mut ledger, 400);
    ledger.lose(NodeId(1)).unwrap();
    let (views, limits) = (
        lost_since(1, 0),
        Limits {
            per_node: 3,
            cluster: 20,
            ..Limits::default()
        },
    );
    let mut attempts = Attempts::default();
    let now = later(&limits);
    let first = plan(&ledger, &views, &limits, &attempts, now);
    assert_eq!(first.assign.len(), 20);
    carry_out(&mut ledger, &first);
    let second = plan(&ledger, &views, &limits, &attempts, now);
    let mut senders: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut receivers: BTreeMap<NodeId, u32> = BTreeMap::new();
    for transfer in &second.transfer {
        assert_ne!(transfer.from, NodeId(1));
        *senders.entry(transfer.from).or_default() += 1;
        *receivers.entry(transfer.to).or_default() += 1;
        attempts.started(transfer);
    }
    assert!(
        senders.len() >= 5 && receivers.len() >= 5,
        "{senders:?} {receivers:?}"
    );
    assert!(
        senders
            .values()
            .chain(receivers.values())
            .all(|count| *count <= 3)
    );
    assert!(attempts.running() + second.assign.len() <= 20);
    let rate = Limits {
        bytes_per_second: 1_000,
        ..limits
    };
    let third = plan(&ledger, &views, &rate, &attempts, now);
    assert_eq!(third.seconds, Some(third.items));
    run(&mut ledger, &views, &limits, now);
    assert_eq!(ledger.summary().under_replicated, 0);
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(3, 400)]));
}

#[test]
fn a_failed_transfer_waits_longer_each_time_then_another_node_is_chosen() {
    let mut ledger = ledger(4, 4);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    ledger
        .report(&[super::wrote("a", 1, &nodes([1, 2]))])
        .unwrap();
    let limits = Limits {
        tries: 3,
        ..Limits::default()
    };
    let mut attempts = Attempts::default();
    let mut now = Moment(0);
    for wait in [1_000, 2_000, 4_000] {
        let tried = plan(&ledger, &Views::new(), &limits, &attempts, now);
        assert_eq!((tried.transfer.len(), tried.transfer[0].to), (1, NodeId(3)));
        attempts.started(&tried.transfer[0]);
        let runs = plan(&ledger, &Views::new(), &limits, &attempts, now);
        assert!(runs.transfer.is_empty() && runs.assign.is_empty());
        attempts.failed(tried.transfer[0].item, NodeId(3), now, &limits);
        let early = plan(
            &ledger,
            &Views::new(),
            &limits,
            &attempts,
            now.after(Millis(wait - 1)),
        );
        if wait < 4_000 {
            assert_eq!((early.transfer.len(), early.waiting.backoff), (0, 1));
        }
        now = now.after(Millis(wait));
    }
    let other = plan(&ledger, &Views::new(), &limits, &attempts, now);
    assert_eq!((other.assign.len(), other.assign[0].to), (1, NodeId(4)));
    // With nobody else left it is tried again.
    ledger.lose(NodeId(4)).unwrap();
    let again = plan(&ledger, &Views::new(), &limits, &attempts, now);
    assert_eq!((again.transfer.len(), again.waiting.no_room), (1, 1));
}

#[test]
fn full_nodes_are_given_nothing_and_what_cannot_be_done_is_counted() {
    let mut ledger = ledger(4, 4);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    ledger.lose(NodeId(1)).unwrap();
    let mut views = lost_since(1, 0);
    views.insert(
        NodeId(4),
        NodeView {
            free: Some(999),
            ..NodeView::default()
        },
    );
    let (limits, none) = (Limits::default(), Attempts::default());
    let now = later(&limits);
    let full = plan(&ledger, &views, &limits, &none, now);
    assert_eq!((full.assign.len(), full.waiting.no_room), (0, 1));
    ledger.lose(NodeId(2)).unwrap();
    ledger.lose(NodeId(3)).unwrap();
    let gone = plan(&ledger, &views, &limits, &none, now);
    assert_eq!((gone.items, gone.waiting.no_source), (1, 1));
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(0, 1)]));
}

#[test]
fn a_drained_node_is_emptied_without_an_item_ever_having_less() {
    let mut ledger = ledger(5, 5);
    fill(&mut ledger, 200);
    ledger.drain(NodeId(2), REFUSE).unwrap();
    let held = ledger.store(NodeId(2)).unwrap().items();
    assert_eq!(ledger.summary().under_replicated, held);
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(3, 200)]));
    let made = run(&mut ledger, &Views::new(), &unlimited(), Moment(0));
    assert_eq!(made as u64, held);
    assert!(ledger.is_evacuated(NodeId(2)));
    ledger.remove_node(NodeId(2), REFUSE).unwrap();
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(3, 200)]));
}

#[test]
fn a_node_gone_for_good_is_replaced_and_its_stale_return_is_tidied_away() {
    let mut ledger = ledger(5, 5);
    fill(&mut ledger, 100);
    ledger.lose(NodeId(1)).unwrap();
    let limits = unlimited();
    run(&mut ledger, &lost_since(1, 0), &limits, later(&limits));
    assert_eq!(ledger.summary().under_replicated, 0);
    let items: Vec<_> = ledger.list(None, 100);
    let writes = items.iter().map(|item| {
        let fresh = item.copies.iter().filter(|(node, _)| *node != NodeId(1));
        let holders: Vec<NodeId> = fresh.map(|(node, _)| *node).collect();
        super::wrote(item.name.as_str(), 1, &holders)
    });
    let writes: Vec<_> = writes.collect();
    assert!(ledger.report(&writes).unwrap().iter().all(Result::is_ok));
    ledger.regain(NodeId(1)).unwrap();
    run(&mut ledger, &Views::new(), &limits, later(&limits));
    for item in ledger.list(None, 100) {
        assert_eq!(item.copies.len(), 3, "{item:?}");
        assert!(
            item.copies
                .iter()
                .all(|(_, state)| *state == CopyState::InSync),
            "{item:?}"
        );
        assert_eq!(item.checksum, Some(sum(2)));
    }
}

#[test]
fn rebalance_moves_what_a_new_node_is_due_and_a_dry_run_says_so_before() {
    let mut ledger = ledger(5, 3);
    fill(&mut ledger, 600);
    let still = rebalance::rebalance(&ledger, &Views::new(), None, u32::MAX, usize::MAX);
    assert_eq!(
        (still.assign.len(), still.looked, still.next),
        (0, 600, None)
    );
    ledger.add_node(NodeId(6), zone(0), 100).unwrap();
    let dry = rebalance::rebalance(&ledger, &Views::new(), None, u32::MAX, usize::MAX);
    assert!(dry.assign.iter().all(|assign| assign.to == NodeId(6)));
    assert_eq!(dry.bytes, dry.assign.len() as u64 * 1_000);
    let mut sliced = Vec::new();
    let mut next = None;
    loop {
        let slice = rebalance::rebalance(&ledger, &Views::new(), next, 100, 7);
        assert!(slice.assign.len() <= 7 && slice.looked <= 100);
        sliced.extend(slice.assign);
        next = slice.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sliced, dry.assign);
    for assign in dry.assign {
        let item = ledger.item(assign.item).unwrap().name;
        ledger.assign(&item, assign.to).unwrap();
    }
    assert_eq!(ledger.summary().under_replicated, 0);
    run(&mut ledger, &Views::new(), &unlimited(), Moment(0));
    let after = rebalance::rebalance(&ledger, &Views::new(), None, u32::MAX, usize::MAX);
    assert_eq!((after.assign.len(), ledger.summary().spare), (0, 0));
    assert!(ledger.store(NodeId(6)).unwrap().items() > 200);
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(3, 600)]));
}

#[test]
fn a_lost_zone_is_made_up_for_in_the_others_and_undone_when_it_returns() {
    let mut ledger = ledger(6, 3);
    fill(&mut ledger, 90);
    let mut views = lost_since(1, 0);
    views.extend(lost_since(4, 0));
    ledger.lose(NodeId(1)).unwrap();
    ledger.lose(NodeId(4)).unwrap();
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(2, 90)]));
    let limits = unlimited();
    assert_eq!(run(&mut ledger, &views, &limits, later(&limits)), 90);
    ledger.regain(NodeId(1)).unwrap();
    ledger.regain(NodeId(4)).unwrap();
    run(&mut ledger, &Views::new(), &limits, later(&limits));
    for item in ledger.list(None, 100) {
        let zones: std::collections::BTreeSet<u64> =
            item.copies.iter().map(|(node, _)| node.0 % 3).collect();
        assert_eq!((item.copies.len(), zones.len()), (3, 3), "{item:?}");
    }
}

#[test]
fn a_removal_may_accept_the_loss_and_repair_goes_on_from_what_is_left() {
    let mut ledger = ledger(4, 4);
    fill(&mut ledger, 20);
    ledger.remove_node(NodeId(1), TooFew::AcceptLoss).unwrap();
    run(&mut ledger, &Views::new(), &unlimited(), Moment(0));
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(3, 20)]));
}
