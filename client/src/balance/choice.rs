//! Choosing among peers: two at random, the less loaded of them.
//!
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996): nearly as even as
//! asking all, and no herd runs to the one that was the least loaded a moment ago.

use super::{picture::Peer, track::Track};
use std::{sync::Arc, time::Instant};
use tenure_core::Zone;

/// Chooses one; None when there is none. `draw` gives random numbers.
///
/// Peers of the caller's zone come first as long as one of them is not ejected. When all peers are
/// ejected, the one whose turn to return comes first is tried: to fail for certain helps nobody.
pub(super) fn choose<'a>(
    peers: &'a [(Peer, Arc<Track>)],
    zone: Option<&Zone>,
    now: Instant,
    draw: &mut impl FnMut() -> u64,
) -> Option<&'a (Peer, Arc<Track>)> {
    let standing = |(_, track): &&(Peer, Arc<Track>)| track.ejected_until(now).is_none();
    let usable: Vec<&(Peer, Arc<Track>)> = peers.iter().filter(standing).collect();
    if usable.is_empty() {
        return peers
            .iter()
            .min_by_key(|(_, track)| track.ejected_until(now));
    }
    let near: Vec<&(Peer, Arc<Track>)> = usable
        .iter()
        .copied()
        .filter(|(peer, _)| zone.is_some() && peer.zone.as_ref() == zone)
        .collect();
    two_choices(if near.is_empty() { &usable } else { &near }, draw)
}

fn two_choices<'a>(
    among: &[&'a (Peer, Arc<Track>)],
    draw: &mut impl FnMut() -> u64,
) -> Option<&'a (Peer, Arc<Track>)> {
    let first = by_weight(among, None, draw)?;
    let Some(second) = by_weight(among, Some(first), draw) else {
        return among.get(first).copied();
    };
    let (one, other) = (among.get(first)?, among.get(second)?);
    Some(if is_busier(one, other) { other } else { one })
}

/// One at random, as often as its weight says, and not the one that is `taken`.
fn by_weight(
    among: &[&(Peer, Arc<Track>)],
    taken: Option<usize>,
    draw: &mut impl FnMut() -> u64,
) -> Option<usize> {
    let weight = |at: usize, peer: &Peer| match taken == Some(at) {
        true => 0,
        false => u64::from(peer.weight),
    };
    let weights = || among.iter().enumerate().map(|(at, it)| weight(at, &it.0));
    let total: u64 = weights().sum();
    let mut left = draw().checked_rem(total)?;
    for (at, weight) in weights().enumerate() {
        match left.checked_sub(weight) {
            Some(rest) => left = rest,
            None => return Some(at),
        }
    }
    None
}

/// Whether one carries more of its share than another: this caller's requests under way and the load
/// that it reports, by weight.
fn is_busier(one: &(Peer, Arc<Track>), other: &(Peer, Arc<Track>)) -> bool {
    let burden = |(peer, track): &(Peer, Arc<Track>)| {
        u64::from(track.in_flight()).saturating_add(u64::from(peer.load))
    };
    let scaled = |of: u64, by: &Peer| u128::from(of) * u128::from(by.weight.max(1));
    scaled(burden(one), &other.0) > scaled(burden(other), &one.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backoff::Backoff, balance::track::Ejection};
    use std::{collections::BTreeMap, time::Duration};
    use tenure_core::{Endpoint, NodeId};

    fn peer(node: u64, zone: &str, load: u32, weight: u32) -> (Peer, Arc<Track>) {
        let peer = Peer {
            node: NodeId(node),
            endpoint: Endpoint::new(&format!("10.0.0.{node}:80")).unwrap(),
            zone: Zone::new(zone).ok(),
            load,
            weight,
        };
        (peer, Arc::default())
    }

    /// How often each was chosen, of so many, from a fixed seed; `hold` leaves the requests under way.
    fn chosen(
        peers: &[(Peer, Arc<Track>)],
        zone: &str,
        times: u32,
        hold: bool,
    ) -> BTreeMap<u64, u32> {
        let dice = Backoff::new(11);
        let mut counts = BTreeMap::new();
        let (zone, now) = (Zone::new(zone).ok(), Instant::now());
        for _ in 0..times {
            let choice = choose(peers, zone.as_ref(), now, &mut || dice.number());
            let (peer, track) = choice.unwrap();
            *counts.entry(peer.node.0).or_default() += 1;
            if hold {
                track.begin();
            }
        }
        counts
    }

    #[test]
    fn nobody_is_chosen_of_none_and_the_only_one_always() {
        assert!(choose(&[], None, Instant::now(), &mut || 1).is_none());
        let one = [peer(1, "a", 90, 100)];
        assert_eq!(chosen(&one, "a", 10, false), [(1, 10)].into());
    }

    #[test]
    fn the_less_loaded_of_two_is_chosen() {
        let two = [peer(1, "a", 0, 100), peer(2, "a", 10, 100)];
        assert_eq!(chosen(&two, "a", 100, false), [(1, 100)].into());
        let busy = [peer(1, "a", 0, 100), peer(2, "a", 0, 100)];
        busy[0].1.begin();
        assert_eq!(chosen(&busy, "a", 100, false), [(2, 100)].into());
    }

    #[test]
    fn requests_under_way_even_out_by_weight() {
        let even: Vec<_> = (1..=4).map(|node| peer(node, "a", 0, 100)).collect();
        for count in chosen(&even, "a", 400, true).values() {
            assert!((95..=105).contains(count), "{count} of 400 on one of four");
        }
        let uneven = [peer(1, "a", 0, 300), peer(2, "a", 0, 100)];
        let counts = chosen(&uneven, "a", 400, true);
        assert!((298..=302).contains(&counts[&1]), "{counts:?}");
    }

    #[test]
    fn the_own_zone_comes_first_as_long_as_somebody_stands_there() {
        let ejection = Ejection {
            failures: 1,
            first: Duration::from_secs(60),
            longest: Duration::from_secs(60),
        };
        let peers = [peer(1, "a", 90, 100), peer(2, "b", 0, 100)];
        assert_eq!(chosen(&peers, "a", 20, false), [(1, 20)].into());
        assert_eq!(chosen(&peers, "", 20, false), [(2, 20)].into(), "no zone");
        assert_eq!(chosen(&peers, "c", 20, false), [(2, 20)].into());
        peers[0].1.failed(Instant::now(), &ejection);
        assert_eq!(chosen(&peers, "a", 20, false), [(2, 20)].into());
        peers[1].1.failed(Instant::now(), &ejection);
        assert_eq!(
            chosen(&peers, "b", 20, false),
            [(1, 20)].into(),
            "all are ejected: the first to return"
        );
    }
}
