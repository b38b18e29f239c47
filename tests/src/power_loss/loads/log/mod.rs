//! The log and the vote: votes, appends in groups, truncations and purges, and what must be left of them.

pub mod contents;
pub mod lying;
pub mod plan;
pub mod run;
pub mod store;
pub mod subject;
