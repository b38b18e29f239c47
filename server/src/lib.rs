//! The server process of Tenure: consensus over the network, and the API on top of it.
//!
//! Start with [`Server::start`]. [`Consensus`] is what the API handlers stand on.

mod api;
mod config;
mod consensus;
mod control;
mod error;
mod exchange;
mod formation;
mod process;
mod raft;
mod session;

pub use config::{Config, ConfigError};
pub use consensus::{Consensus, GroupStatus, PeerStatus, ServerRole};
pub use error::{MembershipError, Peer, ProposeError, ReadError};
pub use process::{Running, Server, StartError};

/// Tries whether the state's image in `folder` can be opened and read, for a process of its own that
/// may be ended by it: see [`Config::with_probe`].
///
/// # Errors
/// A sentence that says what is damaged and what to do. A retry cannot help.
pub fn probe_image(folder: &std::path::Path) -> Result<(), String> {
    tenure_storage::image::probe(folder).map_err(|error| error.to_string())
}
