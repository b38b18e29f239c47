//! A small world in which controllers and agents run against model stores: a model of the replicated
//! log with leader changes, a network with delays and cuts, and clocks that drift.

use super::store::{Process, Store};
use crate::walk::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    Automation, Command, Endpoint, Envelope, Epoch, Grant, Heartbeat, Incarnation, LossPolicy,
    Member, Millis, Moment, NodeId, NodeName, NodeRef, Note, Outcome, Policy, PrimaryPolicy,
    ServerId, ServiceName, State, Timestamp,
    agent::{self, Action, Agent, Kept, Start},
    controller::{Controller, Hold, Input, Moved, Output, Site, Wish},
    invariants,
};

pub const SERVICE: &str = "redis-server";
const RAFT_LEASE: Millis = Millis(140);

pub fn service() -> ServiceName {
    ServiceName::new(SERVICE).unwrap()
}

/// Where something stands on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Server(u64),
    Node(u64),
}

enum Event {
    Tick(u64),
    Wake(u64),
    Observe(u64),
    Quorum,
    Beat {
        server: u64,
        member: Member,
        beat: Heartbeat,
    },
    Relayed {
        via: u64,
        member: Member,
        beat: Heartbeat,
    },
    Grant {
        node: u64,
        grant: Grant,
    },
    Carry {
        via: u64,
        node: u64,
        grant: Grant,
    },
    Commit {
        term: u64,
        proposal: u64,
        command: Command,
    },
    Act {
        node: u64,
        action: u64,
        what: Action,
    },
    PledgeAsk {
        from: u64,
        to: u64,
        request: u64,
        what: tenure_core::PledgeRequest,
    },
    PledgeAnswer {
        to: u64,
        from: u64,
        request: u64,
        pledged: bool,
    },
    Replicate,
    Write,
    Elect(u64),
}

pub struct Server {
    pub controller: Controller,
    pub up: bool,
    pub stalled_until: Moment,
}

pub struct Node {
    pub agent: Option<Agent>,
    pub kept: Kept,
    pub store: Store,
    pub stalled_until: Moment,
    /// Thousandths by which its clock is faster.
    pub drift: i64,
    pub incarnation: u64,
    wakes_at: Moment,
    asks: BTreeMap<u64, (u64, u64)>,
}

pub struct World {
    pub now: Moment,
    pub state: State,
    pub servers: BTreeMap<u64, Server>,
    pub nodes: BTreeMap<u64, Node>,
    pub leader: Option<u64>,
    pub term: u64,
    /// What cannot reach what, one way.
    pub cuts: BTreeSet<(Place, Place)>,
    pub dice: Dice,
    pub acked: Vec<u64>,
    pub acked_by: Vec<(Moment, u64)>,
    pub last_ack: Moment,
    pub longest_gap: Millis,
    pub answers: BTreeMap<u64, Result<Moved, Hold>>,
    pub notes: Vec<String>,
    pub writing: bool,
    queue: BTreeMap<(Moment, u64), Event>,
    order: u64,
    session: u64,
    ask: u64,
    next_write: u64,
    pending: Vec<(u64, u64, usize)>,
    pub broken: Vec<String>,
}

impl World {
    pub fn new(seed: u64, nodes: u64, policy: PrimaryPolicy, automation: Automation) -> Self {
        let mut world = Self {
            now: Moment(1_000_000),
            state: State::default(),
            servers: (1..=3).map(|id| (id, server(id))).collect(),
            nodes: BTreeMap::new(),
            leader: None,
            term: 0,
            cuts: BTreeSet::new(),
            dice: Dice::new(seed),
            acked: Vec::new(),
            acked_by: Vec::new(),
            last_ack: Moment(0),
            longest_gap: Millis(0),
            answers: BTreeMap::new(),
            notes: Vec::new(),
            writing: false,
            queue: BTreeMap::new(),
            order: 0,
            session: 0,
            ask: 0,
            next_write: 1,
            pending: Vec::new(),
            broken: Vec::new(),
        };
        world.set_up(nodes, policy, automation);
        world.elect(1);
        for id in 1..=3 {
            world.later(Millis(20), Event::Tick(id));
        }
        world.later(Millis(1), Event::Quorum);
        world.later(Millis(1), Event::Replicate);
        world.later(Millis(1), Event::Write);
        for node in 1..=nodes {
            world.start_agent(node);
        }
        world
    }

    fn set_up(&mut self, nodes: u64, policy: PrimaryPolicy, automation: Automation) {
        self.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
        self.must(Command::SetAutomation {
            expected: tenure_core::Revision(0),
            automation,
        });
        self.must(Command::AddService {
            name: service(),
            policy: Policy::Primary(policy),
        });
        for id in 1..=nodes {
            let zone = tenure_core::Zone::new(["a", "b", "c"][(id as usize) % 3]).unwrap();
            self.must(Command::AddNode {
                name: NodeName::new(&format!("n{id}")).unwrap(),
                zone: Some(zone),
                labels: tenure_core::Attributes::default(),
                weight: 100,
            });
            self.must(Command::JoinNode {
                node: NodeRef::Id(NodeId(id)),
                last: Incarnation(0),
            });
            self.must(Command::AddInstance {
                service: service(),
                node: NodeRef::Id(NodeId(id)),
                endpoint: Endpoint::new(&format!("n{id}:1")).unwrap(),
                preference: 100,
            });
            let node = Node {
                agent: None,
                kept: Kept::default(),
                store: Store::replica(1),
                stalled_until: Moment(0),
                drift: 0,
                incarnation: 1,
                wakes_at: Moment(0),
                asks: BTreeMap::new(),
            };
            self.nodes.insert(id, node);
        }
        self.must(Command::SetPrimary {
            service: service(),
            to: NodeRef::Id(NodeId(1)),
            succeeds: Epoch(0),
            accept_loss: false,
            reason: Note::default(),
        });
    }

    fn must(&mut self, command: Command) {
        let outcome = self.commit(command);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    /// Applies the next entry and checks the invariants of the state.
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
        applied.outcome
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp(self.now.0 / 1_000)
    }

    fn later(&mut self, wait: Millis, event: Event) {
        self.at(self.now.after(wait), event);
    }

    fn at(&mut self, when: Moment, event: Event) {
        self.order += 1;
        self.queue.insert((when.max(self.now), self.order), event);
    }

    /// A hop through the network: within a millisecond, in order of sending on a good day.
    fn hop(&mut self, from: Place, to: Place, event: Event) {
        if !self.cuts.contains(&(from, to)) {
            let micros = 200 + self.dice.below(600);
            self.at(Moment(self.now.0 + micros), event);
        }
    }

    pub fn cut_both(&mut self, a: Place, b: Place) {
        self.cuts.insert((a, b));
        self.cuts.insert((b, a));
    }

    /// Cuts a node from everything else.
    pub fn isolate(&mut self, node: u64) {
        for server in 1..=3 {
            self.cut_both(Place::Node(node), Place::Server(server));
        }
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            if other != node {
                self.cut_both(Place::Node(node), Place::Node(other));
            }
        }
    }

    fn clock(&self, node: u64) -> Moment {
        let drift = self.nodes[&node].drift;
        let real = i128::from(self.now.0);
        let seen = real + real * i128::from(drift) / 1_000;
        Moment(u64::try_from(seen).unwrap())
    }

    pub fn start_agent(&mut self, node: u64) {
        self.session += 1;
        let start = Start {
            member: Member {
                node: NodeId(node),
                incarnation: Incarnation(self.nodes[&node].incarnation),
            },
            session: self.session,
            agent: Some(Endpoint::new(&format!("a{node}:1")).unwrap()),
            services: vec![service()],
            kept: Some(self.nodes[&node].kept.clone()),
            heartbeat: Millis(100),
            lease: Millis(1_000),
        };
        let now = self.clock(node);
        self.nodes.get_mut(&node).unwrap().agent = Some(Agent::new(start, now));
        self.at(self.now, Event::Observe(node));
        self.at(self.now, Event::Wake(node));
    }

    /// An operator accepts that something may be lost.
    pub fn accept_loss(&mut self) {
        let expected = self.state.services()[&service()].modified;
        let policy = Policy::Primary(policy(LossPolicy::Available));
        let name = service();
        self.must(Command::UpdateService {
            name,
            expected,
            policy,
        });
    }

    pub fn kill_agent(&mut self, node: u64) {
        self.nodes.get_mut(&node).unwrap().agent = None;
    }

    pub fn kill_store(&mut self, node: u64) {
        let store = &mut self.nodes.get_mut(&node).unwrap().store;
        store.process = Process::Gone;
        store.linked = false;
        self.pending.retain(|(primary, ..)| *primary != node);
        self.at(self.now, Event::Observe(node));
    }

    /// The process is started again, as what it is by the files that its driver wrote: it takes
    /// no writes, and follows nobody.
    pub fn restart_store(&mut self, node: u64) {
        let lost = usize::try_from(self.dice.below(100)).unwrap();
        let store = &mut self.nodes.get_mut(&node).unwrap().store;
        store.process = Process::Running;
        store.run += 1;
        store.writable = false;
        // What was written last was not on the disk yet.
        let kept = store.log.len().saturating_sub(lost);
        store.log.truncate(kept);
        self.pending.retain(|(primary, ..)| *primary != node);
        let store = &mut self.nodes.get_mut(&node).unwrap().store;
        (store.fenced, store.permits) = (false, None);
        (store.follows, store.linked) = (None, false);
    }

    pub fn elect(&mut self, server: u64) {
        if let Some(old) = self.leader.take() {
            self.tell_server(old, Input::Follow);
        }
        self.term += 1;
        self.leader = Some(server);
        let voters = (1..=3).map(ServerId).collect();
        self.tell_server(server, Input::Voters(voters));
        let term = self.term;
        self.tell_server(server, Input::Lead { term });
    }

    /// A server dies; if it led, another is elected after a while.
    pub fn kill_server(&mut self, server: u64) {
        self.servers.get_mut(&server).unwrap().up = false;
        if self.leader == Some(server) {
            self.tell_server(server, Input::Follow);
            self.leader = None;
            let next = (1..=3).find(|id| self.servers[id].up);
            let alive = self.servers.values().filter(|it| it.up).count();
            if let Some(next) = next.filter(|_| alive >= 2) {
                self.later(Millis(250), Event::Elect(next));
            }
        }
    }

    pub fn start_server(&mut self, server: u64) {
        let site = Site {
            server: ServerId(server),
            raft_lease: RAFT_LEASE,
        };
        let it = self.servers.get_mut(&server).unwrap();
        (it.up, it.controller) = (true, Controller::new(site));
        let alive = self.servers.values().filter(|it| it.up).count();
        if self.leader.is_none() && alive >= 2 {
            self.later(Millis(250), Event::Elect(server));
        }
    }

    pub fn wish(&mut self, wish: Wish) -> u64 {
        self.ask += 1;
        let ask = self.ask;
        if let Some(leader) = self.leader {
            self.tell_server(leader, Input::Ask { ask, wish });
        }
        ask
    }

    fn tell_server(&mut self, id: u64, input: Input) {
        let (now, wall) = (self.now, self.wall());
        let server = self.servers.get_mut(&id).unwrap();
        if !server.up && !matches!(input, Input::Follow) {
            return;
        }
        let mut out = Vec::new();
        server
            .controller
            .handle(now, wall, &self.state, input, &mut out);
        for output in out {
            match output {
                Output::Grant { via, grant } => self.send_grant(id, via.0, grant),
                Output::Propose { proposal, command } => {
                    let term = self.term;
                    let wait = Millis(1 + self.dice.below(3));
                    self.later(
                        wait,
                        Event::Commit {
                            term,
                            proposal,
                            command,
                        },
                    );
                }
                Output::Answer { ask, answer } => {
                    self.answers.insert(ask, answer);
                }
                Output::Note(text) => self.notes.push(format!("{} {text}", self.now.0 / 1_000)),
            }
        }
    }

    fn send_grant(&mut self, leader: u64, via: u64, grant: Grant) {
        let node = grant.member.node.0;
        if via == leader {
            let places = (Place::Server(leader), Place::Node(node));
            self.hop(places.0, places.1, Event::Grant { node, grant });
        } else {
            let places = (Place::Server(leader), Place::Server(via));
            self.hop(places.0, places.1, Event::Carry { via, node, grant });
        }
    }

    pub fn tell_agent(&mut self, id: u64, input: agent::Input) {
        let now = self.clock(id);
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(agent) = &mut node.agent else {
            return;
        };
        if self.now < node.stalled_until {
            return;
        }
        let mut out = Vec::new();
        agent.handle(now, input, &mut out);
        let wake = agent.next_tick();
        for output in out {
            self.carry_out(id, output);
        }
        let wait = wake.since(self.clock(id)).plus(Millis(1));
        let wakes_at = self.now.after(wait);
        let node = self.nodes.get_mut(&id).unwrap();
        if node.wakes_at <= self.now || wakes_at < node.wakes_at {
            node.wakes_at = wakes_at;
            self.at(wakes_at, Event::Wake(id));
        }
    }

    fn carry_out(&mut self, id: u64, output: agent::Output) {
        match output {
            agent::Output::Beat(beat) => {
                let member = Member {
                    node: NodeId(id),
                    incarnation: Incarnation(self.nodes[&id].incarnation),
                };
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
            agent::Output::Act { action, what, .. } => {
                let micros = 100 + self.dice.below(400);
                let event = Event::Act {
                    node: id,
                    action,
                    what,
                };
                self.at(Moment(self.now.0 + micros), event);
            }
            agent::Output::AskPledge {
                request,
                node,
                what,
                ..
            } => {
                let event = Event::PledgeAsk {
                    from: id,
                    to: node.0,
                    request,
                    what,
                };
                self.hop(Place::Node(id), Place::Node(node.0), event);
            }
            agent::Output::AnswerPledge { ask, pledged } => {
                let (to, request) = self.nodes.get_mut(&id).unwrap().asks.remove(&ask).unwrap();
                let event = Event::PledgeAnswer {
                    to,
                    from: id,
                    request,
                    pledged,
                };
                self.hop(Place::Node(id), Place::Node(to), event);
            }
            agent::Output::Keep(kept) => self.nodes.get_mut(&id).unwrap().kept = kept,
            agent::Output::Left => self.notes.push(format!("n{id} left")),
        }
    }

    /// Lets time pass, checking after each event that nothing is broken.
    pub fn run(&mut self, span: Millis) {
        let end = self.now.after(span);
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((when, _), event) = entry.remove_entry();
            self.now = when;
            self.step(event);
            self.check();
        }
        self.now = end;
    }

    /// Lets time pass until something holds, for so long at most.
    pub fn run_until(&mut self, within: Millis, holds: impl Fn(&World) -> bool) -> Millis {
        let began = self.now;
        while !holds(self) {
            let waited = self.now.since(began);
            assert!(
                waited < within,
                "not within {within}\n{}\n{}\n{}",
                self.notes.join("\n"),
                self.describe(),
                self.explain(),
            );
            self.run(Millis(1));
        }
        self.now.since(began)
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Tick(id) => {
                if self.servers[&id].stalled_until <= self.now {
                    if self.leader == Some(id) {
                        self.feed_ears(id);
                    }
                    self.tell_server(id, Input::Tick);
                }
                self.later(Millis(20), Event::Tick(id));
            }
            Event::Quorum => {
                if let Some(leader) = self.leader
                    && self.has_quorum(leader)
                    && self.servers[&leader].stalled_until <= self.now
                {
                    self.tell_server(leader, Input::Quorum(self.now));
                }
                self.later(Millis(30), Event::Quorum);
            }
            Event::Elect(id) => {
                if self.leader.is_none() && self.servers[&id].up {
                    self.elect(id);
                }
            }
            Event::Beat {
                server,
                member,
                beat,
            } => self.beat(server, member, beat),
            Event::Relayed { via, member, beat } => {
                if let Some(leader) = self.leader {
                    let via = ServerId(via);
                    self.tell_server(leader, Input::Beat { via, member, beat });
                }
            }
            Event::Carry { via, node, grant } => {
                if self.servers[&via].up {
                    self.hop(
                        Place::Server(via),
                        Place::Node(node),
                        Event::Grant { node, grant },
                    );
                }
            }
            Event::Grant { node, grant } => self.to_node(node, agent::Input::Granted(grant)),
            Event::Commit {
                term,
                proposal,
                command,
            } => self.decide(term, proposal, command),
            Event::Wake(id) => {
                if self.nodes[&id].stalled_until <= self.now {
                    self.tell_agent(id, agent::Input::Tick);
                }
            }
            Event::Observe(id) => self.observe(id),
            Event::Act { node, action, what } => self.act(node, action, &what),
            Event::PledgeAsk {
                from,
                to,
                request,
                what,
            } => {
                self.ask += 1;
                let ask = self.ask;
                let node = self.nodes.get_mut(&to).unwrap();
                if node.agent.is_some() && node.stalled_until <= self.now {
                    node.asks.insert(ask, (from, request));
                    let request = what;
                    self.tell_agent(to, agent::Input::PledgeAsked { ask, request });
                }
            }
            Event::PledgeAnswer {
                to,
                from,
                request,
                pledged,
            } => {
                let from = NodeId(from);
                let input = agent::Input::PledgeAnswered {
                    request,
                    from,
                    pledged,
                };
                self.to_node(to, input);
            }
            Event::Replicate => self.replicate(),
            Event::Write => self.write(),
        }
    }

    /// A stalled agent finds what was sent to it when it goes on.
    fn to_node(&mut self, node: u64, input: agent::Input) {
        let until = self.nodes[&node].stalled_until;
        if until <= self.now {
            self.tell_agent(node, input);
        } else if let agent::Input::Granted(grant) = input {
            self.at(Moment(until.0 + 10), Event::Grant { node, grant });
        }
    }

    pub fn has_quorum(&self, leader: u64) -> bool {
        let reaches = |other: &&u64| {
            let (a, b) = (Place::Server(leader), Place::Server(**other));
            **other == leader
                || (self.servers[*other].up
                    && !self.cuts.contains(&(a, b))
                    && !self.cuts.contains(&(b, a)))
        };
        self.servers[&leader].up && self.servers.keys().filter(reaches).count() >= 2
    }

    fn feed_ears(&mut self, leader: u64) {
        for other in 1..=3 {
            let cut = self
                .cuts
                .contains(&(Place::Server(other), Place::Server(leader)));
            if other == leader || (self.servers[&other].up && !cut) {
                self.tell_server(leader, Input::Ear(ServerId(other)));
            }
        }
    }

    fn beat(&mut self, server: u64, member: Member, beat: Heartbeat) {
        if !self.servers[&server].up {
            return;
        }
        match self.leader {
            Some(leader) if leader == server => {
                let via = ServerId(server);
                self.tell_server(leader, Input::Beat { via, member, beat });
            }
            Some(leader) => {
                let event = Event::Relayed {
                    via: server,
                    member,
                    beat,
                };
                self.hop(Place::Server(server), Place::Server(leader), event);
            }
            None => {}
        }
    }

    fn decide(&mut self, term: u64, proposal: u64, command: Command) {
        let Some(leader) = self.leader.filter(|_| term == self.term) else {
            return;
        };
        if !self.has_quorum(leader) {
            self.tell_server(
                leader,
                Input::Outcome {
                    proposal,
                    outcome: None,
                },
            );
            return;
        }
        self.note(format!("{command:?}").chars().take(300).collect());
        let outcome = Some(self.commit(command));
        self.tell_server(leader, Input::Outcome { proposal, outcome });
        self.tell_server(leader, Input::Applied);
    }

    fn observe(&mut self, id: u64) {
        let node = &self.nodes[&id];
        if node.agent.is_none() {
            return;
        }
        if node.stalled_until <= self.now {
            let seen = node.store.observe(self.now);
            let service = service();
            self.tell_agent(id, agent::Input::Observed { service, seen });
        }
        self.later(Millis(40), Event::Observe(id));
    }

    fn act(&mut self, id: u64, action: u64, what: &Action) {
        let now = self.now;
        let result = if let Action::Probe { primary } = what {
            let target = node_of(primary.as_str()).0;
            let cut = self.cuts.contains(&(Place::Node(id), Place::Node(target)))
                || self.cuts.contains(&(Place::Node(target), Place::Node(id)));
            let up = self.nodes[&target].store.process == Process::Running
                && self.nodes[&target].stalled_until <= now;
            Some(Ok(tenure_core::agent::Feat::Sees(up && !cut)))
        } else {
            let next = tenure_core::LogIndex(self.order + 1_000);
            let store = &mut self.nodes.get_mut(&id).unwrap().store;
            store.act(now, what, next, node_of)
        };
        if matches!(what, Action::Permit { .. } | Action::Fence { .. }) {
            self.detach_strangers(id);
        }
        // Whoever waited for an acknowledgement is cut off.
        if matches!(
            what,
            Action::Fence { orderly: false } | Action::Follow { .. }
        ) {
            self.pending.retain(|(primary, ..)| *primary != id);
        }
        if let Some(result) = result {
            let service = service();
            self.to_node(
                id,
                agent::Input::Acted {
                    service,
                    action,
                    result,
                },
            );
        } else {
            // A frozen process answers nothing: the driver's time is over after a while.
            let result = Err("no answer".to_owned());
            let service = service();
            self.tell_agent(
                id,
                agent::Input::Acted {
                    service,
                    action,
                    result,
                },
            );
        }
    }

    fn detach_strangers(&mut self, primary: u64) {
        let permits = self.nodes[&primary].store.permits.clone();
        for (id, node) in &mut self.nodes {
            let follows = node.store.follows == Some(NodeId(primary));
            let known = permits.as_ref().is_none_or(|it| it.contains(&NodeId(*id)));
            if follows && !known {
                node.store.linked = false;
            }
        }
    }

    fn replicate(&mut self) {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            self.replicate_to(id);
        }
        self.acknowledge();
        self.later(Millis(1), Event::Replicate);
    }

    fn replicate_to(&mut self, id: u64) {
        let replica = &self.nodes[&id];
        let Some(NodeId(from)) = replica.store.follows else {
            return;
        };
        let running =
            |node: &Node| node.store.process == Process::Running && node.stalled_until <= self.now;
        let cut = self.cuts.contains(&(Place::Node(from), Place::Node(id)))
            || self.cuts.contains(&(Place::Node(id), Place::Node(from)));
        let primary = &self.nodes[&from];
        let permitted = primary.store.permits.as_ref();
        let permitted = permitted.is_none_or(|it| it.contains(&NodeId(id)));
        let up = running(replica) && running(primary) && primary.store.writable && !cut;
        if !up || !permitted {
            self.nodes.get_mut(&id).unwrap().store.linked = false;
            return;
        }
        let (history, before, log) = {
            let store = &primary.store;
            (store.history, store.before.clone(), store.log.clone())
        };
        let store = &mut self.nodes.get_mut(&id).unwrap().store;
        (store.history, store.before, store.log) = (history, before, log);
        store.linked = true;
    }

    /// A client that writes wherever writes are taken, and waits for one replica.
    fn write(&mut self) {
        if self.writing {
            let takes: Vec<u64> = self
                .nodes
                .iter()
                .filter(|(_, node)| {
                    node.store.takes_writes(self.now) && node.stalled_until <= self.now
                })
                .map(|(id, _)| *id)
                .collect();
            for id in takes {
                let number = self.next_write;
                self.next_write += 1;
                let store = &mut self.nodes.get_mut(&id).unwrap().store;
                store.log.push(number);
                let at = store.log.len();
                self.pending.push((id, number, at));
            }
        }
        self.later(Millis(2), Event::Write);
    }

    /// A write is acknowledged once one replica that is linked has it, while its primary lives.
    fn acknowledge(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for (primary, number, at) in pending {
            let runs = {
                let node = &self.nodes[&primary];
                node.store.process == Process::Running && node.stalled_until <= self.now
            };
            let has = self.nodes.iter().any(|(id, node)| {
                *id != primary
                    && node.store.linked
                    && node.store.follows == Some(NodeId(primary))
                    && node.store.log.get(at - 1) == Some(&number)
            });
            if runs && has {
                let gap = self.now.since(self.last_ack);
                if !self.acked.is_empty() {
                    self.longest_gap = self.longest_gap.max(gap);
                }
                self.acked.push(number);
                self.acked_by.push((self.now, primary));
                self.last_ack = self.now;
            } else if self.nodes[&primary].store.log.get(at - 1) == Some(&number) {
                self.pending.push((primary, number, at));
            }
        }
    }

    /// Promise 1: nobody but one believes that it may take writes.
    fn check(&mut self) {
        let service = service();
        let mut believers = Vec::new();
        for (id, node) in &self.nodes {
            let Some(agent) = &node.agent else {
                continue;
            };
            // One that stands still does nothing with what it believes.
            if let Some(epoch) = agent.primary_of(&service, self.clock(*id)) {
                believers.push((*id, epoch));
            }
        }
        if believers.len() > 1 && self.broken.is_empty() {
            let at = self.now.0 / 1_000;
            self.broken
                .push(format!("at {at}: {believers:?} both believe"));
        }
    }

    /// Promise 3: whatever was acknowledged is with the primary, once there is one that serves.
    pub fn lost(&self) -> Vec<u64> {
        let primary = self.state.assignment(&service()).unwrap().primary.unwrap();
        let log: BTreeSet<u64> = self.nodes[&primary.node.0]
            .store
            .log
            .iter()
            .copied()
            .collect();
        self.acked
            .iter()
            .copied()
            .filter(|it| !log.contains(it))
            .collect()
    }

    pub fn primary(&self) -> u64 {
        self.state
            .assignment(&service())
            .unwrap()
            .primary
            .unwrap()
            .node
            .0
    }

    pub fn epoch(&self) -> u64 {
        self.state.assignment(&service()).unwrap().epoch.0
    }

    /// Whether the assigned primary has confirmed, and everybody who runs follows it in sync.
    pub fn is_whole(&self) -> bool {
        let now = self.state.assignment(&service()).unwrap();
        let primary = self.primary();
        self.serves()
            && now.in_sync.len() == self.nodes.len()
            && self
                .nodes
                .iter()
                .all(|(id, node)| *id == primary || node.store.linked)
    }

    pub fn serves(&self) -> bool {
        let node = &self.nodes[&self.primary()];
        let service = service();
        let by = node
            .agent
            .as_ref()
            .and_then(|it| it.primary_of(&service, self.clock(self.primary())));
        by == Some(Epoch(self.epoch())) && node.store.takes_writes(self.now)
    }

    pub fn note(&mut self, what: String) {
        self.notes.push(format!("{} {what}", self.now.0 / 1_000));
    }

    /// Whether something holds before so much time has passed.
    pub fn comes(&mut self, within: Millis, holds: impl Fn(&World) -> bool) -> bool {
        let until = self.now.after(within);
        while !holds(self) && self.now < until {
            self.run(Millis(1));
        }
        holds(self)
    }

    fn describe(&self) -> String {
        let now = self.state.assignment(&service()).unwrap();
        let mut text = format!(
            "at {}: primary {:?} epoch {} in sync {:?} syncing {:?} leader {:?}\n",
            self.now.0 / 1_000,
            now.primary,
            now.epoch,
            now.in_sync,
            now.syncing,
            self.leader
        );
        for (id, node) in &self.nodes {
            let store = &node.store;
            text += &format!(
                "n{id}: agent {} {:?} writable {} fenced {} follows {:?} linked {} permits {:?} h{} {}\n",
                node.agent.is_some(),
                store.process,
                store.writable,
                store.fenced,
                store.follows,
                store.linked,
                store.permits,
                store.history,
                store.log.len()
            );
        }
        text
    }

    pub fn explain(&self) -> String {
        let leader = &self.servers[&self.leader.unwrap()].controller;
        let explained = leader.explain(self.now, self.wall(), &self.state, &service());
        format!("{explained:#?}")
    }
}

fn node_of(endpoint: &str) -> NodeId {
    let digits = endpoint.trim_start_matches('n').trim_end_matches(":1");
    NodeId(digits.parse().unwrap())
}

fn server(id: u64) -> Server {
    let site = Site {
        server: ServerId(id),
        raft_lease: RAFT_LEASE,
    };
    Server {
        controller: Controller::new(site),
        up: true,
        stalled_until: Moment(0),
    }
}

pub fn policy(loss: LossPolicy) -> PrimaryPolicy {
    PrimaryPolicy {
        loss,
        replicas: 2,
        write_acks: 1,
        anti_flap_ms: Millis(0),
    }
}
