//! What a server of Tenure keeps on disk.
pub mod error;
pub mod folder;
pub mod types;
