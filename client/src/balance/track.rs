//! What a caller has experienced with one peer: its requests under way, and its failures.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// When a peer that fails is left out, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ejection {
    /// After so many failures in a row.
    pub(super) failures: u32,
    /// For so long at first; each time that it fails again on its return, for twice as long.
    pub(super) first: Duration,
    /// For so long at most.
    pub(super) longest: Duration,
}

/// What a caller has experienced with one peer.
#[derive(Debug, Default)]
pub(super) struct Track {
    in_flight: AtomicU32,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Failures since the last success.
    failures: u32,
    /// How often it was ejected since the last success.
    ejections: u32,
    until: Option<Instant>,
}

impl Track {
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Until when it is left out; None when it is not.
    pub(super) fn ejected_until(&self, now: Instant) -> Option<Instant> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.until.filter(|until| now < *until)
    }

    pub(super) fn succeeded(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Trouble::default();
    }

    /// Of a peer that has just returned, one failure is enough. What fails while it is left out was
    /// sent before, and is no news.
    pub(super) fn failed(&self, now: Instant, ejection: &Ejection) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.until.is_some_and(|until| now < until) {
            return;
        }
        trouble.failures = trouble.failures.saturating_add(1);
        if trouble.ejections == 0 && trouble.failures < ejection.failures {
            return;
        }
        let doubled = 1_u32 << trouble.ejections.min(16);
        let pause = ejection.first.saturating_mul(doubled);
        trouble.until = Some(now + pause.min(ejection.longest));
        trouble.ejections = trouble.ejections.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_eject_for_longer_each_time_until_one_succeeds() {
        let ejection = Ejection {
            failures: 3,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        };
        let track = Track::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        track.failed(at(0), &ejection);
        track.failed(at(0), &ejection);
        track.succeeded();
        track.failed(at(0), &ejection);
        track.failed(at(0), &ejection);
        assert_eq!(track.ejected_until(at(0)), None, "never three in a row");
        track.failed(at(0), &ejection);
        assert_eq!(track.ejected_until(at(0)), Some(at(1)));
        track.failed(at(0), &ejection);
        assert_eq!(track.ejected_until(at(0)), Some(at(1)), "sent before");
        assert_eq!(track.ejected_until(at(1)), None);
        track.failed(at(1), &ejection);
        assert_eq!(track.ejected_until(at(1)), Some(at(3)), "one is enough");
        track.failed(at(3), &ejection);
        assert_eq!(track.ejected_until(at(3)), Some(at(7)));
        track.failed(at(7), &ejection);
        assert_eq!(
            track.ejected_until(at(7)),
            Some(at(12)),
            "no longer than that"
        );
        track.succeeded();
        track.failed(at(12), &ejection);
        assert_eq!(track.ejected_until(at(12)), None, "forgiven");
    }
}
