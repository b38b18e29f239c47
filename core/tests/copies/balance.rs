//! How evenly copies lie, and how many move when nodes come and go, beside what is ideal.

use super::{number, zone};
use std::collections::BTreeMap;
use tenure_core::copies::placement::{Chooser, key_of};
use tenure_core::{NodeId, Zone};

const COPIES: u64 = 3;

struct Nodes(Vec<(NodeId, Option<Zone>, u32)>);

impl Nodes {
    /// Nodes from 1 on over so many zones, with these weights in turn within each zone.
    fn new(count: u64, zones: u64, weights: &[u32]) -> Self {
        let node = |n: u64| {
            let weight = weights[(n / zones) as usize % weights.len()];
            (NodeId(n + 1), zone(n % zones), weight)
        };
        Self((0..count).map(node).collect())
    }

    fn place(&self, items: u64) -> Vec<Vec<NodeId>> {
        let nodes = self
            .0
            .iter()
            .map(|(id, zone, weight)| (*id, zone.as_ref(), *weight));
        let mut chooser = Chooser::new(nodes, true);
        let choose = |item| {
            let key = key_of(format!("repository/{item}").as_bytes());
            chooser.choose(key, COPIES as usize, &[], |_| true)
        };
        (0..items).map(choose).collect()
    }

    /// The furthest that a node is from its share, in thousandths of it.
    fn imbalance(&self, places: &[Vec<NodeId>]) -> u64 {
        let mut held: BTreeMap<NodeId, u64> = BTreeMap::new();
        for node in places.iter().flatten() {
            *held.entry(*node).or_default() += 1;
        }
        let weights: u64 = self.0.iter().map(|(.., weight)| u64::from(*weight)).sum();
        let off = |(node, _, weight): &(NodeId, Option<Zone>, u32)| {
            let share = places.len() as u64 * COPIES * u64::from(*weight) / weights;
            held.get(node).copied().unwrap_or_default().abs_diff(share) * 1_000 / share
        };
        self.0.iter().map(off).max().unwrap()
    }
}

fn moved(before: &[Vec<NodeId>], after: &[Vec<NodeId>]) -> u64 {
    let gone = |(was, is): (&Vec<NodeId>, &Vec<NodeId>)| {
        was.iter().filter(|node| !is.contains(node)).count()
    };
    before.iter().zip(after).map(gone).sum::<usize>() as u64
}

/// Noise of a share of `n` copies: four standard deviations, in thousandths. What is measured in the gate's short form has to
/// be allowed it; in the long form it is small.
fn noise(copies: u64) -> u64 {
    4_000 / copies.isqrt()
}

#[test]
fn copies_lie_by_weight_within_five_percent_and_zones_are_distinct() {
    let items = number("TENURE_COPIES_PLACED", 20_000);
    for (zones, weights) in [
        (1, &[100][..]),
        (10, &[100]),
        (10, &[50, 100, 100, 150]),
        (3, &[100]),
    ] {
        let nodes = Nodes::new(if zones == 3 { 99 } else { 100 }, zones, weights);
        let places = nodes.place(items);
        for place in &places {
            let distinct: std::collections::BTreeSet<u64> =
                place.iter().map(|node| (node.0 - 1) % zones).collect();
            assert_eq!(distinct.len() as u64, zones.min(COPIES), "{place:?}");
        }
        let off = nodes.imbalance(&places);
        println!(
            "{items} items, 100 nodes, {zones} zones, weights {weights:?}: {off} thousandths off at most"
        );
        let smallest = u64::from(*weights.iter().min().unwrap()) * items * COPIES / 10_000;
        let allowed = 50.max(10 + noise(smallest));
        assert!(
            off <= allowed,
            "{off} of {allowed} thousandths, {zones} zones, {weights:?}"
        );
    }
}

#[test]
fn a_node_that_joins_takes_its_share_and_nothing_else_moves() {
    let items = number("TENURE_COPIES_PLACED", 20_000);
    for (count, zones) in [(100, 1), (100, 10), (5, 3), (6, 2)] {
        let mut nodes = Nodes::new(count, zones, &[100]);
        let before = nodes.place(items);
        let new = NodeId(count + 1);
        nodes.0.push((new, zone(count % zones), 100));
        let after = nodes.place(items);
        let moved = moved(&before, &after);
        let taken = after.iter().flatten().filter(|node| **node == new).count() as u64;
        println!(
            "{count} nodes and one, {zones} zones: {moved} copies moved, {taken} to the new node"
        );
        if zones >= COPIES {
            assert_eq!(moved, taken, "{count} nodes, {zones} zones");
        }
        assert!(moved * 10 <= taken * 11, "{moved} moved, {taken} had to");
        if zones == 1 || count == 100 {
            let ideal = items * COPIES / (count + 1);
            let off = taken.abs_diff(ideal) * 1_000 / ideal;
            assert!(
                off <= 50.max(noise(ideal)),
                "{taken} to the new node, its share is {ideal}"
            );
        }
    }
}

#[test]
fn a_change_of_weight_moves_copies_to_the_heavier_only() {
    let mut nodes = Nodes::new(20, 5, &[100]);
    let before = nodes.place(20_000);
    nodes.0[7].2 = 200;
    let after = nodes.place(20_000);
    for (was, is) in before.iter().zip(&after) {
        let new: Vec<_> = is.iter().filter(|node| !was.contains(node)).collect();
        assert!(new.is_empty() || new == [&NodeId(8)], "{was:?} to {is:?}");
    }
    assert!(moved(&before, &after) > 1_000);
}
