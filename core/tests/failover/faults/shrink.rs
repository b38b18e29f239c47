//! Makes a failing list of faults shorter: Zeller and Hildebrandt, "Simplifying and isolating
//! failure-inducing input" (IEEE TSE 2002), the algorithm ddmin.

/// How often a shorter list is tried at most.
const TRIES: usize = 600;

/// A list none of whose elements can be left out, such that it still fails; or the shortest that was found
/// in so many tries.
pub fn shortest(all: &[u64], fails: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    let mut kept = all.to_vec();
    let mut parts = 2;
    let mut tries = 0;
    while kept.len() > 1 && tries < TRIES {
        let size = kept.len().div_ceil(parts);
        let mut shorter = None;
        for from in (0..kept.len()).step_by(size) {
            let to = (from + size).min(kept.len());
            let rest: Vec<u64> = kept[..from].iter().chain(&kept[to..]).copied().collect();
            tries += 1;
            if fails(&rest) {
                shorter = Some(rest);
                break;
            }
        }
        match shorter {
            Some(rest) => {
                kept = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    kept
}

#[test]
fn what_matters_is_left() {
    let all: Vec<u64> = (1..=100).collect();
    let fails = |list: &[u64]| [7, 8, 60].iter().all(|it| list.contains(it));
    assert_eq!(shortest(&all, fails), [7, 8, 60]);
    assert_eq!(shortest(&all, |list| list.contains(&100)), [100]);
    assert_eq!(shortest(&[1, 2], |_| true).len(), 1);
}
