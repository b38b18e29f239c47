//! What a log entry asks of the copies of one service. A batch is answered item by item, in its order; a refused one keeps
//! none of the others from being taken. All are conditional, so that repeating them is harmless, and carry no request id.

use super::{Checked, ItemName, Reported};
use crate::{Command, Member, NodeId};

/// An item to be made known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placing {
    /// The item.
    pub item: ItemName,
    /// How many copies are wanted, 1 to 16; 0 for what the policy says, now and when it changes.
    pub wanted: u8,
    /// Where they are to be.
    pub nodes: Vec<NodeId>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneCopy {
    /// Of which item.
    pub item: ItemName,
    /// On which node.
    pub node: NodeId,
}

/// An item to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removing {
    /// The item.
    pub item: ItemName,
    /// The version at which it must be.
    pub version: u64,
}

/// What becomes of a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceStep {
    /// It begins; one that runs or is paused goes on as it is.
    Start,
    /// It moves nothing more for now.
    Pause,
    /// It goes on.
    Resume,
    /// It ends: cancelled, or everything is where it belongs.
    Stop,
}

/// What is asked. Batches have at most 4,096 items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopiesCommand {
    /// [`Ledger::place`](super::Ledger::place) of each.
    Place(Vec<Placing>),
    /// [`Ledger::report`](super::Ledger::report).
    Report(Vec<Reported>),
    /// [`Ledger::verify`](super::Ledger::verify). A copy that was the same is accepted, one that differs refused.
    Verify(Vec<Checked>),
    /// [`Ledger::assign`](super::Ledger::assign) of each.
    Assign(Vec<OneCopy>),
    /// [`Ledger::drop_copy`](super::Ledger::drop_copy) of each.
    Drop(Vec<OneCopy>),
    /// [`Ledger::dropped`](super::Ledger::dropped) of each.
    Dropped(Vec<OneCopy>),
    /// [`Ledger::remove_item`](super::Ledger::remove_item) of each.
    Remove(Vec<Removing>),
    /// All copies on a node are forgotten: its instance can be removed then.
    Empty {
        /// The node.
        node: NodeId,
        /// Whether items may be left with too few fresh copies, or with none.
        accept_loss: bool,
    },
    /// A node is lost: what it has is neither read nor counted.
    Lose {
        /// The node, in the life that was judged.
        member: Member,
    },
    /// A lost node is back.
    Regain {
        /// The node, in the life that was heard.
        member: Member,
    },
    /// A node says which data it has: [`Ledger::renew`](super::Ledger::renew).
    Renew {
        /// The node, in the life that said so.
        member: Member,
        /// Names its data; not 0.
        folder: u64,
    },
    /// A rebalance begins, rests or ends.
    Rebalance(RebalanceStep),
}

impl CopiesCommand {
    /// Whether it changes items, so that it cannot stand in a batch and is never rolled back.
    #[must_use]
    pub fn changes_items(&self) -> bool {
        match self {
            Self::Place(_)
            | Self::Report(_)
            | Self::Verify(_)
            | Self::Assign(_)
            | Self::Drop(_)
            | Self::Dropped(_)
            | Self::Remove(_)
            | Self::Empty { .. }
            | Self::Renew { .. } => true,
            Self::Lose { .. } | Self::Regain { .. } | Self::Rebalance(_) => false,
        }
    }

    /// How many items it speaks of; 0 when it is of no batch.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Place(items) => items.len(),
            Self::Report(items) => items.len(),
            Self::Verify(items) => items.len(),
            Self::Assign(items) | Self::Drop(items) | Self::Dropped(items) => items.len(),
            Self::Remove(items) => items.len(),
            Self::Empty { .. }
            | Self::Lose { .. }
            | Self::Regain { .. }
            | Self::Renew { .. }
            | Self::Rebalance(_) => 0,
        }
    }
}

impl Command {
    /// Of how many items it speaks: what carrying it out costs grows with them.
    #[must_use]
    pub fn items(&self) -> usize {
        if let Self::Copies { what, .. } = self {
            what.items()
        } else {
            0
        }
    }

    /// Whether it may leave items with fewer fresh copies: a report of what was missed or is lost, or a loss that was
    /// accepted. C7 holds of every other step.
    #[must_use]
    pub fn may_lose_copies(&self) -> bool {
        if let Self::Batch(commands) = self {
            return commands.iter().any(Self::may_lose_copies);
        }
        let Self::Copies { what, .. } = self else {
            return false;
        };
        match what {
            CopiesCommand::Report(_)
            | CopiesCommand::Verify(_)
            | CopiesCommand::Lose { .. }
            | CopiesCommand::Renew { .. } => true,
            CopiesCommand::Empty { accept_loss, .. } => *accept_loss,
            CopiesCommand::Place(_)
            | CopiesCommand::Assign(_)
            | CopiesCommand::Drop(_)
            | CopiesCommand::Dropped(_)
            | CopiesCommand::Remove(_)
            | CopiesCommand::Regain { .. }
            | CopiesCommand::Rebalance(_) => false,
        }
    }
}
