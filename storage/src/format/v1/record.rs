//! Rows: what the image and snapshots are made of.

pub use super::automation::{Automation, Pause};
pub use super::receipt::Receipt;
use super::values::{Attributes, Member, PinKind, Policy, Report, ServerStatus};

/// The cluster's settings.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Settings {
    #[prost(uint32, tag = "1")]
    pub history_max: u32,
    #[prost(uint32, tag = "2")]
    pub clients_max: u32,
    #[prost(uint32, tag = "3")]
    pub feature_level: u32,
    #[prost(uint64, tag = "4")]
    pub modified: u64,
}

/// A server; `store` has 16 bytes, little endian.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Server {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub raft: String,
    #[prost(string, tag = "3")]
    pub api: String,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub store: Option<Vec<u8>>,
    #[prost(enumeration = "ServerStatus", tag = "5")]
    pub status: i32,
    #[prost(uint64, tag = "6")]
    pub modified: u64,
}

/// A node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, optional, tag = "3")]
    pub zone: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub labels: Option<Attributes>,
    #[prost(uint32, tag = "5")]
    pub weight: u32,
    #[prost(uint64, tag = "6")]
    pub incarnation: u64,
    #[prost(enumeration = "super::values::Lifecycle", tag = "7")]
    pub lifecycle: i32,
    #[prost(string, tag = "8")]
    pub reason: String,
    #[prost(uint64, tag = "9")]
    pub created: u64,
    #[prost(uint64, tag = "10")]
    pub modified: u64,
}

/// A service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Service {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub policy: Option<Policy>,
    #[prost(uint64, tag = "3")]
    pub created: u64,
    #[prost(uint64, tag = "4")]
    pub modified: u64,
}

/// An assignment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Assignment {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub primary: Option<Member>,
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    #[prost(uint64, tag = "4")]
    pub loss: u64,
    #[prost(uint64, repeated, tag = "5")]
    pub in_sync: Vec<u64>,
    #[prost(string, tag = "6")]
    pub reason: String,
    #[prost(uint64, tag = "7")]
    pub modified: u64,
    /// Absent in what was written before there was failover, as it is when there are none.
    #[prost(uint64, repeated, tag = "8")]
    pub syncing: Vec<u64>,
}

/// An instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Instance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub node: u64,
    #[prost(string, tag = "3")]
    pub endpoint: String,
    #[prost(uint32, tag = "4")]
    pub preference: u32,
    #[prost(message, optional, tag = "5")]
    pub report: Option<Report>,
    #[prost(uint64, tag = "6")]
    pub reported_in: u64,
    #[prost(uint64, tag = "7")]
    pub created: u64,
    #[prost(uint64, tag = "8")]
    pub modified: u64,
}

/// A pin.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pin {
    #[prost(uint64, tag = "1")]
    pub node: u64,
    #[prost(enumeration = "PinKind", tag = "2")]
    pub kind: i32,
    #[prost(uint64, optional, tag = "3")]
    pub until: Option<u64>,
    #[prost(string, tag = "4")]
    pub reason: String,
    #[prost(uint64, tag = "5")]
    pub modified: u64,
}

/// An entry of the history.
#[derive(Clone, PartialEq, prost::Message)]
pub struct History {
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    #[prost(uint64, tag = "2")]
    pub stamp: u64,
    #[prost(string, tag = "3")]
    pub actor: String,
    #[prost(string, tag = "4")]
    pub what: String,
}

/// A client's registration.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Client {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(uint64, tag = "2")]
    pub last_active: u64,
    #[prost(uint64, tag = "3")]
    pub first_incomplete: u64,
    #[prost(message, repeated, tag = "4")]
    pub answers: Vec<Answer>,
}

/// An answer that is kept for a retry.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(oneof = "Outcome", tags = "2, 3")]
    pub outcome: Option<Outcome>,
}

/// What came of a command.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Outcome {
    #[prost(message, tag = "2")]
    Done(Done),
    #[prost(message, tag = "3")]
    Rejected(Reject),
}

/// A command that was carried out.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Done {
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    #[prost(oneof = "Created", tags = "2, 3, 4")]
    pub created: Option<Created>,
}

/// What a command created.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum Created {
    #[prost(uint64, tag = "2")]
    Node(u64),
    #[prost(uint64, tag = "3")]
    Client(u64),
    #[prost(uint64, tag = "4")]
    Epoch(u64),
}

/// Why a command changed nothing; `code` is a number of the core's reject codes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reject {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(string, tag = "2")]
    pub subject: String,
    #[prost(uint64, optional, tag = "3")]
    pub expected: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub actual: Option<u64>,
    #[prost(string, tag = "5")]
    pub detail: String,
}
