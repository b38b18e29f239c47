//! What Tenure's benches have in common: servers as child processes that never outlive the bench,
//! closed-loop load with latency histograms, and the conditions under which a figure was seen.

pub mod conditions;
pub mod group;
pub mod load;
pub mod summary;

pub use tenure_tests::{ports, process};
