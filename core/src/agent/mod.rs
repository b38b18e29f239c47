//! The node's half of the protocol, as a machine without IO: what the member may do, and what its
//! instances are told to do. It makes no choice of its own but one: to stop in time.
//!
//! Feed it with [`Agent::handle`], and carry out what it appends, in order. Call it with
//! [`Input::Tick`] when [`Agent::next_tick`] is due, and before anything else after a stall: whether
//! the lease still runs is decided by the clock.

mod acted;
mod action;
mod granted;
mod instance;
mod io;
mod pledges;
mod shown;

pub use action::{Action, Feat, Observation, Observed};
pub use io::{Input, Kept, KeptRules, KeptService, Output, Start};

use crate::{
    ControlLoss, Epoch, Heartbeat, Millis, Moment, PledgeRequest, ServiceName, Sign, lease,
};
use instance::Instance;
use std::collections::{BTreeMap, VecDeque};

/// How many heartbeats may be under way: a grant that answers an older one allows nothing.
const SENT_MAX: usize = 128;

/// The node's half of the protocol.
#[derive(Debug, Clone)]
pub struct Agent {
    start: Start,
    instances: BTreeMap<ServiceName, Instance>,
    /// The next heartbeat's number.
    sequence: u64,
    /// When the latest heartbeats were sent.
    sent: VecDeque<(u64, Moment)>,
    next_beat: Moment,
    /// What the latest heartbeat said that is worth another one as soon as it changes.
    told: Vec<Sign>,
    kept: Kept,
    heard: (u64, u64),
    lease: Millis,
    heartbeat: Millis,
    drift_permille: u32,
    control_loss: ControlLoss,
    /// Whether these are by the word of a leader, to this process or to an earlier one.
    is_ruled: bool,
    leaving: bool,
    left: bool,
    next_id: u64,
}

impl Agent {
    /// A machine that holds what an earlier process of the agent kept, and nothing else.
    ///
    /// On a machine that was restarted since nothing is kept, what was pledged neither: then it refuses
    /// promotion for as long as a pledge can last.
    #[must_use]
    pub fn new(start: Start, now: Moment) -> Self {
        let kept = start.kept.clone().unwrap_or_default();
        let quarantine = match start.kept {
            Some(_) => Moment(0),
            None => now.after(lease::cautious(start.lease, 100)),
        };
        let instance = |service: &ServiceName| {
            let known = kept.services.get(service).copied().unwrap_or_default();
            let mut instance = Instance::new(known);
            // Nobody else can have become an elector since: the leader lets nobody count whom this member
            // has not said that it heard of, and what it has heard of is kept before it says so.
            instance.electors = kept.electors.get(service).cloned();
            instance.pledged_until = instance.pledged_until.max(quarantine);
            (service.clone(), instance)
        };
        let rules = kept.rules.unwrap_or(KeptRules {
            lease: start.lease,
            heartbeat: start.heartbeat,
            drift_permille: 0,
            control_loss: ControlLoss::Pledge,
        });
        Self {
            instances: start.services.iter().map(instance).collect(),
            sequence: 1,
            sent: VecDeque::new(),
            next_beat: now,
            told: Vec::new(),
            heard: (0, 0),
            lease: rules.lease,
            heartbeat: rules.heartbeat,
            drift_permille: rules.drift_permille,
            control_loss: rules.control_loss,
            is_ruled: kept.rules.is_some(),
            kept,
            leaving: false,
            left: false,
            next_id: 1,
            start,
        }
    }

    /// Takes in what happened, and appends to `out` what is to be done about it, in order.
    pub fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        let mut done = Vec::new();
        self.pass(now);
        match input {
            Input::Granted(grant) => self.granted(grant, &mut done),
            Input::Observed { service, seen } => self.observed(&service, seen),
            Input::Stored { service, store } => {
                if let Some(instance) = self.instances.get_mut(&service) {
                    instance.store = Some(store);
                }
            }
            Input::Acted {
                service,
                action,
                result,
            } => self.acted(now, &service, action, result),
            Input::PledgeAsked { ask, request } => {
                let pledged = self.pledge(now, &request);
                done.push(Output::AnswerPledge { ask, pledged });
            }
            Input::PledgeAnswered {
                request,
                from,
                pledged,
            } => {
                for instance in self.instances.values_mut() {
                    instance.pledges.answered(request, from, pledged);
                }
            }
            Input::Leave => self.leaving = true,
            Input::Tick => {}
        }
        self.ask_pledges(now, &mut done);
        self.act(now, &mut done);
        self.beat(now, &mut done);
        self.leave(&mut done);
        self.keep(out);
        out.append(&mut done);
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn next_tick(&self) -> Moment {
        let due = self.instances.values().filter_map(Instance::due);
        due.fold(self.next_beat, Moment::min)
    }

    /// Whether the member may act as primary of a service now, and by which epoch: what the checks for
    /// load balancers answer from.
    #[must_use]
    pub fn primary_of(&self, service: &ServiceName, now: Moment) -> Option<Epoch> {
        self.instances.get(service)?.primary_by(now)
    }

    /// What the clock alone changes.
    fn pass(&mut self, now: Moment) {
        for instance in self.instances.values_mut() {
            instance.pass(now);
        }
    }

    fn observed(&mut self, service: &ServiceName, seen: crate::agent::Observation) {
        let next = self.sequence;
        let Some(instance) = self.instances.get_mut(service) else {
            return;
        };
        instance.see(seen, next);
    }

    /// Whether it pledges to refuse promotion. Once it has said how far it has got for a successor
    /// it pledges no more, and one that was never told of the service's epoch does not know enough to.
    fn pledge(&mut self, now: Moment, request: &PledgeRequest) -> bool {
        let drift = self.drift_permille.max(10);
        let is_meant = request.of == self.start.member.node;
        let Some(instance) = self.instances.get_mut(&request.service) else {
            return false;
        };
        let may = is_meant
            && instance.epoch > Epoch(0)
            && instance.epoch <= request.epoch
            && instance.refuses < request.epoch
            && instance.standing.holds().is_none()
            && request.lasting <= Millis(60_000);
        if may {
            let until = lease::granter_until(now, request.lasting, drift);
            instance.pledged_until = instance.pledged_until.max(until);
        }
        may
    }

    /// While no leader has granted anything for half a lease, every primary asks all who could be
    /// promoted in its place.
    fn ask_pledges(&mut self, now: Moment, done: &mut Vec<Output>) {
        if self.control_loss == ControlLoss::Fence {
            return;
        }
        let (member, lasting, every) = (self.start.member, self.lease, self.heartbeat);
        for (service, instance) in &mut self.instances {
            let Some(epoch) = instance.primary_by(now) else {
                continue;
            };
            let half = Millis(lasting.0 / 2);
            let granted = instance.leased_until > now.after(half);
            let asked = instance.pledges.asked_at();
            let asked_lately = asked.is_some_and(|at| now.since(at) < every);
            if granted || asked_lately || instance.pledges.until > now.after(half) {
                continue;
            }
            let Some(electors) = instance.electors.clone() else {
                continue;
            };
            let request = self.next_id;
            self.next_id = self.next_id.saturating_add(1);
            let nodes = electors.keys().copied().collect();
            instance.pledges.ask(request, now, lasting, nodes);
            done.extend(electors.into_iter().map(|(node, agent)| Output::AskPledge {
                request,
                node,
                agent,
                what: PledgeRequest {
                    service: service.clone(),
                    of: node,
                    holder: member,
                    epoch,
                    lasting,
                },
            }));
        }
    }

    fn act(&mut self, now: Moment, done: &mut Vec<Output>) {
        for (service, instance) in &mut self.instances {
            let Some(what) = instance.next(now) else {
                continue;
            };
            let action = self.next_id;
            self.next_id = self.next_id.saturating_add(1);
            instance.began(now, action, what.clone());
            done.push(Output::Act {
                service: service.clone(),
                action,
                what,
            });
        }
    }

    /// A heartbeat when it is due, and at once when there is something to say.
    fn beat(&mut self, now: Moment, done: &mut Vec<Output>) {
        let signs: Vec<Sign> = self
            .instances
            .iter()
            .map(|(service, instance)| instance.sign(service, now))
            .collect();
        let news: Vec<Sign> = signs.iter().map(essence).collect();
        if now < self.next_beat && news == self.told {
            return;
        }
        self.told = news;
        self.next_beat = now.after(self.heartbeat);
        let sequence = self.sequence;
        self.sequence = sequence.saturating_add(1);
        for instance in self.instances.values_mut() {
            instance.said(sequence);
        }
        self.sent.push_back((sequence, now));
        if self.sent.len() > SENT_MAX {
            self.sent.pop_front();
        }
        done.push(Output::Beat(Heartbeat {
            session: self.start.session,
            sequence,
            heard: self.heard,
            agent: self.start.agent.clone(),
            leaving: self.leaving,
            signs,
        }));
    }

    fn leave(&mut self, done: &mut Vec<Output>) {
        if self.leaving && !self.left && self.instances.values().all(Instance::has_handed_over) {
            self.left = true;
            done.push(Output::Left);
        }
    }

    /// Before everything else of a step: what is promised and what is held outlives this process.
    fn keep(&mut self, out: &mut Vec<Output>) {
        let services = self.instances.iter();
        let holding = services
            .clone()
            .filter(|(_, instance)| instance.standing.holds().is_some());
        let services = services.map(|(service, instance)| (service.clone(), instance.kept()));
        let kept = Kept {
            services: services.collect(),
            electors: holding
                .filter_map(|(service, it)| Some((service.clone(), it.electors.clone()?)))
                .collect(),
            rules: self.is_ruled.then_some(KeptRules {
                lease: self.lease,
                heartbeat: self.heartbeat,
                drift_permille: self.drift_permille,
                control_loss: self.control_loss,
            }),
        };
        if kept != self.kept {
            self.kept = kept.clone();
            out.push(Output::Keep(kept));
        }
    }
}

/// What is worth telling at once: all but what changes with every look.
fn essence(sign: &Sign) -> Sign {
    let mut essence = sign.clone();
    essence.report.position = None;
    essence.report.note = crate::Note::default();
    essence.report.attributes = crate::Attributes::default();
    essence.stalled = Millis(u64::from(sign.stalled > Millis(0)));
    essence.store = sign.store.as_ref().map(crate::StoreSign::essence);
    if let Some(surveyed) = &mut essence.surveyed {
        surveyed.pledged = Millis(0);
    }
    essence
}
