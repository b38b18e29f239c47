//! A primary's rounds of asking for pledges, while no leader grants anything.

use crate::{Millis, Moment, NodeId, lease};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many rounds may be under way: with a heartbeat of a tenth of the lease, six leases' worth. Of more,
/// the earliest are given up.
const ROUNDS_MAX: usize = 64;

/// The rounds of one service. They overlap: an answer may take longer than a heartbeat, and counts for as
/// long as was asked for, from the moment at which its own question was sent.
#[derive(Debug, Default, Clone)]
pub(super) struct Pledges {
    /// Until when the member may act, by pledges.
    pub(super) until: Moment,
    rounds: VecDeque<Round>,
    /// Until when each has pledged.
    given: BTreeMap<NodeId, Moment>,
    /// Who has to have: those asked in the latest round.
    electors: BTreeSet<NodeId>,
    asked_at: Option<Moment>,
}

#[derive(Debug, Clone)]
struct Round {
    request: u64,
    until: Moment,
    missing: BTreeSet<NodeId>,
}

impl Pledges {
    /// Begins a round beside those that are under way. With nobody to ask it counts at once: nobody could
    /// be promoted.
    pub(super) fn ask(
        &mut self,
        request: u64,
        now: Moment,
        lasting: Millis,
        electors: BTreeSet<NodeId>,
    ) {
        self.asked_at = Some(now);
        self.rounds.retain(|round| round.until > now);
        if self.rounds.len() >= ROUNDS_MAX {
            self.rounds.pop_front();
        }
        let until = lease::holder_until(now, lasting);
        if electors.is_empty() {
            self.until = self.until.max(until);
        }
        self.given.retain(|node, _| electors.contains(node));
        self.electors.clone_from(&electors);
        self.rounds.push_back(Round {
            request,
            until,
            missing: electors,
        });
    }

    /// Takes in an answer. One that refuses takes nothing back that it has pledged before, and adds nothing.
    pub(super) fn answered(&mut self, request: u64, from: NodeId, pledged: bool) {
        let mut rounds = self.rounds.iter_mut();
        let Some(round) = rounds.find(|round| round.request == request) else {
            return;
        };
        if !round.missing.remove(&from) || !pledged || !self.electors.contains(&from) {
            return;
        }
        let given = self.given.entry(from).or_insert(round.until);
        *given = round.until.max(*given);
        self.count();
    }

    /// When the latest round began, whatever came of it: the next one comes a heartbeat later.
    pub(super) fn asked_at(&self) -> Option<Moment> {
        self.asked_at
    }

    /// Nothing may be done by pledges any more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// As long as everybody has pledged.
    fn count(&mut self) {
        let all: Option<Vec<Moment>> = self
            .electors
            .iter()
            .map(|node| self.given.get(node).copied())
            .collect();
        if let Some(until) = all.and_then(|all| all.into_iter().min()) {
            self.until = self.until.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTING: Millis = Millis(1_000);

    fn both() -> BTreeSet<NodeId> {
        [NodeId(1), NodeId(2)].into()
    }

    #[test]
    fn everybody_must_pledge_and_time_counts_from_the_question() {
        let mut pledges = Pledges::default();
        pledges.ask(7, Moment(5_000), LASTING, both());
        pledges.answered(7, NodeId(1), true);
        assert_eq!(pledges.until, Moment(0));
        pledges.answered(6, NodeId(2), true);
        pledges.answered(7, NodeId(3), true);
        assert_eq!(pledges.until, Moment(0));
        pledges.answered(7, NodeId(2), true);
        assert_eq!(pledges.until, Moment(1_005_000));
        pledges.ask(8, Moment(100_000), LASTING, [NodeId(1)].into());
        pledges.answered(8, NodeId(1), false);
        pledges.answered(8, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_005_000));
    }

    #[test]
    fn an_answer_that_takes_longer_than_a_heartbeat_counts_from_its_own_question() {
        let mut pledges = Pledges::default();
        for round in 0..4 {
            let sent = Moment(round * 100_000);
            pledges.ask(round, sent, LASTING, both());
        }
        // The one answers everything late, the other at once.
        pledges.answered(3, NodeId(2), true);
        assert_eq!(pledges.until, Moment(0));
        pledges.answered(1, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_100_000), "the earlier of the two");
        pledges.answered(0, NodeId(1), true);
        assert_eq!(
            pledges.until,
            Moment(1_100_000),
            "it has pledged for longer"
        );
        pledges.answered(2, NodeId(1), false);
        pledges.answered(3, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_300_000));
    }

    #[test]
    fn whoever_is_new_has_to_pledge_too_and_whoever_left_need_not() {
        let mut pledges = Pledges::default();
        pledges.ask(1, Moment(0), LASTING, [NodeId(1)].into());
        pledges.answered(1, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_000_000));
        pledges.ask(2, Moment(100_000), LASTING, both());
        pledges.answered(2, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_000_000), "not by the one alone");
        pledges.ask(3, Moment(200_000), LASTING, [NodeId(2)].into());
        pledges.answered(2, NodeId(1), true);
        assert_eq!(pledges.until, Moment(1_000_000));
        pledges.answered(2, NodeId(2), true);
        assert_eq!(pledges.until, Moment(1_100_000));
    }

    #[test]
    fn rounds_that_can_come_to_nothing_are_given_up() {
        let mut pledges = Pledges::default();
        for round in 0..1_000 {
            pledges.ask(round, Moment(round), LASTING, both());
            assert!(pledges.rounds.len() <= ROUNDS_MAX);
        }
        pledges.ask(2_000, Moment(5_000_000), LASTING, both());
        assert_eq!(pledges.rounds.len(), 1);
        pledges.ask(2_001, Moment(5_000_001), LASTING, BTreeSet::new());
        assert_eq!(pledges.until, Moment(6_000_001), "nobody could be promoted");
    }
}
