//! The gate of Tenure and its longer checks; see CONTRIBUTING.md for when to use which.
//!
//! [`source`] is public for the tests that read the project's own sources.
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool: its output is what it is for"
)]

pub mod coverage;
pub mod fuzz;
pub mod gate;
pub mod hygiene;
pub mod long;
pub mod namespaces;
pub mod planted;
pub mod policy;
pub mod ratchet;
pub mod simulate;
pub mod source;
pub mod stage;
pub mod system;
pub mod tools;
