//! Seeds on all cores: each is a world of its own, and what comes of them all does not depend on how many run at
//! a time.

use super::number;
use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

/// How many seeds run at a time.
pub fn threads() -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    number("TENURE_FAULTS_THREADS").map_or_else(cores, |it| it.max(1) as usize)
}

/// What comes of a run, and of many.
pub trait Sum: Default + Send {
    /// Takes in what came of others.
    fn join(&mut self, other: Self);
}

/// What the threads share.
struct Shared<T, F> {
    seeds: Box<dyn Iterator<Item = u64> + Send>,
    sum: T,
    /// By their place in the order of seeds.
    found: BTreeMap<u64, F>,
    begun: u64,
}

/// Runs every seed. Once one has found something no other is begun; those that were begun before it are ended,
/// so that the finding given back is the first one in the order of seeds, however many run at a time.
pub fn all<T: Sum, F: Send>(
    seeds: Box<dyn Iterator<Item = u64> + Send>,
    threads: usize,
    one: &(dyn Fn(u64) -> Result<T, F> + Sync),
) -> (T, Option<F>) {
    let shared = Mutex::new(Shared {
        seeds,
        sum: T::default(),
        found: BTreeMap::new(),
        begun: 0,
    });
    let locked = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut shared = locked();
        if !shared.found.is_empty() {
            return None;
        }
        shared.begun += 1;
        Some((shared.begun, shared.seeds.next()?))
    };
    let work = || {
        while let Some((place, seed)) = next() {
            let came = one(seed);
            let mut shared = locked();
            match came {
                Ok(sum) => shared.sum.join(sum),
                Err(finding) => drop(shared.found.insert(place, finding)),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    (shared.sum, shared.found.into_values().next())
}

impl Sum for u64 {
    fn join(&mut self, other: u64) {
        *self += other;
    }
}

#[test]
fn the_first_finding_is_the_same_with_any_number_of_threads() {
    let one = |seed: u64| match seed {
        17 => {
            // The later ones find theirs before this one does.
            (0..10).for_each(|_| thread::yield_now());
            Err(seed)
        }
        18..=20 => Err(seed),
        _ => Ok(1_u64),
    };
    for threads in 1..=4 {
        let (runs, found) = all(Box::new(1..100), threads, &one);
        assert_eq!((found, runs), (Some(17), 16), "{threads} threads");
        let (runs, found) = all(Box::new(30..100), threads, &one);
        assert_eq!((found, runs), (None, 70), "{threads} threads");
    }
}
