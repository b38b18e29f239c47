//! The node's half of the protocol, as a machine without IO: what the member may do, and what its
//! instances are told to do. It makes no choice of its own but one: to stop in time.

mod action;

pub use action::{Action, Feat, Observation, Observed};

use crate::{
    Endpoint, Epoch, Grant, Heartbeat, Member, Millis, Moment, NodeId, PledgeRequest, ServiceName,
};
use std::collections::BTreeMap;

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A grant came from a server.
    Granted(Grant),
    /// What a driver sees of its instance.
    Observed {
        /// Of which service.
        service: ServiceName,
        /// What it sees.
        seen: Observation,
    },
    /// What came of an action.
    Acted {
        /// Of which service.
        service: ServiceName,
        /// Which action.
        action: u64,
        /// What came of it, or the driver's sentence on why it failed.
        result: Result<Feat, String>,
    },
    /// Another agent asks for a pledge.
    PledgeAsked {
        /// Names the question in the answer.
        ask: u64,
        /// What it asks.
        request: PledgeRequest,
    },
    /// Another agent answered a request for a pledge.
    PledgeAnswered {
        /// Which request.
        request: u64,
        /// Who.
        from: NodeId,
        /// Whether it pledged.
        pledged: bool,
    },
    /// The node is about to stop: hand roles over first.
    Leave,
    /// Time has passed.
    Tick,
}

/// What the machine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a heartbeat to every server.
    Beat(Heartbeat),
    /// Have a driver do something. A later action for the same instance takes the place of one that has
    /// not begun; a fence takes the place of one that is under way.
    Act {
        /// Of which service.
        service: ServiceName,
        /// Names the action in what is told of it.
        action: u64,
        /// What to do.
        what: Action,
    },
    /// Ask another agent for a pledge.
    AskPledge {
        /// Names the request in the answer.
        request: u64,
        /// Whom.
        node: NodeId,
        /// Where it is reached.
        agent: Endpoint,
        /// What is asked.
        what: PledgeRequest,
    },
    /// Answer another agent that asked for a pledge.
    AnswerPledge {
        /// Which question.
        ask: u64,
        /// Whether it is given.
        pledged: bool,
    },
    /// Keep this for an agent that is started after this one in the same boot of the machine.
    Keep(Kept),
    /// No role is held (any more), after [`Input::Leave`].
    Left,
}

/// What outlives the agent's process, within one boot of the machine: moments are of one clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Until when the member may act as primary.
    pub leased_until: Moment,
    /// The epoch by which it was primary, for each service.
    pub held: BTreeMap<ServiceName, Epoch>,
    /// Until when it refuses promotion, for each service in which it pledged.
    pub pledged_until: BTreeMap<ServiceName, Moment>,
}

/// What an agent is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The member.
    pub member: Member,
    /// Random.
    pub session: u64,
    /// Where other agents reach this one.
    pub agent: Option<Endpoint>,
    /// The services that it has an instance of.
    pub services: Vec<ServiceName>,
    /// What an earlier process of it kept, if the machine was not restarted since.
    pub kept: Kept,
    /// How often to beat before a leader has said so.
    pub heartbeat: Millis,
}

/// The node's half of the protocol.
#[derive(Debug)]
pub struct Agent {
    start: Start,
}

impl Agent {
    /// A machine that holds what an earlier process of the agent kept, and nothing else.
    #[must_use]
    pub fn new(start: Start, now: Moment) -> Self {
        let _ = now;
        Self { start }
    }

    /// Takes in what happened, and appends to `out` what is to be done about it, in order.
    pub fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        let _ = (now, input, out, &self.start);
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn next_tick(&self) -> Moment {
        Moment(0)
    }

    /// Whether the member may act as primary of a service now, and by which epoch: what the checks for
    /// load balancers answer from.
    #[must_use]
    pub fn primary_of(&self, service: &ServiceName, now: Moment) -> Option<Epoch> {
        let _ = (service, now);
        None
    }
}
