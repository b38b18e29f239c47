//! A primary's rounds of asking for pledges, while no leader grants anything.

use crate::{Millis, Moment, NodeId, lease};
use std::collections::BTreeSet;

/// The rounds of one service. A round counts when everybody who was asked in it has pledged.
#[derive(Debug, Default)]
pub(super) struct Pledges {
    /// Until when the member may act, by pledges.
    pub(super) until: Moment,
    round: Option<Round>,
    asked_at: Option<Moment>,
}

#[derive(Debug)]
struct Round {
    request: u64,
    sent: Moment,
    lasting: Millis,
    missing: BTreeSet<NodeId>,
}

impl Pledges {
    /// Begins a round; an earlier one that is not complete is given up. With nobody to ask it counts
    /// at once: nobody could be promoted.
    pub(super) fn ask(
        &mut self,
        request: u64,
        now: Moment,
        lasting: Millis,
        electors: BTreeSet<NodeId>,
    ) {
        self.asked_at = Some(now);
        self.round = Some(Round {
            request,
            sent: now,
            lasting,
            missing: electors,
        });
        self.count();
    }

    /// Takes in an answer. A refusal spoils the round: one who may be promoted is enough.
    pub(super) fn answered(&mut self, request: u64, from: NodeId, pledged: bool) {
        let Some(round) = self.round.as_mut().filter(|round| round.request == request) else {
            return;
        };
        if pledged {
            round.missing.remove(&from);
            self.count();
        } else {
            self.round = None;
        }
    }

    /// When the latest round began, whatever came of it: the next one comes a heartbeat later.
    pub(super) fn asked_at(&self) -> Option<Moment> {
        self.asked_at
    }

    /// Nothing may be done by pledges any more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    fn count(&mut self) {
        if let Some(round) = self.round.take_if(|round| round.missing.is_empty()) {
            let until = lease::holder_until(round.sent, round.lasting);
            self.until = self.until.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_must_pledge_and_time_counts_from_the_question() {
        let mut pledges = Pledges::default();
        let both = [NodeId(1), NodeId(2)].into();
        pledges.ask(7, Moment(5_000), Millis(1_000), both);
        pledges.answered(7, NodeId(1), true);
        assert_eq!(pledges.until, Moment(0));
        pledges.answered(6, NodeId(2), true);
        assert_eq!(pledges.until, Moment(0));
        pledges.answered(7, NodeId(2), true);
        assert_eq!(pledges.until, Moment(1_005_000));
        pledges.ask(8, Moment(100_000), Millis(1_000), [NodeId(1)].into());
        pledges.answered(8, NodeId(1), false);
        pledges.answered(8, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_005_000));
    }
}
