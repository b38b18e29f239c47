//! The node's daemon: obeys what the leader grants, and stops in time.

pub mod driver;
