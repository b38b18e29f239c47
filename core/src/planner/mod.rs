//! Plans: decisions as data, made by pure functions of the state.

pub mod topology;
