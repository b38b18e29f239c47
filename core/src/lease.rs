//! The arithmetic of leases: both sides count a duration on their own clock, the holder from before
//! the granter could know of it, the granter from after, so that the holder always stops first.
//!
//! Gray and Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache
//! consistency" (SOSP 1989), with the drift counted on the granter's side alone.

use crate::{Millis, Moment};

/// Moments are cut to milliseconds on the way: one for each end.
const ROUNDING: Millis = Millis(2);

/// Until when the holder may act: counted from the moment at which it sent what the grant answers.
#[must_use]
pub fn holder_until(sent: Moment, lease: Millis) -> Moment {
    sent.after(lease)
}

/// Until when the granter must take the holder to be acting: counted from the moment at which the
/// granter spoke, with what the holder's clock may lag behind.
#[must_use]
pub fn granter_until(spoke: Moment, lease: Millis, drift_permille: u32) -> Moment {
    spoke.after(cautious(lease, drift_permille))
}

/// A duration of another clock as it may at most be on this one.
#[must_use]
pub fn cautious(lease: Millis, drift_permille: u32) -> Millis {
    let drift = lease
        .0
        .saturating_mul(drift_permille.into())
        .div_ceil(1_000);
    lease.plus(Millis(drift)).plus(ROUNDING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_stops_first_at_every_rate_within_the_drift() {
        let lease = Millis(1_000);
        for permille in [0u64, 1, 10, 100] {
            let drift = u32::try_from(permille).unwrap();
            // The holder's clock is slower by the whole drift: its second lasts longer.
            let holder_real = holder_until(Moment(0), lease).0 * (1_000 + permille) / 1_000;
            let granter_real = granter_until(Moment(0), lease, drift).0;
            assert!(holder_real < granter_real, "{permille}");
        }
    }
}
