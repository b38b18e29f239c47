//! Taking in a grant: what is allowed from the moment at which the answered heartbeat was sent, and
//! what is wanted from now on.

use super::{Agent, Output, instance::Instance};
use crate::{Directive, Epoch, Grant, Millis, Moment, Wanted, lease};

/// The epoch of the first primary that a service ever has.
const FIRST: Epoch = Epoch(1);

/// What a grant allows, and to whom it was given.
#[derive(Clone, Copy)]
struct Allowed {
    /// When the answered heartbeat was sent; None when that is not known any more.
    sent: Option<Moment>,
    /// Which heartbeat it was.
    answers: u64,
    lease: Millis,
}

impl Agent {
    pub(super) fn granted(&mut self, grant: Grant, done: &mut Vec<Output>) {
        let meant = grant.member == self.start.member && grant.session == self.start.session;
        if !meant || (grant.term, grant.number) <= self.heard {
            return;
        }
        // A new leader believes a member that is idle once it has heard of that leader: then no grant of
        // an earlier one counts any more.
        if grant.term > self.heard.0 {
            self.next_beat = Moment(0);
        }
        self.heard = (grant.term, grant.number);
        self.heartbeat = grant.heartbeat;
        self.drift_permille = grant.drift_permille;
        self.control_loss = grant.control_loss;
        if grant.lease > Millis(0) {
            self.lease = grant.lease;
        }
        self.is_ruled = true;
        let sent = self
            .sent
            .iter()
            .find(|(number, _)| *number == grant.answers);
        let allowed = Allowed {
            sent: sent.map(|(_, at)| *at),
            answers: grant.answers,
            lease: grant.lease,
        };
        for directive in grant.directives {
            if let Some(instance) = self.instances.get_mut(&directive.service)
                && directive.epoch >= instance.epoch
            {
                if directive.orders != instance.orders {
                    instance.orders.clone_from(&directive.orders);
                    let (service, orders) = (directive.service.clone(), directive.orders.clone());
                    done.push(Output::Orders { service, orders });
                }
                instance.direct(directive, allowed);
            }
        }
    }
}

impl Instance {
    fn direct(&mut self, directive: Directive, allowed: Allowed) {
        if self.epoch < FIRST && directive.epoch == FIRST {
            let until = allowed
                .sent
                .map(|sent| lease::holder_until(sent, allowed.lease));
            self.adopted_until = until.unwrap_or(Moment(0));
        }
        if directive.epoch > self.epoch {
            self.surveyed = None;
            self.returned = None;
        }
        self.epoch = directive.epoch;
        match &directive.wanted {
            Wanted::Primary { members, .. } => {
                let asked = members.iter();
                let asked = asked.map(|(node, fellow)| Some((*node, fellow.agent.clone()?)));
                self.electors = asked.collect();
                self.allow(allowed);
            }
            Wanted::Replica { .. } => {
                self.forbid();
                // The leader stands by the primary again: it may be pledged to.
                if directive.survey.is_none() && self.refuses >= directive.epoch {
                    self.refuses = Epoch(directive.epoch.0.saturating_sub(1));
                }
            }
            Wanted::Standby | Wanted::Peer => self.forbid(),
        }
        if !directive.probe {
            self.sees_primary = None;
        }
        if directive.survey.is_none() {
            self.surveyed = None;
        }
        self.directive = Some(directive);
    }

    /// Whether it is the first primary there ever was, about to be promoted as it is: its writers are not to notice. The
    /// leader counts it as a holder for as long.
    pub(super) fn is_adopted(&self, now: Moment) -> bool {
        let wanted = self.directive.as_ref();
        let wanted = wanted.is_some_and(|it| matches!(it.wanted, Wanted::Primary { .. }));
        now < self.adopted_until && self.epoch == FIRST && wanted
    }

    /// Counted from before the leader could know of it. What was granted to a holder that has let go
    /// since is void: the leader may have heard of that already and have turned to another.
    fn allow(&mut self, allowed: Allowed) {
        if allowed.answers < self.idle_since || allowed.lease == Millis(0) {
            return;
        }
        if let Some(sent) = allowed.sent {
            let until = lease::holder_until(sent, allowed.lease);
            self.leased_until = self.leased_until.max(until);
        }
    }

    fn forbid(&mut self) {
        self.electors = None;
        self.leased_until = Moment(0);
        self.pledges.end();
    }
}
