//! Raft over the network: one long-lived bidirectional stream per directed pair of servers.
//!
//! | module | what |
//! |---|---|
//! | `wire` | messages of the wire, to and from openraft's types |
//! | `peers` | whom this server talks to, and who may talk to it |
//! | `link` | the calling end of a stream: connect, multiplex, time out |
//! | `network` | openraft's network traits on top of links |
//! | `service` | the answering end |
//! | `snapshot` | snapshots in chunks, beside the stream |
//! | `relay` | what followers hear of members, to the leader, and its grants back |

mod dial;
mod ends;
#[cfg(test)]
mod garbage;
mod link;
mod network;
mod peers;
mod relay;
mod service;
mod snapshot;
pub(crate) mod wire;

use tenure_storage::state_machine::StateMachine;
use tenure_storage::types::TypeConfig;

pub(crate) use network::Network;
pub(crate) use peers::{Hello, Links};
pub(crate) use relay::run as relay;
pub(crate) use service::Service;

/// The Raft core with our state machine.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// Largest message that one server accepts from another, in bytes. Appends are split well below it.
const MESSAGE_MAX: usize = 64 << 20;

/// Entries of one append are sent in messages of about this many bytes, so that a heartbeat never
/// waits behind a long one.
const APPEND_BYTES: usize = 1 << 20;

/// Appends of one replication stream that may be under way without an answer.
const APPEND_WINDOW: usize = 64;
