//! What tests and benches of failover have in common: network namespaces, configurations, a writer that follows the
//! primary, and what it saw.

pub mod config;
pub mod follower;
pub mod link;
pub mod moment;
pub mod network;
pub mod trace;
pub mod writer;
