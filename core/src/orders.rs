//! What holders of copies are ordered to do, and what they say of it: part of heartbeats and grants.
//!
//! An order is named by kind, item and version, so that it is the same one whoever leads. A grant has all that is ordered
//! of a node; what is not in the next any more is given up, and a heartbeat tells of each until it is gone.

use crate::copies::{Checksum, ItemName};
use crate::{Endpoint, NodeId};

/// What a holder is to do with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderKind {
    /// Get it from another node.
    Fetch,
    /// Delete the copy.
    Drop,
    /// Read the copy and tell its checksum.
    Verify,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// What is to be done.
    pub kind: OrderKind,
    /// With which item.
    pub item: ItemName,
    /// Fetch: the version to get. Drop: a copy of a later version is kept. Verify: the version expected.
    pub version: u64,
    /// What is fetched must have this checksum, or be discarded. None when the service tells none.
    pub checksum: Option<Checksum>,
    /// Bytes of that version, if told.
    pub size: u64,
    /// From whom to fetch; None of the other kinds.
    pub from: Option<Source>,
}

/// From where an item is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The node.
    pub node: NodeId,
    /// Where its instance of the service is reached.
    pub endpoint: Endpoint,
}

/// How it stands with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReport {
    /// These three name the order.
    pub kind: OrderKind,
    /// See above.
    pub item: ItemName,
    /// See above.
    pub version: u64,
    /// What it has come to.
    pub progress: OrderProgress,
}

/// What an order has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderProgress {
    /// It was not begun.
    Waiting,
    /// It is being carried out; so many bytes so far.
    Moved(u64),
    /// It was carried out: what the node has now, durably.
    Held(Held),
    /// Of a drop: the node has no copy any more. Of a verification: it has none, and should.
    Missing,
    /// It was not carried out, and why. The node does not try again by itself.
    Failed(String),
}

/// What a node has of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The version.
    pub version: u64,
    /// The checksum of what was read from its disk.
    pub checksum: Option<Checksum>,
    /// Its bytes.
    pub size: u64,
}

/// What a holder of copies says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreSign {
    /// Names its data: another number than before says that nothing of what it had is there any more. 0 when not told.
    pub folder: u64,
    /// Bytes free for copies.
    pub free: Option<u64>,
    /// Bytes that there are for copies, free or not.
    pub total: Option<u64>,
    /// How busy it is, in thousandths of what it can do.
    pub load: u32,
    /// How it stands with its orders.
    pub orders: Vec<OrderReport>,
}

impl StoreSign {
    /// What is worth telling at once: not how far a transfer has got, nor how full or busy the node is.
    pub(crate) fn essence(&self) -> Self {
        let report = |report: &OrderReport| {
            let progress = match &report.progress {
                OrderProgress::Moved(_) => OrderProgress::Moved(0),
                other @ (OrderProgress::Waiting
                | OrderProgress::Held(_)
                | OrderProgress::Missing
                | OrderProgress::Failed(_)) => other.clone(),
            };
            OrderReport {
                progress,
                ..report.clone()
            }
        };
        Self {
            folder: self.folder,
            orders: self.orders.iter().map(report).collect(),
            ..Self::default()
        }
    }
}
