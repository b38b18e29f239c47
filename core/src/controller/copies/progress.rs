//! How far repair, rebalance and verification have got: what operators are shown, counted since this leader leads.

use super::Tending;
use crate::copies::repair::Waiting;
use crate::copies::{ItemName, Ledger, Rebalance};
use crate::{Millis, Moment, NodeId};

/// Over how long the rate of copying is measured.
const WINDOW: Millis = Millis(5_000);
/// After this long without a copy no rate is known.
const RATE_LASTS: Millis = Millis(60_000);

/// What is under way for the copies of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiesProgress {
    /// Of making the copies that items lack, and of moving others.
    pub repair: RepairProgress,
    /// Of the rebalance that runs or rests.
    pub rebalance: Option<RebalanceProgress>,
    /// Of the verification that runs, or of the last one.
    pub verify: Option<VerifyProgress>,
}

/// How repair gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairProgress {
    /// Items that lack copies.
    pub items: u64,
    /// Bytes of the copies that they lack.
    pub bytes: u64,
    /// Transfers that run.
    pub running: u64,
    /// Copies that were made.
    pub done: u64,
    /// Their bytes.
    pub done_bytes: u64,
    /// Bytes per second, as measured last; 0 when nothing was copied lately.
    pub bytes_per_second: u64,
    /// How long what is lacking takes at that rate, in seconds.
    pub seconds: Option<u64>,
    /// Transfers that failed.
    pub failed: u64,
    /// Why items wait, of those that the last plan looked at.
    pub waiting: Waiting,
    /// Whether an operator's pause holds it back.
    pub paused: bool,
}

/// How a rebalance gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebalanceProgress {
    /// Whether it rests.
    pub paused: bool,
    /// Places of items looked at in this round.
    pub looked: u64,
    /// Items that there are.
    pub total: u64,
    /// Copies that are to move, as found so far.
    pub moves: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How a verification gets on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Whether it goes on.
    pub running: bool,
    /// Copies to be compared, about.
    pub copies: u64,
    /// Copies that were.
    pub compared: u64,
    /// Copies that differ or are not there: they are stale now.
    pub differ: u64,
    /// Copies that could not be read, or changed meanwhile.
    pub unread: u64,
    /// The first that differ, and why.
    pub differing: Vec<(ItemName, NodeId, String)>,
}

/// What a leader counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    done: u64,
    done_bytes: u64,
    pub(super) failed: u64,
    pub(super) paused: bool,
    pub(super) claimed_at: Option<Moment>,
    noted_at: Option<Moment>,
    begun: Moment,
    bytes: u64,
    rate: u64,
    rated_at: Moment,
}

impl Tally {
    /// A copy was made.
    pub(super) fn copied(&mut self, now: Moment, bytes: u64) {
        self.done = self.done.saturating_add(1);
        self.done_bytes = self.done_bytes.saturating_add(bytes);
        if now.since(self.begun) >= RATE_LASTS {
            (self.begun, self.bytes) = (now, 0);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let taken = now.since(self.begun);
        if taken >= WINDOW {
            let bytes = self.bytes.saturating_mul(1_000);
            self.rate = bytes.checked_div(taken.0).unwrap_or_default();
            (self.begun, self.bytes, self.rated_at) = (now, 0, now);
        }
    }

    /// Bytes per second, as measured last.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    fn rate_at(&self, now: Moment) -> u64 {
        if now.since(self.rated_at) < RATE_LASTS {
            self.rate
        } else {
            0
        }
    }

    /// Whether another failure may be noted: one of many says enough.
    pub(super) fn may_note(&mut self, now: Moment, every: Millis) -> bool {
        let may = self.noted_at.is_none_or(|at| now.since(at) >= every);
        if may {
            self.noted_at = Some(now);
        }
        may
    }
}

impl Tending {
    pub(in crate::controller) fn progress(
        &self,
        now: Moment,
        ledger: &Ledger,
        rebalance: Option<&Rebalance>,
    ) -> CopiesProgress {
        let summary = ledger.summary();
        let rate = self.tally.rate_at(now);
        let running = u64::try_from(self.attempts.running()).unwrap_or(u64::MAX);
        let repair = RepairProgress {
            items: summary.under_replicated,
            bytes: summary.missing_bytes,
            running,
            done: self.tally.done,
            done_bytes: self.tally.done_bytes,
            bytes_per_second: rate,
            seconds: summary.missing_bytes.checked_div(rate),
            failed: self.tally.failed,
            waiting: self.plan.waiting,
            paused: self.tally.paused,
        };
        let of_rebalance = |rebalance: &Rebalance| RebalanceProgress {
            paused: rebalance.paused,
            looked: self.moves.looked.min(summary.items),
            total: summary.items,
            moves: self.moves.found,
            bytes: self.moves.bytes,
        };
        let verify = self.verification.as_ref().map(|it| VerifyProgress {
            running: it.running,
            copies: it.copies,
            compared: it.compared,
            differ: it.differ,
            unread: it.unread,
            differing: it.differing.clone(),
        });
        CopiesProgress {
            repair,
            rebalance: rebalance.map(of_rebalance),
            verify,
        }
    }
}
