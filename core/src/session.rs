//! What members and servers say to one another: heartbeats upwards, grants downwards.
//!
//! A member sends the same heartbeat to every server, so that every server hears every member; the
//! leader alone answers with grants. Both carry the whole picture each time: a lost one costs a
//! moment, never a fact. Nothing here is written to the log.

use crate::{
    ControlLoss, CopyOrder, Endpoint, Epoch, Member, Millis, NodeId, Note, Position, Report,
    ServerId, ServiceName, StoreSign,
};
use std::collections::{BTreeMap, BTreeSet};

/// One beat of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Chosen when the agent was started, and larger than that of any earlier agent of the member: its
    /// sequence begins anew with it, and what still comes of an earlier one is late.
    pub session: u64,
    /// One more with each beat of the session.
    pub sequence: u64,
    /// The latest grant that was taken in: its term and number. Nothing was while both are 0.
    pub heard: (u64, u64),
    /// Where other agents reach this one.
    pub agent: Option<Endpoint>,
    /// Whether the node is about to stop, and wants its roles taken over first.
    pub leaving: bool,
    /// What is to be said of each of its instances.
    pub signs: Vec<Sign>,
}

/// What a member says of one of its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// The service.
    pub service: ServiceName,
    /// How it is, which role it is in, how far it has got.
    pub report: Report,
    /// Whether there is a process.
    pub presence: Presence,
    /// What the member takes itself for.
    pub standing: Standing,
    /// As primary: whose acknowledgements it lets count. Others were detached.
    pub permits: Vec<NodeId>,
    /// As replica: whether its link to the primary that it was told to follow is up.
    pub linked: bool,
    /// Whether it still has everything that it ever acknowledged as replica: its process was not started
    /// anew since it last was linked.
    pub whole: bool,
    /// As primary: for how long a real write has made no progress; nothing while it does.
    pub stalled: Millis,
    /// As replica, when asked: whether the primary answers it.
    pub sees_primary: Option<bool>,
    /// The answer to the latest survey.
    pub surveyed: Option<Surveyed>,
    /// What came of following another primary after having been one.
    pub returned: Option<Returned>,
    /// As holder of copies.
    pub store: Option<StoreSign>,
}

/// Whether an instance's process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It answers, or its connection stands.
    Running,
    /// It was seen to go, or another one stands in its place that may have lost what that one
    /// acknowledged. The agent lets it not come back as primary.
    Exited,
    /// The agent cannot tell.
    Unknown,
}

/// What a member takes itself for, of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It takes no writes, and will not by this epoch or an earlier one unless it is granted anew in
    /// answer to this heartbeat or a later one.
    Idle(Epoch),
    /// It may be taking writes by this epoch.
    Primary(Epoch),
    /// It is primary by this epoch and holds writes back for a switchover.
    Quiesced(Epoch),
}

impl Standing {
    /// The epoch by which it may be taking writes.
    #[must_use]
    pub fn holds(self) -> Option<Epoch> {
        match self {
            Self::Idle(_) => None,
            Self::Primary(epoch) | Self::Quiesced(epoch) => Some(epoch),
        }
    }
}

/// How far an instance had got when it was asked, after it was detached from its primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Which survey this answers.
    pub ballot: u64,
    /// How far it has got; None when it has nothing.
    pub position: Option<Position>,
    /// For how long it has still pledged to refuse promotion; nothing when it has not.
    pub pledged: Millis,
}

/// What came of following another primary after having been one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The epoch of the primary that it follows now.
    pub epoch: Epoch,
    /// How its history compares.
    pub rejoin: Rejoin,
    /// Where what nobody else has was saved, or why it was not.
    pub tail: Note,
}

/// How the history of a former primary compares with that of its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejoin {
    /// They are the same.
    Identical,
    /// It lacks the latest part.
    Behind,
    /// It has more than its successor began with, and the successor has written nothing yet.
    Ahead,
    /// Both have what the other has not.
    Diverged,
}

impl std::fmt::Display for Rejoin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Identical => "identical",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Diverged => "diverged",
        })
    }
}

/// What the leader answers: what is allowed, and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The leader.
    pub server: ServerId,
    /// Its term. A grant of an earlier term than one that was taken in is void.
    pub term: u64,
    /// One more with each grant of the term to anybody; an earlier one than was taken in is void.
    pub number: u64,
    /// The member it is for.
    pub member: Member,
    /// Which session's heartbeat is answered.
    pub session: u64,
    /// Which heartbeat. What is allowed is counted from the moment at which that one was sent.
    pub answers: u64,
    /// For how long the member may act on the roles below; nothing when the leader may not grant.
    pub lease: Millis,
    /// How often the member is to beat.
    pub heartbeat: Millis,
    /// By how many thousandths clocks may differ in rate.
    pub drift_permille: u32,
    /// What a primary does when no leader can be reached.
    pub control_loss: ControlLoss,
    /// What is wanted of each instance. Of one that is not named nothing is.
    pub directives: Vec<Directive>,
}

/// What is wanted of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The service.
    pub service: ServiceName,
    /// The epoch that this is decided by. One that is earlier than one that was seen is void.
    pub epoch: Epoch,
    /// What it is to be.
    pub wanted: Wanted,
    /// As primary: hold writes back, for at most so long.
    pub quiesce: Option<Millis>,
    /// Say how far it has got, under this ballot, having been detached from the primary, and pledge
    /// nothing more to it.
    pub survey: Option<u64>,
    /// As replica: say whether the primary answers.
    pub probe: bool,
    /// As holder of copies: what is to be done. What is not among it any more is given up.
    pub orders: Vec<CopyOrder>,
}

/// What an instance is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Take writes.
    Primary {
        /// How many replicas must have a write before it is acknowledged.
        write_acks: u32,
        /// Whether no write may be acknowledged with fewer.
        strict: bool,
        /// Who may acknowledge by the log, and could be promoted in its place.
        members: BTreeMap<NodeId, Fellow>,
        /// Those among them whose acknowledgements are to count no more: they are to be detached, so
        /// that the log can say so.
        detached: BTreeSet<NodeId>,
    },
    /// Follow the primary.
    Replica {
        /// Its node.
        primary: NodeId,
        /// Where its instance is reached.
        endpoint: Endpoint,
    },
    /// Take no writes and follow nobody, for now.
    Standby,
    /// Serve as one of equals.
    Peer,
}

/// Another member of a service, as a primary needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fellow {
    /// Where its instance is reached.
    pub instance: Endpoint,
    /// Where its agent is reached, if it said so.
    pub agent: Option<Endpoint>,
}

/// A primary's question to a member that could be promoted in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PledgeRequest {
    /// The service.
    pub service: ServiceName,
    /// Who is asked: another that is reached under its address says no.
    pub of: NodeId,
    /// The primary.
    pub holder: Member,
    /// The epoch by which it is primary.
    pub epoch: Epoch,
    /// For how long promotion is to be refused.
    pub lasting: Millis,
}
