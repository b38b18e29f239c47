//! Memory and speed at the size that `TENURE_COPIES_ITEMS` says; run it in release. Without the variable there is nothing to
//! measure, and a hundred items show that the measure works.

use super::{ledger, name, number};
use std::collections::BTreeMap;
use std::time::Instant;
use tenure_core::copies::placement::key_of;
use tenure_core::copies::repair::{Limits, NodeView, plan};
use tenure_core::copies::{Attempts, ItemName, Ledger, Reader, Reported, check, rebalance};
use tenure_core::{Moment, NodeId};

const BATCH: usize = 1_000;

/// Bytes of the process that lie in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("it has a figure").parse::<u64>().unwrap() * 1_024
}

/// Names of 24 bytes in no order.
fn item(of: u64) -> ItemName {
    name(&format!("repo/{:019x}", key_of(&of.to_be_bytes())))
}

fn write(of: u64, version: u64, holders: Vec<NodeId>) -> Reported {
    let checksum = tenure_core::copies::Checksum::new(&[version as u8; 32]).ok();
    let (item, replaces) = (item(of), version - 1);
    Reported {
        item,
        replaces,
        version,
        checksum,
        size: 1 << 20,
        holders,
    }
}

fn per_second(items: u64, since: Instant) -> u64 {
    items * 1_000_000 / (since.elapsed().as_micros() as u64).max(1)
}

fn fill(ledger: &mut Ledger, items: u64) {
    let nodes: Vec<_> = ledger
        .stores()
        .map(|store| (store.node(), store.zone().cloned(), store.weight()))
        .collect();
    let nodes = nodes
        .iter()
        .map(|(node, zone, weight)| (*node, zone.as_ref(), *weight));
    let mut chooser = tenure_core::copies::placement::Chooser::new(nodes, true);
    for of in 0..items {
        let item = item(of);
        let on = chooser.choose(key_of(item.as_str().as_bytes()), 3, &[], |_| true);
        ledger.place(&item, 3, &on).unwrap();
        assert!(ledger.report(&[write(of, 1, on)]).unwrap()[0].is_ok());
    }
}

#[test]
fn memory_and_speed() {
    let items = number("TENURE_COPIES_ITEMS", 100);
    // Code and allocator come into memory before it is looked at.
    fill(&mut ledger(100, 10), 1_000);
    let before = resident();
    let nodes = number("TENURE_COPIES_NODES", 100);
    let mut ledger = ledger(nodes, 10);
    let start = Instant::now();
    fill(&mut ledger, items);
    println!("{items} items, 3 copies on {nodes} nodes, names of 24 bytes, checksums of 32");
    println!(
        "placed and written, one by one: {} a second",
        per_second(items, start)
    );
    println!(
        "memory: {} bytes an item",
        resident().saturating_sub(before) / items
    );
    updates(&mut ledger, items);
    locate(&ledger, items);
    losses(&mut ledger, items, nodes);
    restart(&ledger);
    assert!(items > 1_000 || check(&ledger).is_empty());
}

fn updates(ledger: &mut Ledger, items: u64) {
    let holders = |ledger: &Ledger, of| {
        let id = ledger.find(&item(of)).unwrap();
        ledger
            .item(id)
            .unwrap()
            .copies
            .into_iter()
            .map(|(node, _)| node)
            .collect()
    };
    let order = (0..items).map(|of| key_of(&of.to_le_bytes()) % items);
    let mut seen = std::collections::BTreeSet::new();
    let of: Vec<u64> = order
        .filter(|of| seen.insert(*of))
        .take(100 * BATCH)
        .collect();
    let reports: Vec<Reported> = of
        .iter()
        .map(|of| write(*of, 2, holders(ledger, *of)))
        .collect();
    let start = Instant::now();
    for batch in reports.chunks(BATCH) {
        assert!(ledger.report(batch).unwrap().iter().all(Result::is_ok));
    }
    println!(
        "updates in batches of {BATCH}: {} a second",
        per_second(reports.len() as u64, start)
    );
}

fn locate(ledger: &Ledger, items: u64) {
    let loads = BTreeMap::from([(NodeId(7), 500), (NodeId(9), 100)]);
    let zone = super::zone(3);
    let reader = Reader {
        zone: zone.as_ref(),
        loads: &loads,
    };
    let names: Vec<ItemName> = (0..100_000.min(items))
        .map(|of| item(key_of(&of.to_le_bytes()) % items))
        .collect();
    let start = Instant::now();
    for batch in names.chunks(BATCH) {
        assert!(
            ledger
                .locate(batch, reader)
                .unwrap()
                .iter()
                .all(Result::is_ok)
        );
    }
    println!(
        "located in batches of {BATCH}: {} a second",
        per_second(names.len() as u64, start)
    );
}

fn losses(ledger: &mut Ledger, items: u64, nodes: u64) {
    let lost = NodeId(nodes / 2);
    let start = Instant::now();
    ledger.lose(lost).unwrap();
    println!(
        "one node lost: {} items counted anew in {:?}",
        ledger.store(lost).unwrap().items(),
        start.elapsed()
    );
    let lost_at = Some(Moment(0));
    let views = BTreeMap::from([(
        lost,
        NodeView {
            lost_at,
            ..NodeView::default()
        },
    )]);
    let unlimited = Limits {
        per_node: u32::MAX,
        cluster: u32::MAX,
        look: u32::MAX,
        ..Limits::default()
    };
    let now = Moment(u64::MAX);
    let none = Attempts::default();
    for (what, limits) in [
        ("everything at once", unlimited),
        ("within the limits", Limits::default()),
    ] {
        let start = Instant::now();
        let plan = plan(ledger, &views, &limits, &none, now);
        let (took, given) = (start.elapsed(), plan.assign.len());
        println!(
            "plan of its repair, {what}: {took:?}, {given} copies given of {} items",
            plan.items
        );
    }
    let start = Instant::now();
    let obstacles = ledger.removal_obstacles(lost, 10).unwrap();
    println!(
        "what its removal would leave with too few: {} in {:?}",
        obstacles.count,
        start.elapsed()
    );
    ledger.regain(lost).unwrap();
    ledger
        .add_node(NodeId(nodes + 1), super::zone(1), 100)
        .unwrap();
    let start = Instant::now();
    let moves = rebalance::rebalance(ledger, &views, None, u32::MAX, usize::MAX);
    let (took, due) = (start.elapsed(), items * 3 / (nodes + 1));
    println!(
        "rebalance to a new node: {} moves (its share is {due}) in {took:?}",
        moves.assign.len()
    );
}

/// Reads all items page by page, and makes a ledger of them again.
fn restart(ledger: &Ledger) {
    let (start, mut pages) = (Instant::now(), Vec::new());
    let mut after = None;
    loop {
        let page = ledger.list(after.as_ref(), BATCH);
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        pages.push(page);
    }
    let items = pages.iter().flatten();
    println!(
        "listed: {} items a second",
        per_second(items.clone().count() as u64, start)
    );
    let mut restored = Ledger::new(*ledger.policy());
    for store in ledger.stores() {
        restored
            .add_node(store.node(), store.zone().cloned(), store.weight())
            .unwrap();
    }
    let start = Instant::now();
    for item in items {
        restored.restore(item).unwrap();
    }
    println!(
        "restored: {} items a second",
        per_second(restored.summary().items, start)
    );
    assert_eq!(restored.summary(), ledger.summary());
}
