//! The log and the vote: votes, appends in groups, truncations and purges, and what must be left of them.

pub mod contents;
pub mod plan;
