//! Tests of the core: a table per area, the invariants shown to fail, every short sequence of
//! commands in a small world, and a long random walk.
//!
//! `TENURE_WALK_STEPS` and `TENURE_WALK_SEED` set the length of the walk and repeat one of them; for random
//! faults see `failover/faults/mod.rs`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "the tests of the walk and of random faults read their length from the environment, look at the clock, and print what they saw"
)]

mod assignments;
mod automation;
mod batch;
mod clients;
mod completeness;
mod exhaustive;
mod failover;
mod fixture;
mod instances;
mod invariants;
mod members;
mod nodes;
mod pins;
mod plants;
mod promotions;
mod proofs;
mod retries;
mod servers;
mod services;
mod settings;
mod status;
mod topology;
mod walk;
mod words;
