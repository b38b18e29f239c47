//! Servers: what each is told, and what becomes of what its controller says.

use super::{Event, Place, World, elections::Voter};
use std::rc::Rc;
use tenure_core::{
    Grant, Heartbeat, Member, Millis, Moment, ServerId, State,
    controller::{Controller, Input, Output, Site, Wish},
};

/// For how long no other leader is elected.
pub const RAFT_LEASE: Millis = Millis(140);

#[derive(Clone)]
pub struct Server {
    pub controller: Controller,
    pub up: bool,
    pub stalled_until: Moment,
    /// Thousandths by which its clock is faster.
    pub drift: i64,
    /// By how much it was set forward, beyond what clocks may do.
    pub ahead: Millis,
    pub voter: Voter,
    /// The term in which it believes that it leads, and whether its controller does already.
    pub leads: Option<u64>,
    pub settled: bool,
    /// The state as it is to a leader that was deposed and has not noticed.
    pub stale: Option<State>,
    inbox: Vec<Input>,
}

impl Server {
    pub fn new(id: u64) -> Self {
        let site = Site {
            server: ServerId(id),
            raft_lease: RAFT_LEASE,
        };
        Self {
            controller: Controller::new(site),
            up: true,
            stalled_until: Moment(0),
            drift: 0,
            ahead: Millis(0),
            voter: Voter::default(),
            leads: None,
            settled: false,
            stale: None,
            inbox: Vec::new(),
        }
    }
}

impl World {
    pub fn server(&self, id: u64) -> &Server {
        &self.servers[&id]
    }

    pub fn server_mut(&mut self, id: u64) -> &mut Server {
        self.servers.get_mut(&id).expect("it is there")
    }

    pub fn is_awake(&self, server: u64) -> bool {
        let it = self.server(server);
        it.up && it.stalled_until <= self.now
    }

    pub(super) fn server_clock(&self, server: u64) -> Moment {
        drifted(self.now, self.server(server).drift).after(self.server(server).ahead)
    }

    /// The server that was elected last, if it still leads.
    pub fn leader(&self) -> Option<u64> {
        let leads = |id: &u64| self.server(*id).leads == Some(self.term);
        (1..=3).find(leads).filter(|id| self.server(*id).up)
    }

    /// A server stands still for a while, and then finds all that was sent to it.
    pub fn stall_server(&mut self, server: u64, span: Millis) {
        let until = self.now.after(span);
        let it = self.server_mut(server);
        it.stalled_until = it.stalled_until.max(until);
        let until = it.stalled_until;
        self.at(until, Event::ServerWakes(server));
    }

    pub(super) fn server_wakes(&mut self, server: u64) {
        if self.is_awake(server) {
            let inbox = std::mem::take(&mut self.server_mut(server).inbox);
            for input in inbox {
                self.tell_server(server, input);
            }
        }
    }

    pub fn wish(&mut self, wish: Wish) -> u64 {
        self.ask += 1;
        let ask = self.ask;
        if let Some(leader) = self.leader() {
            self.tell_server(leader, Input::Ask { ask, wish });
        }
        ask
    }

    pub(super) fn tick(&mut self) {
        for id in 1..=3 {
            if self.server(id).settled && self.is_awake(id) {
                self.tell_server(id, Input::Tick);
            }
        }
        self.later(super::TICK, Event::Tick);
    }

    pub(super) fn tell_server(&mut self, id: u64, input: Input) {
        let (now, wall) = (self.server_clock(id), self.wall());
        let awake = self.is_awake(id);
        let server = self.servers.get_mut(&id).expect("it is there");
        if !server.up {
            return;
        }
        if !awake {
            server.inbox.push(input);
            return;
        }
        let state = server.stale.as_ref().unwrap_or(&self.state);
        let mut out = Vec::new();
        let controller = &mut server.controller;
        controller.handle(now, wall, state, input, &mut out);
        for output in out {
            match output {
                Output::Grant { via, grant } => self.send_grant(id, via.0, grant),
                Output::Propose { proposal, command } => self.propose(id, proposal, command),
                Output::Answer { ask, answer } => drop(self.answers.insert(ask, answer)),
                Output::Note(text) => {
                    if let Some(held) = text.strip_prefix("held: ") {
                        let code = held.split(':').next().unwrap_or_default();
                        self.count(&format!("held: {code}"));
                    }
                    self.note(&format!("s{id}: {text}"));
                    self.tell(&format!("s{id}"), &text);
                }
            }
        }
    }

    fn send_grant(&mut self, leader: u64, via: u64, grant: Grant) {
        let node = grant.member.node.0;
        let grant = Rc::new(grant);
        if via == leader {
            let event = Event::Grant { node, grant };
            self.hop(Place::Server(leader), Place::Node(node), event);
        } else {
            let event = Event::Carry { via, node, grant };
            self.hop_in_order(leader, via, event);
        }
    }

    pub(super) fn carry(&mut self, via: u64, node: u64, grant: Rc<Grant>) {
        if self.is_awake(via) {
            let event = Event::Grant { node, grant };
            self.hop(Place::Server(via), Place::Node(node), event);
        }
    }

    /// Whoever leads takes a heartbeat in; whoever follows relays it to whom it takes for the leader.
    pub(super) fn beat(&mut self, server: u64, member: Member, beat: Rc<Heartbeat>) {
        if !self.server(server).up {
            return;
        }
        if self.server(server).leads.is_some() {
            self.heard(server, server, member, &beat);
        } else if let Some(leader) = self.server(server).voter.leader {
            let event = Event::Relayed {
                via: server,
                to: leader,
                member,
                beat,
            };
            self.hop_in_order(server, leader, event);
        }
    }

    pub(super) fn relayed(&mut self, via: u64, to: u64, member: Member, beat: &Heartbeat) {
        self.heard(to, via, member, beat);
    }

    fn heard(&mut self, server: u64, via: u64, member: Member, beat: &Heartbeat) {
        if self.server(server).settled {
            let (via, beat) = (ServerId(via), beat.clone());
            self.tell_server(server, Input::Beat { via, member, beat });
        }
    }

    pub(super) fn ear(&mut self, from: u64, to: u64) {
        if self.server(to).settled {
            self.tell_server(to, Input::Ear(ServerId(from)));
        }
    }

    /// A server dies. What it led ends when the others notice.
    pub fn kill_server(&mut self, server: u64) {
        let it = self.server_mut(server);
        (it.up, it.leads, it.settled, it.stale) = (false, None, false, None);
        it.inbox.clear();
    }

    /// A server is started again: it remembers nothing that is not in the log.
    pub fn start_server(&mut self, server: u64) {
        let now = self.now;
        let drift = self.server(server).drift;
        let mut fresh = Server::new(server);
        (fresh.drift, fresh.ahead) = (drift, self.server(server).ahead);
        fresh.voter = self.server(server).voter.restarted(now);
        self.servers.insert(server, fresh);
    }
}

/// A clock that is faster by so many thousandths.
pub fn drifted(real: Moment, permille: i64) -> Moment {
    let real = i128::from(real.0);
    let shown = real + real * i128::from(permille) / 1_000;
    Moment(u64::try_from(shown).expect("time goes on"))
}
