//! How long copies wait while primaries are being replaced: long enough for a failover to go first, and never so long that
//! services which cannot be failed over, and are tried again and again, keep lost copies from being made good.

use crate::{Millis, Moment};

/// For how long copies wait. A failover takes a fraction of it from the verdict on.
const WAITS_FOR: Millis = Millis(1_000);
/// How long after the beginning of one wait the next may begin.
const AGAIN_AFTER: Millis = Millis(5_000);

/// When copies began to wait the last time.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::controller) struct Deferred(Option<Moment>);

impl Deferred {
    /// Whether copies wait now.
    pub(super) fn waits(&mut self, now: Moment, replacing: bool) -> bool {
        let recent = self.0.map(|began| now.since(began));
        match recent.filter(|since| *since < AGAIN_AFTER) {
            Some(since) => replacing && since < WAITS_FOR,
            None if replacing => {
                self.0 = Some(now);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which moments, 100 ms apart, copies are looked at.
    fn looked_at(upto: u64, replacing: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut deferred = Deferred::default();
        let moments = (0..upto).step_by(100);
        let looks = moments.filter(|at| {
            let now = Moment(50_000).after(Millis(*at));
            !deferred.waits(now, replacing(*at))
        });
        looks.collect()
    }

    #[test]
    fn a_failover_goes_first() {
        assert_eq!(
            looked_at(600, |at| (200..400).contains(&at)),
            [0, 100, 400, 500]
        );
    }

    #[test]
    fn services_that_are_tried_again_and_again_hold_up_a_fifth_at_the_most() {
        let for_ever = looked_at(50_000, |_| true).len();
        assert_eq!(for_ever, 400);
        // Now one, now another, with moments between them.
        let in_turns = looked_at(50_000, |at| at % 1_000 != 0).len();
        assert!(in_turns >= for_ever, "{in_turns}");
    }
}
