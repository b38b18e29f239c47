//! Closed-loop load: every client sends its next request when the last one was answered. What is counted is
//! what completed inside a window that opens after a warm-up.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const SHORTEST_NS: u64 = 1_000;
const LONGEST_NS: u64 = 120_000_000_000;
/// Two digits keep a client's histogram near 30 KB, so that 256 of them do not sweep the caches.
const DIGITS: u8 = 2;

/// The part of a run that counts.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    opens: Instant,
    closes: Instant,
}

impl Window {
    /// A window of length `measured` that opens `warm_up` from now.
    #[must_use]
    pub fn after(warm_up: Duration, measured: Duration) -> Self {
        let opens = Instant::now() + warm_up;
        Self {
            opens,
            closes: opens + measured,
        }
    }

    /// Whether requests are still to be sent.
    #[must_use]
    pub fn is_open_or_ahead(&self) -> bool {
        Instant::now() < self.closes
    }

    /// When the window closes.
    #[must_use]
    pub fn closes(&self) -> Instant {
        self.closes
    }

    fn contains(&self, at: Instant) -> bool {
        self.opens <= at && at < self.closes
    }

    fn length(&self) -> Duration {
        self.closes - self.opens
    }
}

/// What one client, or all of them together, saw within a window.
#[derive(Debug)]
pub struct Tally {
    window: Window,
    latencies_ns: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(window: Window) -> Self {
        let latencies_ns = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS)
            .expect("the constant bounds and digits are within what a histogram takes");
        Self {
            window,
            latencies_ns,
            errors: 0,
            first_error: None,
        }
    }

    /// Counts one request, sent at `sent` and answered now. A latency beyond two minutes counts as two minutes.
    pub fn record<E: std::fmt::Display>(&mut self, sent: Instant, answer: &Result<(), E>) {
        let now = Instant::now();
        if !self.window.contains(now) {
            return;
        }
        match answer {
            Ok(()) => {
                let nanos = u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX);
                self.latencies_ns.saturating_record(nanos);
            }
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Counts clients whose request was never answered; what they saw before is lost with them.
    pub fn unanswered<E: std::fmt::Display>(&mut self, clients: usize, error: &E) {
        if clients > 0 {
            self.errors += u64::try_from(clients).unwrap_or(u64::MAX);
            self.first_error.get_or_insert_with(|| error.to_string());
        }
    }

    /// Adds what another client saw in the same window.
    pub fn absorb(&mut self, other: &Self) {
        self.latencies_ns
            .add(&other.latencies_ns)
            .expect("all tallies have the same bounds");
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }

    /// Completed requests without error.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.latencies_ns.len()
    }

    /// Requests that ended in an error.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The text of an error, if there was one.
    #[must_use]
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    /// Completed requests per second over the whole window.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn per_second(&self) -> f64 {
        self.completed() as f64 / self.window.length().as_secs_f64()
    }

    /// The latency in milliseconds that the share `quantile` (0 to 1) of the requests stayed within.
    #[must_use]
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        let nanos = self.latencies_ns.value_at_quantile(quantile);
        Duration::from_nanos(nanos).as_secs_f64() * 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_completes_outside_the_window_does_not_count() {
        let ahead = Window::after(Duration::from_secs(3_600), Duration::from_secs(1));
        let mut tally = Tally::new(ahead);
        tally.record(Instant::now(), &Ok::<(), String>(()));
        assert_eq!(tally.completed(), 0);
        assert!(ahead.is_open_or_ahead());
    }

    #[test]
    fn tallies_add_up() {
        let window = Window::after(Duration::ZERO, Duration::from_secs(3_600));
        let mut all = Tally::new(window);
        for client in 0..3 {
            let mut one = Tally::new(window);
            one.record(Instant::now(), &Ok::<(), String>(()));
            one.record(Instant::now(), &Err(format!("refused {client}")));
            all.absorb(&one);
        }
        assert_eq!((all.completed(), all.errors()), (3, 3));
        assert_eq!(all.first_error(), Some("refused 0"));
    }
}
