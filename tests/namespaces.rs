//! Real `tenure` and `redis-server` processes, every machine in a network namespace of its own: cut off, one way or both,
//! killed and stalled, also several at once. Everything acknowledged is read back at the end of each trial.
#![allow(
    clippy::print_stdout,
    reason = "how long each thing took is read in the tests' output"
)]

#[path = "namespaces/cuts.rs"]
mod cuts;
#[path = "namespaces/losses.rs"]
mod losses;
#[path = "namespaces/stress.rs"]
mod stress;
#[path = "namespaces/traffic.rs"]
mod traffic;
#[path = "namespaces/trial.rs"]
mod trial;
