//! The replicated log: proposals that are committed, lost, committed late, or committed with nobody told.

use super::{Event, Place, World};
use std::collections::BTreeMap;
use tenure_core::{
    Command, Envelope, LossPolicy, Millis, Note, Outcome, Policy, controller::Input, invariants,
};

/// What was proposed and is not decided.
#[derive(Clone, Default)]
pub struct Log {
    open: BTreeMap<u64, Proposed>,
    next: u64,
    committed: u64,
}

#[derive(Clone)]
struct Proposed {
    server: u64,
    term: u64,
    proposal: u64,
    command: Command,
    /// Whether its proposer was told that nothing is known.
    told: bool,
    waited: u64,
}

impl World {
    pub(super) fn propose(&mut self, server: u64, proposal: u64, command: Command) {
        let Some(term) = self.server(server).leads else {
            return;
        };
        let number = self.log.next;
        self.log.next += 1;
        let proposed = Proposed {
            server,
            term,
            proposal,
            command,
            told: false,
            waited: 0,
        };
        self.log.open.insert(number, proposed);
        let decided = self.lasts(2_000, self.net.weather.slow_log);
        self.at(decided, Event::Decide(number));
    }

    /// Commits a proposal whose proposer still leads and reaches a majority; otherwise it waits.
    pub(super) fn decide(&mut self, number: u64) {
        let Some(open) = self.log.open.get(&number) else {
            return;
        };
        let (server, term) = (open.server, open.term);
        let leads = term == self.term && self.server(server).leads == Some(term);
        if leads && self.has_quorum(server) {
            let open = self.log.open.remove(&number).expect("it is there");
            return self.decided(open);
        }
        let open = self.log.open.get_mut(&number).expect("it is there");
        open.waited += 1;
        if open.waited == 20 && !open.told {
            open.told = true;
            let proposal = open.proposal;
            self.count("outcome unknown");
            self.tell_outcome(server, term, proposal, None);
        }
        self.later(Millis(50), Event::Decide(number));
    }

    fn decided(&mut self, open: Proposed) {
        let outcome = self.commit(open.command);
        let untold = self.chance(self.net.weather.untold);
        let outcome = (!untold).then_some(outcome);
        if !open.told {
            self.tell_outcome(open.server, open.term, open.proposal, outcome);
        }
    }

    fn tell_outcome(&mut self, server: u64, term: u64, proposal: u64, outcome: Option<Outcome>) {
        let event = Event::Outcome {
            server,
            term,
            proposal,
            outcome,
        };
        let arrives = self.lasts(400, self.net.weather.slow_log);
        self.at(arrives, event);
    }

    pub(super) fn outcome(
        &mut self,
        server: u64,
        term: u64,
        proposal: u64,
        outcome: Option<Outcome>,
    ) {
        if self.server(server).settled && self.server(server).leads == Some(term) {
            self.tell_server(server, Input::Outcome { proposal, outcome });
        }
    }

    /// Of what the leader before had proposed some had reached a majority; the rest is lost, and so is what one
    /// had proposed that was deposed already.
    pub(super) fn decide_leftovers(&mut self) {
        let open = std::mem::take(&mut self.log.open);
        for (_, open) in open {
            let of_the_last = open.term + 1 == self.term;
            if of_the_last && self.dice.percent(50) {
                self.count("committed by a later leader");
                let _ = self.commit(open.command);
            } else {
                self.count("proposal lost");
            }
        }
    }

    /// Nobody waits for what a server proposed that leads no more.
    pub(super) fn answer_nobody(&mut self, server: u64) {
        for open in self.log.open.values_mut() {
            open.told |= open.server == server;
        }
    }

    /// How many entries were committed.
    pub fn committed(&self) -> u64 {
        self.log.committed
    }

    pub fn has_quorum(&self, leader: u64) -> bool {
        let reaches = |other: &u64| {
            *other == leader
                || (self.is_awake(*other)
                    && self.net.talk(Place::Server(leader), Place::Server(*other)))
        };
        self.is_awake(leader) && (1..=3).filter(reaches).count() >= 2
    }

    /// Applies the next entry and checks the invariants of the state; then whoever leads is told.
    pub fn commit(&mut self, command: Command) -> Outcome {
        let before = self.state.clone();
        let envelope = Envelope {
            request: None,
            actor: Note::default(),
            stamp: self.wall(),
            command,
        };
        let applied = self.state.apply(before.applied().next(), &envelope);
        let broken = invariants::check_step(&before, &self.state, &applied);
        assert_eq!(broken, [], "{envelope:?}");
        self.log.committed += 1;
        if let Outcome::Rejected(_) = &applied.outcome {
            self.count("rejected");
        }
        self.note_entry(&envelope.command, &applied.outcome);
        self.tell_entry(&envelope.command, &applied.outcome);
        self.tell_watchers(&applied.events);
        if let Some(leader) = self.leader().filter(|leader| self.server(*leader).settled) {
            self.tell_server(leader, Input::Applied);
        }
        applied.outcome
    }

    fn note_entry(&mut self, command: &Command, outcome: &Outcome) {
        if !self.noting {
            return;
        }
        let verdict = match outcome {
            Outcome::Done(_) | Outcome::Answered { .. } => String::new(),
            Outcome::Rejected(reject) => format!("REJECTED {reject} "),
        };
        let what = format!("{verdict}{command:?}");
        self.note(&what.chars().take(400).collect::<String>());
    }

    /// Whether nothing that was acknowledged may be lost by a service.
    pub(super) fn is_strict_of(&self, service: &tenure_core::ServiceName) -> bool {
        let of = self.state.services().get(service);
        of.is_some_and(
            |it| matches!(it.policy, Policy::Primary(policy) if policy.loss == LossPolicy::Never),
        )
    }
}
