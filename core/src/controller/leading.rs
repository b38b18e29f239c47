//! A leader's memory, and the order in which it looks at things.

use super::{
    Hold, HoldCode, Input, Look, Output, TICK,
    authority::Authority,
    case::View,
    copies::{Asked, Deferred, Tending},
    course::{Course, Stage},
    holders::Holders,
    known::Members,
};
use crate::{
    Cause, Command, Heartbeat, Member, Moment, NodeId, Outcome, Phase, Role, ServerId, ServiceName,
    Standing, Zone,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// More than a leader numbers in its term.
const NUMBERS_PER_TERM: u64 = 1 << 32;

/// What a proposal was for.
#[derive(Debug, Clone)]
pub(super) enum Proposal {
    /// A change of primary.
    Promotion(ServiceName),
    /// A change of who may acknowledge.
    Membership(ServiceName),
    /// What instances say of themselves.
    Reports(Vec<(ServiceName, NodeId)>),
    /// Something that is harmless to leave undone, and is looked at again.
    Note(ServiceName),
    /// Something about the copies of a service.
    Copies(ServiceName, Asked),
}

/// A member that was lost: when, and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) at: Moment,
    pub(super) node: NodeId,
    pub(super) zone: Option<Zone>,
}

/// A leader's memory. It begins empty with each leadership.
#[derive(Debug, Clone)]
pub(super) struct Leading {
    pub(super) term: u64,
    pub(super) authority: Authority,
    pub(super) members: Members,
    pub(super) courses: BTreeMap<ServiceName, Course>,
    pub(super) losses: VecDeque<Lost>,
    pub(super) proposals: BTreeMap<u64, Proposal>,
    /// Instances whose report is proposed and not decided.
    pub(super) reporting: BTreeSet<(ServiceName, NodeId)>,
    /// Services of which something is noted, and not decided.
    pub(super) noting: BTreeSet<ServiceName>,
    /// The copies of the services that store them.
    pub(super) copies: BTreeMap<ServiceName, Tending>,
    pub(super) deferred: Deferred,
    /// When the load of an instance was last reported.
    pub(super) loads: BTreeMap<(ServiceName, NodeId), Moment>,
    /// Numbers grants, proposals and ballots, no two of any two terms alike: an answer to a survey of an
    /// earlier leader must not pass for one to this leader's.
    counter: u64,
    looked_at: Moment,
}

impl Leading {
    pub(super) fn new(term: u64, now: Moment) -> Self {
        Self {
            term,
            authority: Authority::new(now),
            members: Members::default(),
            courses: BTreeMap::new(),
            losses: VecDeque::new(),
            proposals: BTreeMap::new(),
            reporting: BTreeSet::new(),
            noting: BTreeSet::new(),
            copies: BTreeMap::new(),
            deferred: Deferred::default(),
            loads: BTreeMap::new(),
            counter: term.saturating_mul(NUMBERS_PER_TERM),
            looked_at: Moment(0),
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    pub(super) fn latest_number(&self) -> u64 {
        self.counter
    }

    pub(super) fn open_asks(&self) -> Vec<u64> {
        self.courses.values().filter_map(Course::ask).collect()
    }

    pub(super) fn take(&mut self, look: Look<'_>, input: Input, out: &mut Vec<Output>) {
        self.authority.look(look);
        match input {
            Input::Quorum(acked) => self.authority.quorum(acked),
            Input::Ear(server) => self.authority.ear(server, look.now),
            Input::Beat { via, member, beat } => self.beat(look, via, member, beat, out),
            Input::Outcome { proposal, outcome } => self.outcome(look, proposal, outcome, out),
            Input::Ask { ask, wish } => self.ask(look, ask, wish, out),
            Input::Applied => self.attend_busy(look, out),
            Input::Tick => self.tick(look, out),
            Input::Lead { .. } | Input::Follow | Input::Voters(_) => {}
        }
    }

    /// Everything is looked at again: services that were changed by others, and what only time changes.
    fn tick(&mut self, look: Look<'_>, out: &mut Vec<Output>) {
        self.authority.ear(look.site.server, look.now);
        if look.now.since(self.looked_at) < TICK && self.looked_at <= look.now {
            return;
        }
        self.looked_at = look.now;
        self.members.retain(look);
        self.note_losses(look);
        self.courses
            .retain(|name, _| View::of(look, name).is_some());
        let services: Vec<ServiceName> = look.state.services().keys().cloned().collect();
        for service in services {
            self.attend(look, &service, out);
        }
        self.report_silent(look, out);
        self.tend_copies(look, out);
    }

    /// What waits for the log is not kept waiting for the clock.
    fn attend_busy(&mut self, look: Look<'_>, out: &mut Vec<Output>) {
        let busy = |course: &Course| {
            !matches!(course.stage, Stage::Steady) || course.proposed || course.confirming.is_some()
        };
        let busy = self.courses.iter().filter(|(_, course)| busy(course));
        let busy: Vec<ServiceName> = busy.map(|(name, _)| name.clone()).collect();
        for service in busy {
            self.attend(look, &service, out);
        }
    }

    fn beat(
        &mut self,
        look: Look<'_>,
        via: ServerId,
        member: Member,
        beat: Heartbeat,
        out: &mut Vec<Output>,
    ) {
        let node = look.state.nodes().get(&member.node);
        if node.is_none_or(|node| !node.is_present() || node.member() != member) {
            return;
        }
        let services: Vec<ServiceName> = beat.signs.iter().map(|it| it.service.clone()).collect();
        if !self.members.hear(look.now, via, member, beat) {
            return;
        }
        for service in &services {
            self.note_standing(look, service, member);
            self.attend(look, service, out);
        }
        self.report(look, member.node, out);
        self.hear_stores(look, member.node, out);
        self.grant(look, member.node, out);
    }

    /// What a member says that it holds, or does not.
    fn note_standing(&mut self, look: Look<'_>, service: &ServiceName, member: Member) {
        let Some(view) = View::of(look, service) else {
            return;
        };
        let inherited = self.authority.inherited_until(look);
        let mut course = self.take_course(look, &view);
        course.holders.begun_anew(member);
        let known = self.members.member(member);
        if let Some(sign) = known.and_then(|known| known.sign(service)) {
            if !sign.whole {
                course.anew.insert(member.node, None);
                course.goals.remove(&member.node);
            }
            match sign.standing {
                Standing::Idle(_) if is_adopting(look, &view, member) => {}
                Standing::Idle(_) => {
                    // What an earlier leader granted in answer to this heartbeat may still arrive, as
                    // long as the member has not heard of this one.
                    let hears = known.is_some_and(|known| known.beat.heard.0 >= self.term);
                    let until = if hears { Moment(0) } else { inherited };
                    course.holders.let_go(member, until);
                }
                Standing::Primary(epoch) | Standing::Quiesced(epoch) => {
                    course.holders.claims(member, inherited);
                    let assigned = view.assignment.primary == Some(member);
                    if assigned && epoch == view.assignment.epoch {
                        course.holders.nobody_unknown();
                        // Before it has confirmed it is where it was as a replica.
                        let confirmed = sign.report.role == Some((Role::Primary, epoch));
                        if let Some(position) = sign.report.position.as_ref().filter(|_| confirmed)
                        {
                            course.last = Some((epoch, position.clone()));
                        }
                    }
                }
            }
        }
        self.courses.insert(service.clone(), course);
    }

    /// Looks at one service with everything that is known now.
    pub(super) fn attend(&mut self, look: Look<'_>, service: &ServiceName, out: &mut Vec<Output>) {
        let Some(view) = View::of(look, service) else {
            return;
        };
        let mut course = self.take_course(look, &view);
        course.holders.forget_past(look.now);
        self.confirm(look, &view, &mut course, out);
        course.stage = match std::mem::replace(&mut course.stage, Stage::Steady) {
            Stage::Steady => self.steady(look, &view, &mut course, out),
            Stage::Failing(failing) => self.failing(look, &view, &mut course, failing, out),
            Stage::Switching(switching) => self.switching(look, &view, &mut course, switching, out),
        };
        self.courses.insert(service.clone(), course);
        self.push(look, &view, out);
    }

    pub(super) fn take_course(&mut self, look: Look<'_>, view: &View<'_>) -> Course {
        let name = &view.assignment.service;
        self.courses.remove(name).unwrap_or_else(|| {
            let epoch = view.assignment.epoch;
            let proven = epoch.0 <= 1 || look.state.receipt(name, epoch).is_some();
            let until = self.authority.inherited_until(look);
            Course::new(Holders::inherit(view.assignment.primary, proven, until))
        })
    }

    pub(super) fn propose(&mut self, purpose: Proposal, command: Command, out: &mut Vec<Output>) {
        let proposal = self.next_number();
        self.proposals.insert(proposal, purpose);
        out.push(Output::Propose { proposal, command });
    }

    fn outcome(
        &mut self,
        look: Look<'_>,
        proposal: u64,
        outcome: Option<Outcome>,
        out: &mut Vec<Output>,
    ) {
        match self.proposals.remove(&proposal) {
            None => {}
            Some(Proposal::Promotion(service)) => {
                self.promotion_decided(look, &service, outcome, out);
                self.attend(look, &service, out);
            }
            Some(Proposal::Membership(service)) => {
                if let Some(course) = self.courses.get_mut(&service) {
                    course.proposed = false;
                }
                self.attend(look, &service, out);
            }
            Some(Proposal::Reports(instances)) => {
                for instance in instances {
                    self.reporting.remove(&instance);
                }
            }
            Some(Proposal::Note(service)) => {
                self.noting.remove(&service);
            }
            Some(Proposal::Copies(service, asked)) => {
                self.copies_decided(look, &service, asked, outcome);
            }
        }
    }

    /// Decided not to act: remembered for whoever asks why, told to whoever waits.
    pub(super) fn hold(
        &self,
        look: Look<'_>,
        course: &mut Course,
        asked: Option<u64>,
        hold: Hold,
        out: &mut Vec<Output>,
    ) {
        let known = course
            .held
            .as_ref()
            .is_some_and(|(known, _)| *known == hold);
        if !known && hold.code != HoldCode::Watching {
            out.push(Output::Note(format!("held: {hold}")));
        }
        if let Some(ask) = asked {
            let answer = Err(hold.clone());
            out.push(Output::Answer { ask, answer });
        }
        course.retry_at = look.now.after(super::failing::RETRY_AFTER);
        course.held = Some((hold, look.now));
    }
}

/// Whether the member is the first primary of a service and was not seen to serve as that yet: until it is promoted it
/// says that it holds nothing, and may go on taking writes as it did before anybody spoke of it.
fn is_adopting(look: Look<'_>, view: &View<'_>, member: Member) -> bool {
    let epoch = view.assignment.epoch;
    let receipt = look.state.receipt(view.name, epoch);
    view.assignment.primary == Some(member)
        && receipt.is_some_and(|receipt| {
            let account = &receipt.account;
            account.cause == Cause::First && !account.timeline.contains_key(&Phase::Confirmed)
        })
}
