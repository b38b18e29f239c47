//! The leader's machine and copies, message by message: who is lost as a holder, what is ordered, and what is believed.

use super::holders::{Bench, held, item, redis, report, service, sum};
use std::collections::BTreeSet;
use tenure_core::copies::{CopiesCommand, CopyState, ItemName};
use tenure_core::{CopyOrder, OrderKind, OrderProgress, OrderReport, Presence};

#[test]
fn holders_are_lost_together_and_only_by_a_leader_that_hears() {
    let mut bench = Bench::new(20, 600_000);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    bench.hears = false;
    bench.pass(15_000, &[1, 2, 3]);
    assert_eq!(bench.lost(), [0; 0], "the leader alone does not hear them");
    bench.hears = true;
    bench.proposed.clear();
    bench.pass(15_000, &[1, 2, 3]);
    assert_eq!(bench.lost(), [4, 5]);
    let losing = bench.proposed.iter().filter(|it| it.may_lose_copies());
    assert_eq!(losing.count(), 1, "{:?}", bench.proposed);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    assert_eq!(bench.lost(), [0; 0]);
    assert_eq!(bench.lacking(), 0);
}

#[test]
fn a_lost_node_is_waited_for_and_then_made_up_for_by_exact_copies_alone() {
    let mut bench = Bench::new(20, 30_000);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    bench.pass(12_000, &[2, 3, 4, 5]);
    assert_eq!(bench.lost(), [1]);
    let lacking = bench.lacking();
    assert!(lacking > 0);
    let orders = |bench: &mut Bench| -> Vec<(u64, CopyOrder)> {
        let of = |node| {
            let orders = bench.beat(node, Presence::Running, Vec::new());
            orders.into_iter().map(move |order| (node, order))
        };
        (2..=5).flat_map(of).collect()
    };
    assert_eq!(orders(&mut bench), []);
    bench.pass(31_000, &[2, 3, 4, 5]);
    let given = orders(&mut bench);
    assert!(!given.is_empty());
    for node in 2..=5 {
        let of_node = given.iter().filter(|(to, _)| *to == node);
        assert!(of_node.count() <= 4, "no more than four at a time");
    }
    let (node, order) = given[0].clone();
    assert_eq!((order.kind, order.version), (OrderKind::Fetch, 1));
    assert_eq!(order.checksum, sum(1));
    // Other data, another version, something nobody ordered: none of it counts.
    let stranger = OrderReport {
        item: item(999),
        ..report(&order, held(1, 1))
    };
    bench.beat(node, Presence::Running, vec![stranger]);
    bench.beat(node, Presence::Running, vec![report(&order, held(1, 2))]);
    bench.pass(100, &[]);
    assert_eq!(bench.lacking(), lacking);
    assert!(
        bench.notes.iter().any(|note| note.contains("repo/999")),
        "{:?}",
        bench.notes
    );
    let (node, order) = given[1].clone();
    bench.beat(node, Presence::Running, vec![report(&order, held(2, 1))]);
    let (node, order) = given[2].clone();
    bench.beat(
        node,
        Presence::Running,
        vec![report(&order, OrderProgress::Moved(5))],
    );
    bench.pass(100, &[]);
    assert_eq!(bench.lacking(), lacking);
    bench.beat(node, Presence::Running, vec![report(&order, held(1, 1))]);
    bench.pass(100, &[]);
    assert_eq!(bench.lacking(), lacking - 1);
    let left = bench.beat(node, Presence::Running, Vec::new());
    assert!(
        !left.contains(&order),
        "what is done is not ordered any more"
    );
}

/// What the nodes that are left are ordered to do.
fn ordered(bench: &mut Bench) -> Vec<CopyOrder> {
    let of = |node| bench.beat(node, Presence::Running, Vec::new());
    (2..=5).flat_map(of).collect()
}

/// Their replicas never answer a survey, and while one is waited with the other is tried.
#[test]
fn primaries_that_cannot_be_replaced_keep_no_copies_from_being_made_good() {
    let mut bench = Bench::new(20, 4_000);
    let names = [1, 2].map(redis);
    for name in &names {
        bench.primary_on(name, 1, 2);
    }
    bench.pause(&names[1]);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    bench.pass(2_500, &[2, 3, 4, 5]);
    assert_eq!(bench.lost(), [1]);
    bench.resume(&names[1]);
    bench.pass(100, &[]);
    for _ in 0..200 {
        assert!(bench.replaces(&names), "one or the other");
        bench.pass(20, &[2, 3, 4, 5]);
    }
    assert_ne!(ordered(&mut bench), []);
}

#[test]
fn a_failover_goes_before_what_the_same_loss_means_for_copies() {
    let mut bench = Bench::new(20, 0);
    let names = [redis(1)];
    bench.primary_on(&names[0], 1, 2);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    let mut ticks = 0;
    while !bench.replaces(&names) {
        assert!(ticks < 200, "nobody misses the primary");
        bench.pass(20, &[2, 3, 4, 5]);
        ticks += 1;
    }
    bench.pass(900, &[2, 3, 4, 5]);
    assert!(bench.replaces(&names));
    assert_eq!(bench.lost(), [0; 0]);
    bench.pass(2_000, &[2, 3, 4, 5]);
    assert_eq!(bench.lost(), [1]);
    assert_ne!(ordered(&mut bench), []);
}

#[test]
fn another_leader_orders_the_same_and_a_pause_ends_all_orders() {
    let mut bench = Bench::new(20, 0);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    bench.beat(1, Presence::Exited, Vec::new());
    bench.pass(200, &[]);
    assert_eq!(bench.lost(), [1], "what exited is lost at once");
    let given = ordered(&mut bench);
    assert!(!given.is_empty());
    bench.lead(6);
    bench.pass(2_000, &[2, 3, 4, 5]);
    let again = ordered(&mut bench);
    let names = |orders: &[CopyOrder]| -> BTreeSet<(OrderKind, ItemName, u64)> {
        let name = |it: &CopyOrder| (it.kind, it.item.clone(), it.version);
        orders.iter().map(name).collect()
    };
    assert!(!names(&given).is_disjoint(&names(&again)));
    bench.pause(&service());
    bench.pass(2_000, &[2, 3, 4, 5]);
    assert_eq!(ordered(&mut bench), []);
    let progress = bench
        .controller
        .copies_progress(bench.now, &bench.state, &service());
    assert!(progress.expect("it is there").repair.paused);
}

#[test]
fn a_copy_that_was_let_go_is_ordered_to_be_deleted_until_its_node_says_so() {
    let mut bench = Bench::new(3, 0);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    let located = bench.state.ledger(&service()).expect("it is there");
    let known = located
        .item(located.find(&item(0)).expect("it is there"))
        .expect("it is there");
    let removing = tenure_core::copies::Removing {
        item: item(0),
        version: 1,
    };
    bench.on_copies(CopiesCommand::Remove(vec![removing]));
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    for (node, _) in &known.copies {
        let orders = bench.beat(node.0, Presence::Running, Vec::new());
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].kind, orders[0].version), (OrderKind::Drop, 1));
        let state = bench.state.ledger(&service()).expect("it is there");
        let stored = state.stored(&item(0)).expect("it is there");
        assert!(stored.copies.contains(&(*node, CopyState::Dropping)));
        bench.beat(
            node.0,
            Presence::Running,
            vec![report(&orders[0], OrderProgress::Missing)],
        );
        bench.pass(100, &[]);
    }
    let ledger = bench.state.ledger(&service()).expect("it is there");
    assert_eq!(ledger.stored(&item(0)), None, "it is forgotten");
    assert_eq!(
        bench.beat(known.copies[0].0.0, Presence::Running, Vec::new()),
        []
    );
}

/// A node that has not deleted yet what it was let go of, and is given it again, keeps it.
#[test]
fn a_copy_that_was_given_again_is_ordered_to_be_deleted_no_more() {
    let mut bench = Bench::new(3, 0);
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    let ledger = bench.state.ledger(&service()).expect("it is there");
    let known = ledger.stored(&item(0)).expect("it is there");
    let nodes: Vec<_> = known.copies.iter().map(|(node, _)| *node).collect();
    let removing = tenure_core::copies::Removing {
        item: item(0),
        version: 1,
    };
    bench.on_copies(CopiesCommand::Remove(vec![removing]));
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    let deletes = |bench: &mut Bench, node: u64| {
        let orders = bench.beat(node, Presence::Running, Vec::new());
        orders
            .iter()
            .filter(|it| it.kind == OrderKind::Drop)
            .count()
    };
    for node in &nodes {
        assert_eq!(deletes(&mut bench, node.0), 1);
    }
    bench.on_copies(CopiesCommand::Place(vec![tenure_core::copies::Placing {
        item: item(0),
        wanted: 0,
        nodes: nodes.clone(),
    }]));
    bench.pass(2_000, &[1, 2, 3, 4, 5]);
    for node in &nodes {
        assert_eq!(deletes(&mut bench, node.0), 0, "{node}");
    }
}
