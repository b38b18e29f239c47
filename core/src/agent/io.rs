//! What goes into the node's machine and what comes out of it.

use super::{Action, Feat, Observation};
use crate::{
    ControlLoss, CopyOrder, Endpoint, Epoch, Grant, Heartbeat, Member, Millis, Moment, NodeId,
    PledgeRequest, ServiceName, StoreSign,
};
use std::collections::BTreeMap;

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A grant came from a server.
    Granted(Grant),
    /// What a driver sees of its instance. Never of before the end of an action that was told already.
    Observed {
        /// Of which service.
        service: ServiceName,
        /// What it sees.
        seen: Observation,
    },
    /// What a holder of copies says of itself and of its orders. Of an order that it was not given, or not any more,
    /// nothing is to be said.
    Stored {
        /// Of which service.
        service: ServiceName,
        /// What it says.
        store: StoreSign,
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
    /// Hand a holder of copies its orders, in the place of those that it was handed before. They are harmless when late:
    /// each was decided by the log.
    Orders {
        /// Of which service.
        service: ServiceName,
        /// All that is to be done.
        orders: Vec<CopyOrder>,
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
    /// Keep this for an agent that is started after this one in the same boot of the machine. Must be
    /// kept before anything that comes after it is carried out.
    Keep(Kept),
    /// No role is held (any more), after [`Input::Leave`].
    Left,
}

/// What outlives the agent's process, within one boot of the machine: moments are of one clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Of each service.
    pub services: BTreeMap<ServiceName, KeptService>,
    /// Of each service that it holds: who could be promoted in its place by the latest grant, and where
    /// their agents are asked for pledges. Not there when somebody cannot be asked.
    pub electors: BTreeMap<ServiceName, BTreeMap<NodeId, Endpoint>>,
    /// What the latest grant said; None when there was none.
    pub rules: Option<KeptRules>,
}

/// By which rules the member acts, as the latest grant said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRules {
    /// How long a grant or a pledge holds.
    pub lease: Millis,
    /// How often it beats.
    pub heartbeat: Millis,
    /// By how many thousandths clocks may differ in rate.
    pub drift_permille: u32,
    /// What a primary does when no leader can be reached.
    pub control_loss: ControlLoss,
}

/// What outlives the agent's process, of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptService {
    /// The latest epoch that was heard of.
    pub epoch: Epoch,
    /// The epoch by which it may be taking writes, if it may.
    pub holds: Option<Epoch>,
    /// The latest epoch by which it took writes.
    pub held: Option<Epoch>,
    /// The process that was seen last, and whether it has all that it ever acknowledged.
    pub run: u64,
    /// See above.
    pub whole: bool,
    /// Until when it may take writes.
    pub leased_until: Moment,
    /// Until when promotion is refused, for it was pledged.
    pub pledged_until: Moment,
    /// By this epoch, or an earlier one, nothing is pledged any more: it was surveyed.
    pub surveyed: Epoch,
    /// By what terms it was promoted last: how many of the others have to have a write, and whether none may be lost.
    /// None where that is not known.
    pub terms: Option<(u32, bool)>,
}

/// What an agent is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The member.
    pub member: Member,
    /// Larger than that of any agent of the member that was started before: the moment of the start, say.
    pub session: u64,
    /// Where other agents reach this one.
    pub agent: Option<Endpoint>,
    /// The services that it has an instance of.
    pub services: Vec<ServiceName>,
    /// What an earlier process of it kept since the machine was started; None when there was none.
    pub kept: Option<Kept>,
    /// How often to beat before a leader has said so.
    pub heartbeat: Millis,
    /// The longest lease that this member can have had in an earlier boot of its machine.
    pub lease: Millis,
}
