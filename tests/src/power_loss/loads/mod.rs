//! The programs that are cut off: what each does to its folder, and what must be there afterwards.

pub mod files;
pub mod log;
pub mod store;
