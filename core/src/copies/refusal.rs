//! Why something asked of the copies was refused, with the values that disagree.

use super::ItemName;
use crate::NodeId;
use std::fmt;

/// Items that stand in the way of a drain or a removal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Obstacles {
    /// How many there are.
    pub count: u64,
    /// The first of them by name, at most as many as were asked for.
    pub first: Vec<ItemName>,
}

/// Why something was refused. Nothing was changed; unless a variant says otherwise, the same request is refused
/// again until the state is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The name of an item breaks a rule.
    BadName(String),
    /// The item is not known.
    NoSuchItem(ItemName),
    /// The node holds no copies for this service and never said that it would.
    NoSuchNode(NodeId),
    /// The node is known already.
    NodeKnown(NodeId),
    /// The node is lost or drains: it takes no new copies.
    NodeTakesNone(NodeId),
    /// The node was never given a copy of the item.
    NotACopy {
        /// The item.
        item: ItemName,
        /// The node that is said to have it.
        node: NodeId,
    },
    /// The node has a copy of the item already.
    AlreadyACopy {
        /// The item.
        item: ItemName,
        /// The node.
        node: NodeId,
    },
    /// The item is at another version than the caller took for a fact: read it again and decide anew.
    Changed {
        /// The item.
        item: ItemName,
        /// The version that the caller built on.
        expected: u64,
        /// The version that it is at.
        actual: u64,
    },
    /// The version spoken of was overwritten, or is the one before any data.
    OldVersion {
        /// The item.
        item: ItemName,
        /// The version spoken of.
        given: u64,
        /// The version that it is at.
        actual: u64,
    },
    /// The data said to be of this version are not what the first report of it said.
    ChecksumDiffers {
        /// The item.
        item: ItemName,
        /// The version.
        version: u64,
    },
    /// A checksum of a length that has no place here.
    ChecksumLength {
        /// Bytes given.
        given: usize,
        /// Bytes of this item's checksums, or the most allowed.
        expected: usize,
    },
    /// No checksum was ever reported, so that there is nothing to compare with.
    NothingToCompare(ItemName),
    /// The write reached fewer copies than it must.
    TooFewCopies {
        /// The item.
        item: ItemName,
        /// Copies on nodes that are not lost, reached by the write.
        have: usize,
        /// The minimum of the policy.
        need: usize,
    },
    /// More of something than allowed.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were given or would be.
        given: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A number of wanted copies that is not from 1 to 16.
    BadWanted(u8),
    /// The copy is one of too few: without it the item would have fewer fresh copies than are wanted of it.
    CopyNeeded {
        /// The item.
        item: ItemName,
        /// Where the copy is.
        node: NodeId,
    },
    /// The node cannot drain or go: these items would be left with too few fresh copies.
    WouldLeaveTooFew {
        /// The node.
        node: NodeId,
        /// What stands in the way.
        obstacles: Obstacles,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(fault) => write!(f, "this is no name of an item: {fault}"),
            Self::NoSuchItem(item) => write!(
                f,
                "item {item:?} does not exist: place it first",
                item = item.as_str()
            ),
            Self::NoSuchNode(node) => write!(f, "node {node} stores nothing for this service"),
            Self::NodeKnown(node) => write!(f, "node {node} is known already"),
            Self::NodeTakesNone(node) => {
                write!(f, "node {node} is lost or drains and takes no new copies")
            }
            Self::NotACopy { item, node } => {
                write!(f, "node {node} was never given a copy of {item}")
            }
            Self::AlreadyACopy { item, node } => {
                write!(f, "node {node} has a copy of {item} already")
            }
            Self::Changed {
                item,
                expected,
                actual,
            } => write!(
                f,
                "{item} was changed in the meantime (expected version {expected}, is {actual}): read it and decide anew"
            ),
            Self::OldVersion {
                item,
                given,
                actual,
            } => {
                write!(
                    f,
                    "version {given} of {item} is not the present one, which is {actual}"
                )
            }
            Self::ChecksumDiffers { item, version } => {
                write!(
                    f,
                    "the checksum of {item} at version {version} is another: the copy is not the same data"
                )
            }
            Self::ChecksumLength { given, expected } => {
                write!(
                    f,
                    "the checksum has {given} bytes, {expected} are expected (1 to 32 in an item's first report)"
                )
            }
            Self::NothingToCompare(item) => write!(f, "no checksum of {item} was ever reported"),
            Self::TooFewCopies { item, have, need } => {
                write!(
                    f,
                    "the write of {item} reached {have} copies, it must reach {need}"
                )
            }
            Self::TooMany { what, given, max } => {
                write!(f, "{given} {what}, at most {max} are allowed")
            }
            Self::BadWanted(wanted) => write!(f, "{wanted} copies cannot be wanted: 1 to 16 can"),
            Self::CopyNeeded { item, node } => {
                write!(
                    f,
                    "{item} would have too few fresh copies without the one on node {node}"
                )
            }
            Self::WouldLeaveTooFew { node, obstacles } => obstructed(f, *node, obstacles),
        }
    }
}

fn obstructed(f: &mut fmt::Formatter<'_>, node: NodeId, obstacles: &Obstacles) -> fmt::Result {
    write!(
        f,
        "without node {node}, {} item(s) would have too few fresh copies:",
        obstacles.count
    )?;
    obstacles
        .first
        .iter()
        .try_for_each(|item| write!(f, " {item}"))
}

impl std::error::Error for Refusal {}
