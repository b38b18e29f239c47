//! A small world in which controllers and agents run against model stores: a replicated log with
//! elections, a network with delays and cuts, and clocks that drift.

mod ask;
mod checks;
mod data;
mod drivers;
mod elections;
mod items;
mod log;
mod network;
mod nodes;
mod queue;
mod servers;
mod setup;
mod told;
mod watching;

pub use network::{Place, Weather};
pub use setup::{Setup, policy, service};

use crate::walk::dice::Dice;
use checks::Checks;
use items::Items;
use log::Log;
use network::Network;
use nodes::Node;
use queue::{Event, Queue};
use servers::Server;
use std::collections::BTreeMap;
use tenure_core::{
    Millis, Moment, ServiceName, State, Timestamp,
    agent::Input,
    controller::{Hold, Moved},
};
use told::Told;
use watching::Watching;

/// How often leaders look at their clocks.
const TICK: Millis = Millis(20);
/// How often leaders ask for acknowledgements.
const APPEND: Millis = Millis(30);
/// How often stores replicate and clients write.
const DATA: Millis = Millis(5);

#[derive(Clone)]
pub struct World {
    pub seed: u64,
    pub now: Moment,
    /// What was committed so far.
    pub state: State,
    pub servers: BTreeMap<u64, Server>,
    /// Node 1 comes first.
    pub nodes: Vec<Node>,
    pub services: Vec<ServiceName>,
    pub net: Network,
    pub dice: Dice,
    pub answers: BTreeMap<u64, Result<Moved, Hold>>,
    pub notes: Vec<String>,
    /// Whether notes are taken; what they would say is counted all the same.
    pub noting: bool,
    /// How often what happened that random faults are to reach.
    pub counts: BTreeMap<String, u64>,
    pub watching: Watching,
    /// By how many milliseconds the wall clock was set forward.
    pub wall_ahead: u64,
    /// When a leader was last acknowledged by a majority.
    pub quorum_at: Moment,
    /// The longest lease that was ever granted.
    pub longest_lease: Millis,
    /// Whether clients write.
    pub writing: bool,
    /// How many replicas a client waits for.
    pub client_acks: usize,
    /// The latest term in which somebody was elected.
    pub term: u64,
    queue: Queue,
    log: Log,
    pub checks: Checks,
    /// What a transcript has of it.
    pub told: Told,
    /// Items of a service that stores copies of them.
    pub items: Items,
    session: u64,
    ask: u64,
    next_write: u64,
    next_history: u64,
}

impl World {
    pub fn new(setup: &Setup) -> Self {
        let mut world = Self {
            seed: setup.seed,
            now: Moment(1_000_000),
            state: State::default(),
            servers: (1..=3).map(|id| (id, Server::new(id))).collect(),
            nodes: Vec::new(),
            services: Vec::new(),
            net: Network::default(),
            dice: Dice::new(setup.seed),
            answers: BTreeMap::new(),
            notes: Vec::new(),
            noting: true,
            counts: BTreeMap::new(),
            watching: Watching::default(),
            wall_ahead: 0,
            quorum_at: Moment(0),
            longest_lease: setup.automation.fast_lease,
            writing: false,
            client_acks: setup.client_acks,
            term: 0,
            queue: Queue::default(),
            log: Log::default(),
            checks: Checks::default(),
            items: Items::default(),
            told: Told::default(),
            session: 0,
            ask: 0,
            next_write: 1,
            next_history: 1,
        };
        world.set_up(setup);
        world.elected(1);
        for event in [Event::Append, Event::Tick, Event::Elect, Event::Data] {
            world.later(Millis(1), event);
        }
        for node in world.node_ids() {
            world.start_agent(node);
        }
        world
    }

    /// The wall clock, which is nobody's in particular.
    pub fn wall(&self) -> Timestamp {
        Timestamp((self.now.0 / 1_000).saturating_add(self.wall_ahead))
    }

    pub fn note(&mut self, what: &str) {
        if self.noting {
            self.notes.push(format!("{} {what}", self.now.0 / 1_000));
        }
    }

    pub fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(times) => *times += 1,
            None => drop(self.counts.insert(what.to_owned(), 1)),
        }
    }

    /// Lets time pass, checking after each event that nothing is broken.
    pub fn run(&mut self, span: Millis) {
        let end = self.now.after(span);
        while let Some((when, event)) = self.queue.next(end) {
            self.now = when;
            self.step(event);
        }
        self.now = end;
    }

    /// Whether something holds before so much time has passed.
    pub fn comes(&mut self, within: Millis, holds: impl Fn(&World) -> bool) -> bool {
        let until = self.now.after(within);
        while !holds(self) && self.now < until {
            self.run(Millis(1));
        }
        holds(self)
    }

    /// Lets time pass until something holds, for so long at most; says how long it took.
    pub fn run_until(&mut self, within: Millis, holds: impl Fn(&World) -> bool) -> Millis {
        let began = self.now;
        let came = self.comes(within, holds);
        assert!(came, "not within {within}\n{}", self.describe());
        self.now.since(began)
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Tick => self.tick(),
            Event::Append => self.append(),
            Event::Elect => self.elect(),
            Event::Settled { server, term } => self.settled(server, term),
            Event::ServerWakes(server) => self.server_wakes(server),
            Event::Quorum { server, term, sent } => self.quorum(server, term, sent),
            Event::Beat {
                server,
                member,
                beat,
            } => self.beat(server, member, beat),
            Event::Relayed {
                via,
                to,
                member,
                beat,
            } => self.relayed(via, to, member, &beat),
            Event::Ear { from, to } => self.ear(from, to),
            Event::Carry { via, node, grant } => self.carry(via, node, grant),
            Event::Grant { node, grant } => self.tell_agent(node, Input::Granted((*grant).clone())),
            Event::Decide(proposal) => self.decide(proposal),
            Event::Outcome {
                server,
                term,
                proposal,
                outcome,
            } => self.outcome(server, term, proposal, outcome),
            Event::NodeWakes(node) => self.node_wakes(node),
            Event::Wake { node, session } => {
                if self.node(node).session == session {
                    self.tell_agent(node, Input::Tick);
                }
            }
            Event::Observe {
                node,
                session,
                again,
            } => self.observe(node, session, again),
            Event::Act {
                node,
                session,
                service,
                action,
                what,
            } => self.act(node, session, service, action, &what),
            Event::Tell {
                node,
                session,
                input,
            } => {
                if self.node(node).session == session {
                    self.tell_agent(node, (*input).clone());
                }
            }
            Event::PledgeAsk {
                from,
                to,
                request,
                what,
            } => self.pledge_asked(from, to, request, &what),
            Event::PledgeAnswer {
                to,
                from,
                request,
                pledged,
            } => self.pledge_answered(to, from, request, pledged),
            Event::Data => self.data(),
        }
    }
}
