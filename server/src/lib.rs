//! The server process of Tenure: consensus over the network, and the API on top of it.
//!
//! Start with [`Server::start`]. [`Consensus`] is what the API handlers stand on.

mod api;
mod config;
mod consensus;
mod error;
mod formation;
mod process;
mod raft;

pub use config::{Config, ConfigError};
pub use consensus::{Consensus, GroupStatus, PeerStatus, ServerRole};
pub use error::{MembershipError, Peer, ProposeError, ReadError};
pub use process::{Running, Server, StartError};
