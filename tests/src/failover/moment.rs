//! Time as all processes of this machine see it alike, so that what a client in another process saw can be put
//! beside what this one did.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of the machine's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
        Self(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// So much earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// Milliseconds from `earlier` to this one; negative when it was not earlier.
    #[expect(clippy::cast_precision_loss, reason = "spans of hours at most")]
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> f64 {
        let later = self.0.saturating_sub(earlier.0) as f64;
        let before = earlier.0.saturating_sub(self.0) as f64;
        (later - before) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_sign() {
        let early = Moment::now();
        let late = early.plus(Duration::from_micros(2_500));
        assert!((late.ms_since(early) - 2.5).abs() < 1e-9);
        assert!((early.ms_since(late) + 2.5).abs() < 1e-9);
        assert!(early < late);
    }
}
