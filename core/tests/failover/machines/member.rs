//! An agent on a bench: told everything by hand, with a clock that is set.

use crate::failover::world::service;
use tenure_core::{
    ControlLoss, Directive, Endpoint, Epoch, Fellow, Grant, Health, Heartbeat, Incarnation, Member,
    Millis, Moment, NodeId, PledgeRequest, Presence, ServerId, Sign, Wanted,
    agent::{Action, Agent, Feat, Input, Kept, Observation, Observed, Output, Start},
};

pub const SESSION: u64 = 7;

pub fn member() -> Member {
    Member {
        node: NodeId(1),
        incarnation: Incarnation(1),
    }
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint::new(&format!("{name}:1")).expect("it is well-formed")
}

pub struct Bench {
    pub agent: Agent,
    pub now: Moment,
    pub out: Vec<Output>,
    /// When it beat last.
    pub beaten_at: Moment,
    pub term: u64,
    number: u64,
}

impl Bench {
    /// An agent that has been there for long, and its instance runs.
    pub fn new() -> Self {
        Self::with(Some(Kept::default()))
    }

    /// An agent that was started with this, and its instance runs.
    pub fn with(kept: Option<Kept>) -> Self {
        let mut bench = Self::blind(kept);
        bench.see(running(1, Observed::Following { linked: false }));
        bench
    }

    /// An agent that has not looked at its instance yet.
    pub fn blind(kept: Option<Kept>) -> Self {
        let start = Start {
            member: member(),
            session: SESSION,
            agent: Some(endpoint("a1")),
            services: vec![service()],
            kept,
            heartbeat: Millis(100),
            lease: Millis(1_000),
        };
        let now = Moment(1_000_000);
        Self {
            agent: Agent::new(start, now),
            now,
            out: Vec::new(),
            beaten_at: now,
            term: 1,
            number: 0,
        }
    }

    /// Tells it something; says what it wants done.
    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.agent.handle(self.now, input, &mut out);
        self.out.extend(out.iter().cloned());
        if out.iter().any(|output| matches!(output, Output::Beat(_))) {
            self.beaten_at = self.now;
        }
        out
    }

    /// Lets time pass, with a look at every millisecond; says what it wants done meanwhile.
    pub fn pass(&mut self, span: u64) -> Vec<Output> {
        let before = self.out.len();
        for _ in 0..span {
            self.now = self.now.after(Millis(1));
            let _ = self.tell(Input::Tick);
        }
        self.out.split_off(before)
    }

    pub fn see(&mut self, seen: Observation) -> Vec<Output> {
        let service = service();
        self.tell(Input::Observed { service, seen })
    }

    /// The latest heartbeat.
    pub fn beat(&self) -> &Heartbeat {
        let beats = self.out.iter().rev().filter_map(|output| {
            if let Output::Beat(beat) = output {
                Some(beat)
            } else {
                None
            }
        });
        beats.into_iter().next().expect("it has beaten")
    }

    pub fn sign(&self) -> &Sign {
        &self.beat().signs[0]
    }

    /// Lets it beat now; says the number of the heartbeat.
    pub fn beats(&mut self) -> u64 {
        let before = self.beat().sequence;
        while self.beat().sequence == before {
            self.now = self.now.after(Millis(1));
            let _ = self.tell(Input::Tick);
        }
        self.beat().sequence
    }

    /// The next grant, in answer to a heartbeat.
    pub fn grant(&mut self, answers: u64, directive: Directive) -> Grant {
        self.number += 1;
        Grant {
            server: ServerId(1),
            term: self.term,
            number: self.number,
            member: member(),
            session: SESSION,
            answers,
            lease: Millis(1_000),
            heartbeat: Millis(100),
            drift_permille: 10,
            control_loss: ControlLoss::Pledge,
            directives: vec![directive],
        }
    }

    pub fn granted(&mut self, answers: u64, directive: Directive) -> Vec<Output> {
        let grant = self.grant(answers, directive);
        self.tell(Input::Granted(grant))
    }

    pub fn acted(&mut self, action: u64, result: Result<Feat, String>) -> Vec<Output> {
        let service = service();
        self.tell(Input::Acted {
            service,
            action,
            result,
        })
    }

    /// Brings it to serve as primary by an epoch, with the lease counted from now.
    pub fn promoted(&mut self, epoch: u64) {
        let answers = self.beats();
        let begun = self.granted(answers, primary(epoch));
        let (action, what) = one(&begun);
        assert!(matches!(what, Action::Promote { .. }), "{what:?}");
        let next = self.acted(action, Ok(Feat::Done));
        assert_eq!(self.believes(), Some(epoch));
        self.see(running(1, Observed::Writable));
        if let Some((action, Action::Permit { .. })) = acts(&next).pop() {
            self.acted(action, Ok(Feat::Permits(None)));
        }
    }

    pub fn believes(&self) -> Option<u64> {
        let epoch = self.agent.primary_of(&service(), self.now);
        epoch.map(|epoch| epoch.0)
    }

    /// What an agent that is started after it would find.
    pub fn kept(&self) -> Kept {
        let kept = self.out.iter().rev().find_map(|output| {
            if let Output::Keep(kept) = output {
                Some(kept.clone())
            } else {
                None
            }
        });
        kept.expect("it has kept something")
    }

    pub fn pledges(&mut self, epoch: u64) -> bool {
        let request = PledgeRequest {
            service: service(),
            holder: Member {
                node: NodeId(2),
                incarnation: Incarnation(1),
            },
            of: NodeId(1),
            epoch: Epoch(epoch),
            lasting: Millis(1_000),
        };
        let out = self.tell(Input::PledgeAsked { ask: 1, request });
        let answer = out.iter().find_map(|output| {
            if let Output::AnswerPledge { pledged, .. } = output {
                Some(*pledged)
            } else {
                None
            }
        });
        answer.expect("it answers")
    }
}

pub fn running(run: u64, role: Observed) -> Observation {
    Observation {
        presence: Presence::Running,
        run,
        health: Health::Healthy,
        role,
        ..Observation::nothing()
    }
}

/// The actions among what it wants done.
pub fn acts(out: &[Output]) -> Vec<(u64, Action)> {
    let actions = out.iter().filter_map(|output| {
        if let Output::Act { action, what, .. } = output {
            Some((*action, what.clone()))
        } else {
            None
        }
    });
    actions.collect()
}

/// The only action.
pub fn one(out: &[Output]) -> (u64, Action) {
    let all = acts(out);
    assert_eq!(all.len(), 1, "{out:?}");
    all.into_iter().next().expect("there is one")
}

pub fn directive(epoch: u64, wanted: Wanted) -> Directive {
    Directive {
        service: service(),
        epoch: Epoch(epoch),
        wanted,
        quiesce: None,
        survey: None,
        probe: false,
        orders: vec![],
    }
}

pub fn standby(epoch: u64) -> Directive {
    directive(epoch, Wanted::Standby)
}

pub fn surveyed(epoch: u64, ballot: u64) -> Directive {
    Directive {
        survey: Some(ballot),
        ..standby(epoch)
    }
}

pub fn replica(epoch: u64) -> Directive {
    let wanted = Wanted::Replica {
        primary: NodeId(2),
        endpoint: endpoint("n2"),
    };
    directive(epoch, wanted)
}

/// Primary, with nodes 2 and 3 to take its place.
pub fn primary(epoch: u64) -> Directive {
    let fellow = |node: u64| {
        let fellow = Fellow {
            instance: endpoint(&format!("n{node}")),
            agent: Some(endpoint(&format!("a{node}"))),
        };
        (NodeId(node), fellow)
    };
    let wanted = Wanted::Primary {
        write_acks: 1,
        strict: true,
        members: [2, 3].map(fellow).into(),
        detached: [].into(),
    };
    directive(epoch, wanted)
}
