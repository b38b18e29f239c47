//! Receipts: what every change of primary rested on, kept with the state.

use crate::{Epoch, Member, Millis, NodeId, Note, Position, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Why a primary was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The service had no primary yet.
    First,
    /// Its agent saw the primary's process go.
    Exited,
    /// The primary's node fell silent, at the leader and at a majority of servers.
    NodeLost,
    /// The primary's agent fell silent while its instance went on, for longer than its grace.
    AgentLost,
    /// The primary answered, but took no writes.
    Stuck,
    /// The primary's agent could be heard, but heard nothing itself and had fenced its instance.
    Deaf,
    /// An operator asked for a switchover.
    Switchover,
    /// The primary's node is to be emptied.
    Drain,
    /// An operator asked for a failover.
    Operator,
}

impl Cause {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::First,
        Self::Exited,
        Self::NodeLost,
        Self::AgentLost,
        Self::Stuck,
        Self::Deaf,
        Self::Switchover,
        Self::Drain,
        Self::Operator,
    ];

    /// Whether nobody asked for it: such a change is held while another was just made.
    #[must_use]
    pub fn is_failover(self) -> bool {
        match self {
            Self::Exited | Self::NodeLost | Self::AgentLost | Self::Stuck | Self::Deaf => true,
            Self::First | Self::Switchover | Self::Drain | Self::Operator => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::First => "first primary",
            Self::Exited => "instance exited",
            Self::NodeLost => "node lost",
            Self::AgentLost => "agent lost",
            Self::Stuck => "stuck",
            Self::Deaf => "node hears nothing",
            Self::Switchover => "switchover",
            Self::Drain => "drain",
            Self::Operator => "operator",
        })
    }
}

/// Why it is believed that the old primary serves no more (promise 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FenceProof {
    /// There was no primary.
    Nobody,
    /// The old primary's agent confirmed that its instance takes no writes.
    Confirmed,
    /// The old primary's agent saw its process go, and lets it not come back as primary.
    Exited,
    /// Its lease ran out by the cautious clock, and nobody can have pledged for it.
    LeaseOver {
        /// How long it had been silent by then.
        silent: Millis,
    },
    /// An operator said that he has made sure of it.
    Operator,
}

impl fmt::Display for FenceProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(f, "there was no primary"),
            Self::Confirmed => write!(f, "its agent confirmed that it takes no writes"),
            Self::Exited => write!(f, "its process was seen to exit"),
            Self::LeaseOver { silent } => write!(f, "its lease ran out ({silent} silent)"),
            Self::Operator => write!(f, "an operator vouched for it"),
        }
    }
}

/// What is known of how complete the new primary is (promise 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// There was nothing to be complete to.
    First,
    /// Its position was that of the old primary, whose writes were paused.
    Equal,
    /// It is the most advanced of so many that each acknowledged write is on one of them at least.
    Proven {
        /// Who said how far they have got, after the old primary was fenced.
        heard: BTreeSet<NodeId>,
    },
    /// It lacks at most so much of what the old primary last reported.
    Bounded {
        /// In units of position: bytes or transactions.
        lacks: u64,
    },
    /// Nothing is proven.
    Unknown,
}

impl Completeness {
    /// Whether no acknowledged write can be missing.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        match self {
            Self::First | Self::Equal | Self::Proven { .. } => true,
            Self::Bounded { .. } | Self::Unknown => false,
        }
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => write!(f, "nothing was written before"),
            Self::Equal => write!(f, "nothing lost: equal to the paused primary"),
            Self::Proven { heard } => write!(
                f,
                "nothing acknowledged was lost: most advanced of {} heard from",
                heard.len()
            ),
            Self::Bounded { lacks } => write!(f, "at most {lacks} of position lost"),
            Self::Unknown => write!(f, "what was lost is not known"),
        }
    }
}

/// One instance that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Its node.
    pub node: NodeId,
    /// How far it had got, if it said so.
    pub position: Option<Position>,
    /// Why it was chosen, or passed over.
    pub verdict: Note,
}

/// The steps of a change of primary that a receipt times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The evidence was complete.
    Detected,
    /// There was a proof that the old primary serves no more.
    Fenced,
    /// The candidates had said how far they have got.
    Surveyed,
    /// The change was committed.
    Committed,
    /// The new primary confirmed that it serves.
    Confirmed,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Detected,
        Self::Fenced,
        Self::Surveyed,
        Self::Committed,
        Self::Confirmed,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Detected => "detected",
            Self::Fenced => "fenced",
            Self::Surveyed => "surveyed",
            Self::Committed => "committed",
            Self::Confirmed => "confirmed",
        })
    }
}

/// When each step was done, in milliseconds after the last sign of life of the old primary (for a
/// switchover: after its writes were paused).
pub type Timeline = BTreeMap<Phase, Millis>;

/// What a change of primary rested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Why.
    pub cause: Cause,
    /// Why it is believed that the old primary serves no more.
    pub fence: FenceProof,
    /// What is known of how complete the new one is.
    pub completeness: Completeness,
    /// What was seen, and by whom, one sentence each.
    pub evidence: Vec<Note>,
    /// Who was considered, in the order of preference.
    pub considered: Vec<Considered>,
    /// When each step was done.
    pub timeline: Timeline,
}

/// The record of one change of primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The service.
    pub service: ServiceName,
    /// The epoch that began with it.
    pub epoch: Epoch,
    /// Who was primary before.
    pub from: Option<Member>,
    /// Who became primary.
    pub to: Member,
    /// What it rested on.
    pub account: Account,
    /// The proposer's wall clock, for people and for the anti-flap window.
    pub stamp: Timestamp,
    /// Whether an operator has taken note: automatic failovers of the service are allowed again.
    pub acknowledged: bool,
    /// What became of the old primary when it returned; empty until then.
    pub returned: Note,
}
