//! Where the copies of an item belong: a pure function of its name, the nodes, their zones and their weights.
//!
//! Every node draws a number for every item, and those with the smallest draws win: rendezvous hashing (Thaler and
//! Ravishankar, 1998), so that a node that comes takes its share from all others and nothing else moves, and a node that goes
//! gives its share to all others. Weights enter by the logarithmic method (Schindelhauer and Schomaker, "Weighted distributed
//! hash tables", SPAA 2005; `straw2` of Ceph's CRUSH): with `u` uniform in (0, 1], `-log2(u) / weight` is exponentially
//! distributed with a rate in proportion to the weight, and the smallest of several is each node's with a probability in
//! proportion to its rate. The logarithm is a table of fixed-point numbers, so that every server computes the same.
//!
//! Zones: each copy goes to a zone that has the fewest of the item's copies so far, hence to a distinct one while there
//! are enough. While there are, a node that comes or goes changes one copy of an item at most: the choice is the greedy
//! basis of a partition matroid.

use super::{ItemName, Ledger};
use crate::{NodeId, Zone};
use std::collections::{BTreeMap, BTreeSet};

/// Steps of the table between two powers of two.
const STEPS: usize = 256;
/// Bits behind the point of a logarithm.
const POINT: u32 = 40;

/// `log2(1 + i / 256)` with 40 bits behind the point, by repeated squaring.
const LOG2: [u64; STEPS + 1] = {
    let mut table = [0_u64; STEPS + 1];
    let mut i = 0;
    while i < STEPS {
        let mut x = ((STEPS + i) as u128) << 54;
        let mut bit = 0;
        while bit < POINT {
            x = x.wrapping_mul(x) >> 62;
            table[i] <<= 1;
            if x >> 63 == 1 {
                x >>= 1;
                table[i] |= 1;
            }
            bit += 1;
        }
        i += 1;
    }
    table[STEPS] = 1 << POINT;
    table
};

/// `-log2(u)` for `u = x / 2^64`, with 40 bits behind the point; straight lines between the steps of the table. It never
/// grows with `x`, so equal weights are served equally whatever the error, which is below 0.2 % where it is decided.
fn minus_log2(x: u64) -> u64 {
    let x = x.max(1);
    let zeros = x.leading_zeros();
    let mantissa = x.wrapping_shl(zeros) & (u64::MAX >> 1);
    let step = usize::try_from(mantissa >> 55).unwrap_or_default();
    let within = (mantissa >> 25) & ((1 << 30) - 1);
    let (low, high) = (LOG2[step], LOG2[step.saturating_add(1)]);
    let part = high.saturating_sub(low).saturating_mul(within) >> 30;
    let fraction = low.saturating_add(part);
    let whole = u64::from(zeros.saturating_add(1)) << POINT;
    whole.saturating_sub(fraction)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood; OOPSLA 2014).
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What an item's name is to the draws: FNV-1a over its bytes, mixed. It is part of the behaviour that servers of two
/// versions must agree on.
#[must_use]
pub fn key_of(name: &[u8]) -> u64 {
    let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(name.iter().fold(0xcbf2_9ce4_8422_2325, byte))
}

fn salt_of(node: NodeId) -> u64 {
    mix(node.0.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn draw_salted(key: u64, salt: u64, weight: u32) -> u64 {
    let drawn = minus_log2(mix(key ^ salt)) << 16;
    drawn.checked_div(weight.into()).unwrap_or(u64::MAX)
}

/// What a node draws for an item: the smaller, the rather it is the item's place. A node of weight 0 draws the greatest
/// number there is.
#[must_use]
pub fn draw(key: u64, node: NodeId, weight: u32) -> u64 {
    draw_salted(key, salt_of(node), weight)
}

#[derive(Debug, Clone)]
struct Candidate {
    node: NodeId,
    salt: u64,
    weight: u32,
    zone: usize,
    draw: u64,
}

/// The nodes among which copies are placed, made ready for many items.
#[derive(Debug, Clone)]
pub struct Chooser {
    candidates: Vec<Candidate>,
    in_zone: Vec<u32>,
    spread: bool,
}

impl Chooser {
    /// Takes nodes with zone and weight. Those without a zone share one. With `spread`, copies go to distinct zones.
    #[must_use]
    pub fn new<'a>(
        nodes: impl Iterator<Item = (NodeId, Option<&'a Zone>, u32)>,
        spread: bool,
    ) -> Self {
        let mut zones: BTreeMap<Option<&Zone>, usize> = BTreeMap::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        for (node, zone, weight) in nodes {
            let next = zones.len();
            let zone = *zones.entry(zone).or_insert(next);
            let salt = salt_of(node);
            candidates.push(Candidate {
                node,
                salt,
                weight,
                zone,
                draw: 0,
            });
        }
        candidates.sort_unstable_by_key(|candidate| candidate.node);
        candidates.dedup_by_key(|candidate| candidate.node);
        let in_zone = vec![0; zones.len()];
        Self {
            candidates,
            in_zone,
            spread,
        }
    }

    /// Chooses up to `count` nodes for an item among those that `may` take it, the best first. `held` are nodes that keep
    /// copies beside the chosen ones: they are not chosen, and their zones are avoided. Fewer come back when there are no more.
    pub fn choose(
        &mut self,
        key: u64,
        count: usize,
        held: &[NodeId],
        may: impl Fn(NodeId) -> bool,
    ) -> Vec<NodeId> {
        let Self {
            candidates,
            in_zone,
            spread,
        } = self;
        in_zone.fill(0);
        for candidate in candidates.iter_mut() {
            if held.contains(&candidate.node) {
                in_zone[candidate.zone] = in_zone[candidate.zone].saturating_add(1);
                candidate.draw = u64::MAX;
            } else if may(candidate.node) {
                candidate.draw = draw_salted(key, candidate.salt, candidate.weight);
            } else {
                candidate.draw = u64::MAX;
            }
        }
        let mut chosen = Vec::with_capacity(count.min(candidates.len()));
        while chosen.len() < count {
            let order = |at: &usize| {
                let candidate = &candidates[*at];
                let crowd = if *spread { in_zone[candidate.zone] } else { 0 };
                (crowd, candidate.draw, candidate.node)
            };
            let free = (0..candidates.len()).filter(|at| candidates[*at].draw < u64::MAX);
            let Some(best) = free.min_by_key(order) else {
                break;
            };
            let candidate = &mut candidates[best];
            chosen.push(candidate.node);
            candidate.draw = u64::MAX;
            in_zone[candidate.zone] = in_zone[candidate.zone].saturating_add(1);
        }
        chosen
    }
}

impl Ledger {
    /// The nodes that may be given copies now, ready to choose from. Nodes of weight 0 keep what they have and are given
    /// nothing.
    #[must_use]
    pub fn chooser(&self) -> Chooser {
        let stores = self.stores().filter(|store| store.counts());
        Chooser::new(
            stores.map(|store| (store.node(), store.zone(), store.weight())),
            self.policy.spread_zones,
        )
    }

    /// Where the copies of many items belong, as [`Ledger::propose`] says of one; 0 wanted is what the policy says.
    #[must_use]
    pub fn propose_many(
        &self,
        items: &[(ItemName, u8)],
        full: &BTreeSet<NodeId>,
    ) -> Vec<Vec<NodeId>> {
        let mut chooser = self.chooser();
        let may = |node| !full.contains(&node);
        let usual = usize::try_from(self.policy().copies).unwrap_or(usize::MAX);
        let places = |(item, wanted): &(ItemName, u8)| {
            let count = if *wanted == 0 {
                usual
            } else {
                (*wanted).into()
            };
            chooser.choose(key_of(item.as_str().as_bytes()), count, &[], may)
        };
        items.iter().map(places).collect()
    }

    /// Where a new item's copies belong, nodes that are `full` left out: what [`Ledger::place`] is then asked for.
    #[must_use]
    pub fn propose(&self, item: &ItemName, wanted: u8, full: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let key = key_of(item.as_str().as_bytes());
        let may = |node| !full.contains(&node);
        self.chooser().choose(key, wanted.into(), &[], may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right_at_powers_of_two_and_never_grows() {
        for power in 0..64_u32 {
            let expected = u64::from(64 - power) << POINT;
            assert_eq!(minus_log2(1 << power), expected, "2^{power}");
        }
        assert!(minus_log2(u64::MAX) < 1 << 12);
        // log2(1.5) = 0.584962500721156 (2^40 of it: 643173071355).
        let half = minus_log2(3 << 62);
        assert!(
            (1_u64 << POINT).abs_diff(half + 643_173_071_355) < 1 << 4,
            "{half}"
        );
        let mut last = u64::MAX;
        for x in (0..1_u64 << 20).map(|x| x << 44) {
            assert!(minus_log2(x) <= last, "at {x}");
            last = minus_log2(x);
        }
    }

    #[test]
    fn the_same_names_go_to_the_same_places_for_ever() {
        let zones: Vec<Zone> = ["a", "b", "c"]
            .iter()
            .map(|z| Zone::new(z).unwrap())
            .collect();
        let nodes = (1..=6_u64).map(|n| (NodeId(n), zones.get((n % 3) as usize), 100));
        let mut chooser = Chooser::new(nodes, true);
        let places: Vec<Vec<u64>> = ["x", "repo/1", "repo/2", "é"]
            .iter()
            .map(|name| {
                let chosen = chooser.choose(key_of(name.as_bytes()), 3, &[], |_| true);
                chosen.iter().map(|node| node.0).collect()
            })
            .collect();
        assert_eq!(places, PLACES);
    }

    /// Whoever changes these moves every copy of every cluster.
    const PLACES: [[u64; 3]; 4] = [[5, 4, 6], [2, 1, 6], [2, 4, 6], [3, 2, 1]];
}
