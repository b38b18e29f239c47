//! What goes into the controller and what comes out of it.

use crate::{
    Command, Epoch, Grant, Heartbeat, Member, Moment, NodeId, NodeRef, Note, Outcome, ServerId,
    ServiceName,
};
use std::{collections::BTreeSet, fmt};

/// What the controller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// This server leads from now on.
    Lead {
        /// In this term.
        term: u64,
    },
    /// This server does not lead (any more).
    Follow,
    /// Which servers vote.
    Voters(BTreeSet<ServerId>),
    /// A quorum has acknowledged this leader at that moment: no other could be elected before it and
    /// the Raft lease after it.
    Quorum(Moment),
    /// A server's relay of what it hears is up: nothing that it hears is missing here.
    Ear(ServerId),
    /// A member's heartbeat, through the server that heard it.
    Beat {
        /// Which server heard it; the answer goes back the same way.
        via: ServerId,
        /// Whose.
        member: Member,
        /// What it says.
        beat: Heartbeat,
    },
    /// The state has moved.
    Applied,
    /// What came of a proposal.
    Outcome {
        /// Which.
        proposal: u64,
        /// None: it is not known whether it was committed.
        outcome: Option<Outcome>,
    },
    /// An operator asks.
    Ask {
        /// Names the question in the answer.
        ask: u64,
        /// What is wished.
        wish: Wish,
    },
    /// Time has passed.
    Tick,
}

/// What an operator wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Move a primary that works, without losing a write.
    Switchover {
        /// The service.
        service: ServiceName,
        /// Where to; the controller chooses when nobody is named.
        to: Option<NodeRef>,
        /// Why.
        reason: Note,
    },
    /// Replace a primary that does not.
    Failover {
        /// The service.
        service: ServiceName,
        /// Where to; the controller chooses when nobody is named.
        to: Option<NodeRef>,
        /// Whether acknowledged writes may be lost, as far as the policy allows any loss.
        accept_loss: bool,
        /// The operator vouches that the old primary takes no more writes.
        fenced: bool,
        /// Why.
        reason: Note,
    },
}

impl Wish {
    /// The service that it is about.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::Switchover { service, .. } | Self::Failover { service, .. } => service,
        }
    }
}

/// What the controller wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a grant to a member.
    Grant {
        /// Through this server.
        via: ServerId,
        /// It names the member.
        grant: Grant,
    },
    /// Propose a command. What comes of it is told by [`Input::Outcome`].
    Propose {
        /// Names the proposal.
        proposal: u64,
        /// What is proposed.
        command: Command,
    },
    /// Answer an operator.
    Answer {
        /// Which question.
        ask: u64,
        /// The primary was moved, or why it was not.
        answer: Result<Moved, Hold>,
    },
    /// Something that a log should have.
    Note(String),
}

/// A primary was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Where to.
    pub to: NodeId,
    /// The epoch that began with it; its receipt has all else.
    pub epoch: Epoch,
}

/// Decided not to act, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold {
    /// What kind of reason.
    pub code: HoldCode,
    /// The reason as a sentence: what is missing, with the values that disagree, and what would help.
    pub why: String,
}

impl Hold {
    /// A hold with its reason.
    pub fn new(code: HoldCode, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.why)
    }
}

macro_rules! hold_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The kinds of reason for not acting. The numbers are part of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum HoldCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl HoldCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number under which it is sent.
            #[must_use]
            pub fn number(self) -> u32 {
                self as u32
            }
        }

        impl fmt::Display for HoldCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

hold_codes! {
    /// Nothing is wrong.
    Nothing = 1, "nothing to do";
    /// The service is unknown, or has no primary by its kind.
    NotThatKind = 2, "not a service with a primary";
    /// No primary was ever chosen.
    NoPrimary = 3, "no primary was ever chosen";
    /// The evidence is not complete yet.
    Watching = 4, "watching";
    /// The old primary may still be taking writes.
    NotFenced = 5, "not fenced yet";
    /// Those heard from do not prove that nothing is missing.
    NotProven = 6, "completeness not proven";
    /// Nobody may take over.
    NoCandidate = 7, "no candidate";
    /// The instance that was named may not take over.
    NotThatOne = 8, "that instance cannot take over";
    /// A failover happened a short while ago.
    AntiFlap = 9, "a failover happened a short while ago";
    /// Automation is paused.
    Paused = 10, "automation is paused";
    /// A pin forbids it.
    Pinned = 11, "pinned";
    /// Too much was lost at once.
    Storm = 12, "too much was lost at once";
    /// This leader does not trust its own eyes.
    SelfDoubt = 13, "the leader doubts itself";
    /// Another change is under way.
    Busy = 14, "another change is under way";
    /// The candidate did not catch up in time; the old primary goes on.
    Aborted = 15, "taken back";
    /// This server does not lead.
    NotLeading = 16, "this server does not lead";
    /// The agent is silent, while its instance still serves.
    AgentGrace = 17, "the agent may come back";
    /// It was proposed, and what came of it is not known, or it was rejected.
    NotCommitted = 18, "not committed";
}

/// What is known of one service, and what is decided of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is done, or why nothing is.
    pub decision: Result<String, Hold>,
    /// What it rests on, one sentence each.
    pub facts: Vec<String>,
}

/// What would be decided of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The service.
    pub service: ServiceName,
    /// Who would take over, or why nobody would.
    pub decision: Result<NodeId, Hold>,
    /// What it rests on, one sentence each.
    pub facts: Vec<String>,
    /// For how long nobody would take writes, in milliseconds: at best, and at worst. None: until
    /// somebody acts.
    pub outage_ms: Option<(u64, u64)>,
}
