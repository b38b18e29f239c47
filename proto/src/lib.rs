//! The wire protocol of Tenure: generated messages and services, and their conversion to and from the
//! core's types. Conversion parses: what it lets through is valid, what it refuses is named.
//!
//! From the wire, `TryFrom` consumes a message and refuses with a [`ParseError`] that names the field.
//! To the wire, `From` takes a reference; what has no place on the wire is a [`NotOnWire`].
//!
//! The comments in `proto/proto` are the reference of the API.

mod convert;
pub mod copies;
mod error;
mod filter;
pub mod net;
pub mod refusal;

pub use error::{NotOnWire, ParseError};
pub use filter::{filter_to_wire, parse_filter};

/// The public API, `tenure.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("tenure.v1");

    /// The descriptors, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tenure.v1.fds.bin"));
}

/// Between servers, `tenure.raft.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod raft {
    tonic::include_proto!("tenure.raft.v1");
}
