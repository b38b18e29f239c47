//! Nodes: an agent each, what it is told, and what becomes of what it says.

use super::{Event, Place, World, servers::drifted};
use crate::failover::store::Store;
use std::{collections::BTreeMap, rc::Rc};
use tenure_core::{
    Command, Endpoint, Incarnation, Member, Millis, Moment, NodeId, NodeRef, Outcome,
    PledgeRequest, ServiceName,
    agent::{Agent, Input, Kept, Output, Start},
};

#[derive(Clone)]
pub struct Node {
    pub agent: Option<Agent>,
    /// The agent's session; what is under way for an earlier one comes to nothing.
    pub session: u64,
    /// What an agent that is started after this one finds; nothing after a reboot.
    pub kept: Option<Kept>,
    /// By the index of the service.
    pub stores: Vec<Option<Store>>,
    pub stalled_until: Moment,
    /// Thousandths by which its clock is faster.
    pub drift: i64,
    pub incarnation: u64,
    wakes_at: Moment,
    asks: BTreeMap<u64, (u64, u64)>,
    inbox: Vec<Input>,
    /// The latest action that a driver was given, by service.
    pub(super) latest: Vec<u64>,
    /// Which session gave it.
    pub(super) latest_by: Vec<u64>,
    /// How often it asked others for pledges.
    pub asked: u64,
    /// Whether its agent was told that the node is about to stop.
    pub leaving: bool,
    /// By how much its clock was set forward, beyond what clocks may do.
    pub ahead: Millis,
}

impl Node {
    pub fn new(services: usize) -> Self {
        Self {
            agent: None,
            session: 0,
            kept: Some(Kept::default()),
            stores: vec![None; services],
            stalled_until: Moment(0),
            drift: 0,
            incarnation: 1,
            wakes_at: Moment(0),
            asks: BTreeMap::new(),
            inbox: Vec::new(),
            latest: vec![0; services],
            latest_by: vec![0; services],
            asked: 0,
            leaving: false,
            ahead: Millis(0),
        }
    }
}

impl World {
    pub fn node(&self, id: u64) -> &Node {
        &self.nodes[usize::try_from(id).expect("it is small") - 1]
    }

    pub fn node_mut(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[usize::try_from(id).expect("it is small") - 1]
    }

    pub fn node_ids(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.nodes.len() as u64
    }

    pub fn clock(&self, node: u64) -> Moment {
        drifted(self.now, self.node(node).drift).after(self.node(node).ahead)
    }

    pub(super) fn runs(&self, node: u64) -> bool {
        self.node(node).stalled_until <= self.now
    }

    pub(super) fn member(&self, node: u64) -> Member {
        Member {
            node: NodeId(node),
            incarnation: Incarnation(self.node(node).incarnation),
        }
    }

    pub fn start_agent(&mut self, node: u64) {
        self.session += 1;
        let session = self.session;
        let with_store =
            |(index, _): &(usize, &ServiceName)| self.node(node).stores[*index].is_some();
        let services = self.services.iter().enumerate().filter(with_store);
        let start = Start {
            member: self.member(node),
            session,
            agent: Some(Endpoint::new(&format!("a{node}:1")).expect("it is well-formed")),
            services: services.map(|(_, name)| name.clone()).collect(),
            kept: self.node(node).kept.clone(),
            heartbeat: Millis(100),
            lease: self.longest_lease,
        };
        let agent = Agent::new(start, self.clock(node));
        let it = self.node_mut(node);
        (it.agent, it.session, it.wakes_at) = (Some(agent), session, Moment(0));
        it.leaving = false;
        it.kept.get_or_insert_default();
        self.forget_orders(node);
        let again = true;
        let look = Event::Observe {
            node,
            session,
            again,
        };
        self.at(self.now, look);
        self.at(self.now, Event::Wake { node, session });
    }

    pub fn kill_agent(&mut self, node: u64) {
        let it = self.node_mut(node);
        (it.agent, it.session) = (None, 0);
        it.asks.clear();
        it.inbox.clear();
        // What was meant for a process before the one that is there is not done to that.
        for (store, latest) in it.stores.iter().zip(&mut it.latest) {
            if store.as_ref().is_some_and(|store| store.shown != store.run) {
                *latest = 0;
            }
        }
    }

    /// A node stands still, its stores with it, and then finds all that was sent to it.
    pub fn stall_node(&mut self, node: u64, span: Millis) {
        let until = self.now.after(span);
        let it = self.node_mut(node);
        it.stalled_until = it.stalled_until.max(until);
        let until = it.stalled_until;
        self.at(until, Event::NodeWakes(node));
    }

    pub(super) fn node_wakes(&mut self, node: u64) {
        if self.runs(node) {
            self.tell_agent(node, Input::Tick);
            let inbox = std::mem::take(&mut self.node_mut(node).inbox);
            for input in inbox {
                self.tell_agent(node, input);
            }
        }
    }

    /// A machine is switched off, or loses its power.
    pub fn power_off(&mut self, node: u64) {
        self.kill_agent(node);
        for service in 0..self.services.len() {
            self.kill_store_of(node, service);
        }
        let it = self.node_mut(node);
        it.kept = None;
        // Nothing of what its drivers were told is done any more.
        it.latest.fill(0);
    }

    /// And on again: a new life. None when no leader can write that down now.
    pub fn power_on(&mut self, node: u64) -> Option<()> {
        let leader = self.leader().filter(|leader| self.has_quorum(*leader))?;
        assert!(self.server(leader).up);
        let outcome = self.commit(Command::JoinNode {
            node: NodeRef::Id(NodeId(node)),
            last: Incarnation(self.node(node).incarnation),
        });
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        self.node_mut(node).incarnation += 1;
        for service in 0..self.services.len() {
            self.restart_store_of(node, service);
        }
        self.start_agent(node);
        Some(())
    }

    pub fn tell_agent(&mut self, id: u64, input: Input) {
        let now = self.clock(id);
        let runs = self.runs(id);
        let node = self.node_mut(id);
        let Some(agent) = &mut node.agent else {
            return;
        };
        if !runs {
            return node.inbox.push(input);
        }
        node.leaving |= matches!(input, Input::Leave);
        let mut out = Vec::new();
        agent.handle(now, input, &mut out);
        let wake = agent.next_tick();
        let session = node.session;
        for output in out {
            self.carry_out(id, output);
        }
        self.check_believers(id);
        let wait = wake.since(now).plus(Millis(1));
        let (now, wakes_at) = (self.now, self.now.after(wait));
        let node = self.node_mut(id);
        if node.wakes_at <= now || wakes_at < node.wakes_at {
            node.wakes_at = wakes_at;
            self.at(wakes_at, Event::Wake { node: id, session });
        }
    }

    fn carry_out(&mut self, id: u64, output: Output) {
        match output {
            Output::Beat(beat) => {
                let (member, beat) = (self.member(id), Rc::new(beat));
                for server in 1..=3 {
                    let beat = beat.clone();
                    let event = Event::Beat {
                        server,
                        member,
                        beat,
                    };
                    self.hop(Place::Node(id), Place::Server(server), event);
                }
            }
            // The world has no services of the kind that stores copies.
            Output::Orders { orders, .. } => self.ordered(id, orders),
            Output::Act {
                service,
                action,
                what,
            } => self.begin(id, &service, action, what),
            Output::AskPledge {
                request,
                node,
                what,
                ..
            } => {
                self.node_mut(id).asked += 1;
                self.count("pledge asked for");
                self.tell(&format!("n{id}"), "asks the others for pledges");
                let event = Event::PledgeAsk {
                    from: id,
                    to: node.0,
                    request,
                    what: Rc::new(what),
                };
                self.hop(Place::Node(id), Place::Node(node.0), event);
            }
            Output::AnswerPledge { ask, pledged } => {
                let Some((to, request)) = self.node_mut(id).asks.remove(&ask) else {
                    return;
                };
                let event = Event::PledgeAnswer {
                    to,
                    from: id,
                    request,
                    pledged,
                };
                self.hop(Place::Node(id), Place::Node(to), event);
            }
            Output::Keep(kept) => self.node_mut(id).kept = Some(kept),
            Output::Left => self.note(&format!("n{id} left")),
        }
    }

    pub(super) fn pledge_asked(&mut self, from: u64, to: u64, request: u64, what: &PledgeRequest) {
        self.ask += 1;
        let ask = self.ask;
        if self.node(to).agent.is_some() {
            self.node_mut(to).asks.insert(ask, (from, request));
            let request = what.clone();
            self.tell_agent(to, Input::PledgeAsked { ask, request });
        }
    }

    pub(super) fn pledge_answered(&mut self, to: u64, from: u64, request: u64, pledged: bool) {
        self.count(if pledged { "pledged" } else { "pledge refused" });
        let from = NodeId(from);
        let answered = Input::PledgeAnswered {
            request,
            from,
            pledged,
        };
        self.tell_agent(to, answered);
    }
}
