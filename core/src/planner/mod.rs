//! Plans: decisions as data, made by pure functions of the state.

pub(crate) mod failover;
pub mod topology;
