//! Copies of items: what log entries ask of them, and their rows.

use super::values::Member;

/// Something asked of the copies of a service's items.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Copies {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(oneof = "What", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub what: Option<What>,
}

/// What is asked. A kind never changes.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum What {
    #[prost(message, tag = "2")]
    Place(Placings),
    #[prost(message, tag = "3")]
    Report(Reports),
    #[prost(message, tag = "4")]
    Verify(Verifications),
    #[prost(message, tag = "5")]
    Assign(OneCopies),
    #[prost(message, tag = "6")]
    Drop(OneCopies),
    #[prost(message, tag = "7")]
    Dropped(OneCopies),
    #[prost(message, tag = "8")]
    Remove(Removals),
    #[prost(message, tag = "9")]
    Empty(Empty),
    #[prost(message, tag = "10")]
    Lose(Member),
    #[prost(message, tag = "11")]
    Regain(Member),
    #[prost(message, tag = "12")]
    Renew(Renew),
    #[prost(enumeration = "RebalanceStep", tag = "13")]
    Rebalance(i32),
}

/// Items to be made known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Placings {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Placing>,
}

/// An item to be made known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Placing {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint32, tag = "2")]
    pub wanted: u32,
    #[prost(uint64, repeated, tag = "3")]
    pub nodes: Vec<u64>,
}

/// What writes reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reports {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Report>,
}

/// What one write reached, or who caught up with it. No checksum is an empty one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Report {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub replaces: u64,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub checksum: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub size: u64,
    #[prost(uint64, repeated, tag = "6")]
    pub holders: Vec<u64>,
}

/// What nodes found when they read their copies.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Verifications {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Verification>,
}

/// What a node found when it read its copy. Nothing found is an empty checksum.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Verification {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub node: u64,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub found: Vec<u8>,
}

/// Single copies.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OneCopies {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<OneCopy>,
}

/// One copy.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OneCopy {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub node: u64,
}

/// Items to be removed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Removals {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Removal>,
}

/// An item to be removed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Removal {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
}

/// All copies on a node are forgotten.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {
    #[prost(uint64, tag = "1")]
    pub node: u64,
    #[prost(bool, tag = "2")]
    pub accept_loss: bool,
}

/// A node says which data it has.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Renew {
    #[prost(message, optional, tag = "1")]
    pub member: Option<Member>,
    #[prost(fixed64, tag = "2")]
    pub folder: u64,
}

/// What becomes of a rebalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RebalanceStep {
    /// Never written.
    Unspecified = 0,
    Start = 1,
    Pause = 2,
    Resume = 3,
    Stop = 4,
}

/// How fresh a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum CopyState {
    InSync = 0,
    Syncing = 1,
    Stale = 2,
    Dropping = 3,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Stage {
    Written = 0,
    Vacant = 1,
    Removed = 2,
}

/// An item. Its copies are two lists, in the order of the nodes: their ids and their states, which are none when all are
/// in sync.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub checksum: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub size: u64,
    /// 0 when it is what the policy says.
    #[prost(uint32, tag = "6")]
    pub wanted: u32,
    #[prost(enumeration = "Stage", tag = "7")]
    pub stage: i32,
    #[prost(uint64, repeated, tag = "8")]
    pub nodes: Vec<u64>,
    #[prost(enumeration = "CopyState", repeated, tag = "9")]
    pub states: Vec<i32>,
}

/// What is known of a holder of copies beside its node's record.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Store {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub node: u64,
    #[prost(bool, tag = "3")]
    pub lost: bool,
    #[prost(fixed64, tag = "4")]
    pub folder: u64,
}

/// A rebalance that runs or rests.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rebalance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(bool, tag = "2")]
    pub paused: bool,
    #[prost(uint64, tag = "3")]
    pub since: u64,
}
