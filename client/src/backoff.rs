//! Pauses between attempts.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(24);
const LONGEST_IN_CROWD: Duration = Duration::from_secs(1);

/// Jittered pauses. They grow with the number of calls that pause at the same time, so that a
/// client with many calls under way does not flood a cluster that is electing a leader; the first
/// call that finds the leader wakes the others.
pub(crate) struct Backoff {
    seed: AtomicU64,
    pausing: AtomicUsize,
}

/// A call that pauses, as long as it is held.
pub(crate) struct Pausing<'a>(&'a AtomicUsize);

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: AtomicU64::new(seed),
            pausing: AtomicUsize::new(0),
        }
    }

    pub(crate) fn begin(&self) -> Pausing<'_> {
        self.pausing.fetch_add(1, Ordering::Relaxed);
        Pausing(&self.pausing)
    }

    /// How long to pause after so many pauses of this call.
    ///
    /// A crowd spreads over a longer time, but its first calls try again as soon as a single one would.
    pub(crate) fn pause(&self, pauses: u32) -> Duration {
        let alone = FIRST.saturating_mul(1 << pauses.min(8)).min(LONGEST);
        let crowd = u32::try_from(self.pausing.load(Ordering::Relaxed) / 8).unwrap_or(u32::MAX);
        let longest = alone
            .saturating_mul(crowd.saturating_add(1))
            .min(LONGEST_IN_CROWD);
        let certain = alone / 2;
        let chance = u64::try_from((longest - certain).as_micros()).unwrap_or(u64::MAX - 1);
        certain + Duration::from_micros(self.number() % (chance + 1))
    }

    /// A short pause: what was waited for is there already.
    pub(crate) fn short(&self) -> Duration {
        Duration::from_micros(self.number() % 1_000)
    }

    /// Between half of a pause and all of it, so that many who lost the same server spread.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        let certain = pause / 2;
        let chance = u64::try_from((pause - certain).as_micros()).unwrap_or(u64::MAX - 1);
        certain + Duration::from_micros(self.number() % (chance + 1))
    }

    /// The next number of a splitmix64 sequence: spread well enough for jitter.
    pub(crate) fn number(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut number = self
            .seed
            .fetch_add(step, Ordering::Relaxed)
            .wrapping_add(step);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        let backoff = Backoff::new(7);
        for pauses in 0..40 {
            let longest = FIRST.saturating_mul(1 << pauses.min(8)).min(LONGEST);
            let pause = backoff.pause(pauses);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        let crowd: Vec<_> = (0..80).map(|_| backoff.begin()).collect();
        let pauses: Vec<Duration> = (0..1_000).map(|_| backoff.pause(9)).collect();
        assert!(pauses.iter().any(|pause| *pause > LONGEST * 8));
        assert!(pauses.iter().any(|pause| *pause < LONGEST));
        drop(crowd);
        assert!(backoff.pause(9) <= LONGEST);
    }
}
