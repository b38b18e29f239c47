//! A controller on a bench: told everything by hand, with a state of its own.

use crate::failover::world::{Setup, World, service};
use std::collections::BTreeSet;
use tenure_core::{
    Command, Directive, Endpoint, Epoch, Grant, Health, Heartbeat, Incarnation, LossPolicy, Member,
    Millis, Moment, NodeId, Note, Outcome, Position, Presence, Report, Role, ServerId, Sign,
    Standing, Surveyed, Timestamp, Wanted,
    controller::{Controller, Input, Output, Site},
};

pub struct Bench {
    pub controller: Controller,
    pub state: World,
    pub now: Moment,
    pub wall: Timestamp,
    pub term: u64,
    pub proposed: Vec<(u64, Command)>,
}

pub fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

impl Bench {
    /// Three nodes of which n1 is primary, and a leader of term 5 that has just been elected.
    pub fn new() -> Self {
        Self::with(Millis(140))
    }

    /// The same, of servers with another Raft lease.
    pub fn with(raft_lease: Millis) -> Self {
        let mut bench = Self::of(&Setup::new(1, LossPolicy::Never), raft_lease);
        bench.commit(Command::SetMembers {
            service: service(),
            epoch: Epoch(1),
            expected: bench.state.assignment().modified,
            in_sync: [1, 2, 3].map(NodeId).into(),
            syncing: [].into(),
        });
        bench.lead();
        bench
    }

    /// A controller that leads nobody yet.
    pub fn of(setup: &Setup, raft_lease: Millis) -> Self {
        let site = Site {
            server: ServerId(1),
            raft_lease,
        };
        Self {
            controller: Controller::new(site),
            state: World::new(setup),
            now: Moment(50_000_000),
            wall: Timestamp(50_000),
            term: 5,
            proposed: Vec::new(),
        }
    }

    pub fn commit(&mut self, command: Command) {
        let outcome = self.state.commit(command);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    pub fn lead(&mut self) {
        let term = self.term;
        self.tell(Input::Lead { term });
        let voters: BTreeSet<ServerId> = [1, 2, 3].map(ServerId).into();
        self.tell(Input::Voters(voters));
    }

    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        let state = &self.state.state;
        self.controller
            .handle(self.now, self.wall, state, input, &mut out);
        for output in &out {
            if let Output::Propose { proposal, command } = output {
                self.proposed.push((*proposal, command.clone()));
            }
        }
        out
    }

    /// A quorum has acknowledged it now, and everybody's ears are open.
    pub fn quorum(&mut self) {
        self.tell(Input::Quorum(self.now));
        for server in 1..=3 {
            self.tell(Input::Ear(ServerId(server)));
        }
    }

    /// Lets time pass, with a quorum and open ears.
    pub fn pass(&mut self, span: u64) {
        let end = self.now.after(Millis(span));
        while self.now < end {
            self.now = self.now.after(Millis(20));
            self.quorum();
            self.tell(Input::Tick);
        }
    }

    /// A heartbeat of a node's member, and the grant in answer to it.
    pub fn beat(&mut self, node: u64, beat: Heartbeat) -> Option<Grant> {
        let input = Input::Beat {
            via: ServerId(1),
            member: member(node),
            beat,
        };
        let out = self.tell(input);
        granted(&out, node)
    }

    /// A heartbeat that is answered.
    pub fn answer(&mut self, node: u64, beat: Heartbeat) -> Grant {
        self.beat(node, beat).expect("it is answered")
    }

    pub fn promotions(&self) -> Vec<u64> {
        let promotions = self.proposed.iter().filter_map(|(_, command)| {
            if let Command::Promote { to, .. } = command {
                Some(to.node.0)
            } else {
                None
            }
        });
        promotions.collect()
    }
}

pub fn granted(out: &[Output], node: u64) -> Option<Grant> {
    let grants = out.iter().rev().filter_map(|output| {
        if let Output::Grant { grant, .. } = output {
            Some(grant.clone())
        } else {
            None
        }
    });
    grants
        .into_iter()
        .find(|grant| grant.member == member(node))
}

/// The directive of a grant, and the lease that goes with it.
pub fn told(grant: &Grant) -> (&Directive, Millis) {
    (&grant.directives[0], grant.lease)
}

pub fn is_primary(grant: &Grant) -> bool {
    matches!(grant.directives[0].wanted, Wanted::Primary { .. })
}

/// Heartbeat `sequence` of a session, which has heard of a grant of a term, with one sign.
pub fn beat(session: u64, sequence: u64, heard: (u64, u64), sign: Sign) -> Heartbeat {
    Heartbeat {
        session,
        sequence,
        heard,
        agent: Some(Endpoint::new("a1:1").expect("it is well-formed")),
        leaving: false,
        signs: vec![sign],
    }
}

pub fn position(offset: u64) -> Option<Position> {
    Some(Position {
        history: Note::new("h1").expect("it is short"),
        offset,
    })
}

/// One that runs, and is idle.
pub fn idle() -> Sign {
    Sign {
        service: service(),
        report: Report {
            health: Health::Healthy,
            position: position(100),
            ..Report::default()
        },
        presence: Presence::Running,
        standing: Standing::Idle(Epoch(1)),
        permits: Vec::new(),
        linked: false,
        whole: true,
        stalled: Millis(0),
        sees_primary: None,
        surveyed: None,
        returned: None,
        store: None,
    }
}

/// One that serves as primary by an epoch.
pub fn serving(epoch: u64) -> Sign {
    let mut sign = idle();
    sign.standing = Standing::Primary(Epoch(epoch));
    sign.report.role = Some((Role::Primary, Epoch(epoch)));
    sign.permits = [2, 3].map(NodeId).into();
    sign
}

/// One that has answered a survey.
pub fn answering(ballot: u64, pledged: u64) -> Sign {
    Sign {
        surveyed: Some(Surveyed {
            ballot,
            position: position(100),
            pledged: Millis(pledged),
        }),
        ..idle()
    }
}
