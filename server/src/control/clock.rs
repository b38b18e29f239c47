//! The clock of the controller: microseconds that go on while the machine sleeps (CLOCK_BOOTTIME). What
//! consensus times by a clock that stands still meanwhile is converted cautiously: a moment comes out
//! too early rather than too late.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tenure_core::{Moment, Timestamp};

/// By how many microseconds more the clocks may differ before the machine counts as having slept.
const SLEPT: u64 = 10_000;

/// What was found when the two clocks were last compared.
pub(super) struct Clock {
    origin: Instant,
    /// How far the clock that goes on was ahead of the other, in microseconds; never more than it was.
    ahead: u64,
    /// Of what was timed before, it is not known how long the machine slept since.
    trusted: u64,
}

fn micros(of: std::time::Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}

/// The moment now.
pub(super) fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
    Moment(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// The wall clock, for what people set by it.
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

impl Clock {
    pub(super) fn new() -> Clock {
        let origin = Instant::now();
        let mut clock = Clock {
            origin,
            ahead: 0,
            trusted: 0,
        };
        clock.compare(now(), origin.elapsed());
        clock
    }

    /// When something happened that was timed by the clock of consensus. None when the machine has slept
    /// since, or may have.
    pub(super) fn moment(&mut self, at: Instant) -> Option<Moment> {
        self.compare(now(), self.origin.elapsed());
        self.convert(at.checked_duration_since(self.origin)?)
    }

    /// `going_on` was read first: if this thread was stopped between the two, the clocks seem closer than
    /// they are, and moments come out earlier.
    fn compare(&mut self, going_on: Moment, standing_still: std::time::Duration) {
        let standing_still = micros(standing_still);
        let ahead = going_on.0.saturating_sub(standing_still);
        if ahead > self.ahead.saturating_add(SLEPT) {
            self.ahead = ahead;
            self.trusted = standing_still;
        }
    }

    fn convert(&self, at: std::time::Duration) -> Option<Moment> {
        let at = micros(at);
        (at >= self.trusted).then(|| Moment(self.ahead.saturating_add(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn clock() -> Clock {
        let mut clock = Clock {
            origin: Instant::now(),
            ahead: 0,
            trusted: 0,
        };
        clock.compare(Moment(500_000), at(0));
        clock
    }

    #[test]
    fn a_moment_is_as_old_as_it_was_said_to_be() {
        let mut clock = clock();
        clock.compare(Moment(1_500_000), at(1_000));
        assert_eq!(clock.convert(at(970)), Some(Moment(1_470_000)));
    }

    #[test]
    fn what_was_timed_before_the_machine_slept_is_not_converted() {
        let mut clock = clock();
        clock.compare(Moment(1_500_000), at(1_000));
        // Three seconds of sleep.
        clock.compare(Moment(4_600_000), at(1_100));
        assert_eq!(clock.convert(at(1_050)), None);
        assert_eq!(clock.convert(at(1_100)), Some(Moment(4_600_000)));
    }

    #[test]
    fn a_thread_that_was_stopped_between_two_looks_makes_moments_earlier() {
        let mut clock = clock();
        // The second clock was read 200 ms late: nothing is believed of it.
        clock.compare(Moment(1_500_000), at(1_200));
        assert_eq!(clock.convert(at(1_000)), Some(Moment(1_500_000)));
        let mut hasty = Clock {
            origin: Instant::now(),
            ahead: 0,
            trusted: 0,
        };
        hasty.compare(Moment(500_000), at(200));
        assert_eq!(hasty.convert(at(200)), Some(Moment(500_000)));
    }

    #[test]
    fn the_clocks_of_this_machine_agree() {
        let mut clock = Clock::new();
        let before = now();
        let moment = clock.moment(Instant::now()).expect("did not sleep");
        assert!(moment <= now());
        assert!(
            moment.0.saturating_add(SLEPT) >= before.0,
            "{moment:?} {before:?}"
        );
    }
}
