//! The whole store: log, checkpoints of the state's image, snapshots from another server, and what must be left of them.

pub mod plan;
pub mod run;
pub mod subject;
