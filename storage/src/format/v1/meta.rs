//! What the image and a snapshot say of themselves.

/// Where in the log rows stand.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Meta {
    #[prost(message, optional, tag = "1")]
    pub applied: Option<LogId>,
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    #[prost(message, optional, tag = "3")]
    pub membership: Option<Membership>,
    /// Counts the checkpoints of this image.
    #[prost(uint64, tag = "4")]
    pub checkpoint: u64,
    /// Which tree holds the rows.
    #[prost(uint64, tag = "5")]
    pub tree: u64,
    /// How many stored parts of rows there are.
    #[prost(uint64, tag = "6")]
    pub parts: u64,
    /// Wrapping sum of their checksums.
    #[prost(uint64, tag = "7")]
    pub sum: u64,
}

/// A checkpoint whose changes are in the journal, whole and durable.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pending {
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    /// How many pieces the journal has.
    #[prost(uint64, tag = "2")]
    pub pieces: u64,
}

/// Term and index of a log entry.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct LogId {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub index: u64,
}

/// Voters and learners, and the entry that said so.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Membership {
    #[prost(message, optional, tag = "1")]
    pub log_id: Option<LogId>,
    /// One set of voters, or two while changing from one to the other.
    #[prost(message, repeated, tag = "2")]
    pub voters: Vec<Voters>,
    /// All servers, by id.
    #[prost(message, repeated, tag = "3")]
    pub servers: Vec<Server>,
}

/// A set of voters, by id.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Voters {
    #[prost(uint64, repeated, tag = "1")]
    pub ids: Vec<u64>,
}

/// Where a server is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Server {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub raft: String,
    #[prost(string, tag = "3")]
    pub api: String,
}
