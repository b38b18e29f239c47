//! Elections: a leader asks for acknowledgements, and whoever hears none stands for election. Voters keep
//! the two promises that leases rest on: no vote within the Raft lease of the leader's last word, nor
//! within it after a start.

use super::{
    Event, Place, World,
    servers::{RAFT_LEASE, drifted},
};
use std::collections::BTreeSet;
use tenure_core::{Millis, Moment, ServerId, controller::Input};

/// What a server knows as a voter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Voter {
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<u64>,
    heard_at: Moment,
    started_at: Moment,
}

impl Voter {
    pub fn restarted(self, now: Moment) -> Self {
        Self {
            leader: None,
            heard_at: Moment(0),
            started_at: now,
            ..self
        }
    }
}

/// When servers that hear nothing look whether they should stand.
const LOOK: Millis = Millis(25);
/// How long a candidate has heard nothing: at least the Raft lease.
const PATIENCE: (u64, u64) = (140, 280);

impl World {
    /// Every server that believes that it leads asks the others; a majority that answers is a quorum as
    /// of when they were asked.
    pub(super) fn append(&mut self) {
        for id in 1..=3 {
            if let Some(term) = self.server(id).leads
                && self.is_awake(id)
            {
                self.append_by(id, term);
            }
        }
        self.later(super::APPEND, Event::Append);
    }

    fn append_by(&mut self, id: u64, term: u64) {
        let now = self.now;
        let mut answers = 1;
        for other in (1..=3).filter(|other| *other != id) {
            let talk = self.net.talk(Place::Server(id), Place::Server(other));
            if !talk || !self.is_awake(other) {
                continue;
            }
            let voter = &mut self.server_mut(other).voter;
            if voter.term > term {
                return self.step_down(id);
            }
            (voter.term, voter.leader, voter.heard_at) = (term, Some(id), now);
            answers += 1;
            if self.server(other).leads.is_some() {
                self.step_down(other);
            }
            self.hop_in_order(
                other,
                id,
                Event::Ear {
                    from: other,
                    to: id,
                },
            );
        }
        if answers >= 2 {
            self.quorum_at = now;
            let arrives = self.lasts(1_000, self.net.weather.slow_log);
            let sent = self.server_clock(id);
            let server = id;
            self.at(arrives, Event::Quorum { server, term, sent });
        }
    }

    pub(super) fn quorum(&mut self, server: u64, term: u64, sent: Moment) {
        let it = self.server(server);
        if it.settled && it.leads == Some(term) {
            self.tell_server(server, Input::Quorum(sent));
            self.tell_server(server, Input::Ear(ServerId(server)));
        }
    }

    /// A server learns of a later term.
    pub(super) fn step_down(&mut self, server: u64) {
        let it = self.server_mut(server);
        let told = it.settled;
        (it.leads, it.settled, it.stale) = (None, false, None);
        if told {
            self.tell_server(server, Input::Follow);
        }
        self.answer_nobody(server);
    }

    pub(super) fn elect(&mut self) {
        let first = 1 + self.dice.below(3);
        for candidate in [first, 1 + first % 3, 1 + (first + 1) % 3] {
            let patience = PATIENCE.0 + self.dice.below(PATIENCE.1 - PATIENCE.0);
            if self.stands(candidate, Millis(patience)) {
                self.elected(candidate);
                break;
            }
        }
        self.later(LOOK, Event::Elect);
    }

    fn stands(&self, candidate: u64, patience: Millis) -> bool {
        let leads = self.server(candidate).leads == Some(self.term);
        let heard_at = self.server(candidate).voter.heard_at;
        if leads || !self.is_awake(candidate) || self.now.since(heard_at) < patience {
            return false;
        }
        let votes = |voter: &u64| {
            let talk = self
                .net
                .talk(Place::Server(candidate), Place::Server(*voter));
            self.is_awake(*voter) && (talk || *voter == candidate) && self.may_vote(*voter)
        };
        (1..=3).filter(votes).count() >= 2
    }

    /// By its own clock, which may be fast.
    fn may_vote(&self, voter: u64) -> bool {
        let it = self.server(voter);
        let since = |at: Moment| drifted(Moment(self.now.0 - at.0), it.drift);
        let lease = Moment(RAFT_LEASE.0 * 1_000);
        let leads_now = it.leads == Some(self.term);
        !leads_now && since(it.voter.heard_at) >= lease && since(it.voter.started_at) >= lease
    }

    /// A server is elected. The one before may not have noticed: to it nothing moves on.
    pub fn elected(&mut self, server: u64) {
        self.freeze_deposed(server);
        self.term += 1;
        let term = self.term;
        let voters: Vec<u64> = (1..=3)
            .filter(|it| self.net.talk(Place::Server(server), Place::Server(*it)))
            .collect();
        for voter in voters {
            if self.is_awake(voter) {
                let it = &mut self.server_mut(voter).voter;
                (it.term, it.leader) = (term, (voter == server).then_some(server));
            }
        }
        if self.server(server).leads.is_some() {
            self.step_down(server);
        }
        let it = self.server_mut(server);
        (it.leads, it.settled) = (Some(term), false);
        self.decide_leftovers();
        self.note(&format!("s{server} is elected in term {term}"));
        self.tell(&format!("s{server}"), &format!("is elected in term {term}"));
        let wait = Millis(1 + self.dice.below(30));
        self.later(wait, Event::Settled { server, term });
    }

    fn freeze_deposed(&mut self, elected: u64) {
        let state = self.state.clone();
        for (id, it) in &mut self.servers {
            if *id != elected && it.leads.is_some() && it.stale.is_none() {
                it.stale = Some(state.clone());
            }
        }
    }

    pub(super) fn settled(&mut self, server: u64, term: u64) {
        if self.server(server).leads != Some(term) || self.server(server).settled {
            return;
        }
        if !self.is_awake(server) {
            return self.later(Millis(5), Event::Settled { server, term });
        }
        self.server_mut(server).settled = true;
        self.tell_server(server, Input::Lead { term });
        let voters: BTreeSet<ServerId> = (1..=3).map(ServerId).collect();
        self.tell_server(server, Input::Voters(voters));
    }
}
