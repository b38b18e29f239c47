//! The words of a plan: what it is made from, and what is to be done.

use super::{Checksum, ItemId};
use crate::{Millis, Moment, NodeId};

/// What the leader knows of a node beside the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeView {
    /// Bytes free for copies, when the node says.
    pub free: Option<u64>,
    /// How busy it is, in thousandths.
    pub load: u32,
    /// Since when it is lost, when it is.
    pub lost_at: Option<Moment>,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Transfers that one node sends at a time, and as many that it receives.
    pub per_node: u32,
    /// Transfers in the whole cluster at a time.
    pub cluster: u32,
    /// Items looked at in one plan.
    pub look: u32,
    /// How long a lost node is waited for before its copies are replaced.
    pub grace: Millis,
    /// Items with fewer fresh copies than this do not wait.
    pub urgent_below: u8,
    /// Wait after a first failure; it doubles with each further one.
    pub backoff: Millis,
    /// Longest wait.
    pub backoff_max: Millis,
    /// After so many failures in a row another node is chosen.
    pub tries: u32,
    /// Bytes per second that the whole cluster moves, for the estimate; 0 when not known.
    pub bytes_per_second: u64,
}

impl Default for Limits {
    /// Four transfers a node each way, 64 in all; a grace of 10 minutes; failures wait from 1 s to 5 minutes.
    fn default() -> Self {
        Self {
            per_node: 4,
            cluster: 64,
            look: 100_000,
            grace: Millis(600_000),
            urgent_below: 2,
            backoff: Millis(1_000),
            backoff_max: Millis(300_000),
            tries: 5,
            bytes_per_second: 0,
        }
    }
}

/// A node is to be given a copy: [`Ledger::assign`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assign {
    /// The item.
    pub item: ItemId,
    /// The node.
    pub to: NodeId,
}

/// A node is to fetch an item from another. It keeps what it fetched when that is of the version and the checksum named
/// here and what it has is not newer; then it reports it. Anything else it discards: the next plan orders anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The item.
    pub item: ItemId,
    /// A node that has a fresh copy.
    pub from: NodeId,
    /// The node that fetches it.
    pub to: NodeId,
    /// The version that it is to have.
    pub version: u64,
    /// The checksum of that version, if known.
    pub checksum: Option<Checksum>,
    /// Its bytes, if told.
    pub bytes: u64,
}

/// Why items that lack copies are not all being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Their lost node may yet return.
    pub grace: u64,
    /// As much is under way as is allowed.
    pub limits: u64,
    /// A transfer failed and is to be tried later.
    pub backoff: u64,
    /// No fresh copy can be read: a lost node has it, or nobody.
    pub no_source: u64,
    /// No further node can take a copy.
    pub no_room: u64,
    /// Not looked at in this plan.
    pub later: u64,
}

/// What is to be done now, and what is left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Copies to give; each is transferred by a plan after it was committed.
    pub assign: Vec<Assign>,
    /// Copies to make.
    pub transfer: Vec<Transfer>,
    /// Copies that may go: [`Ledger::drop_copy`].
    pub drop: Vec<Assign>,
    /// Copies that were let go, which their nodes are to delete: then [`Ledger::dropped`].
    pub delete: Vec<Assign>,
    /// What waits, and for what.
    pub waiting: Waiting,
    /// Items that lack copies.
    pub items: u64,
    /// Bytes of the copies that they lack.
    pub bytes: u64,
    /// How long that takes at the rate told in the limits, in seconds; None when no rate was told.
    pub seconds: Option<u64>,
}
