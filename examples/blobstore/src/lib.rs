//! A small store of files over HTTP, each kept on several nodes.
pub mod files;
