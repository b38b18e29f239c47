//! Real `mariadbd` processes for tests and benches: made from a template, each with its own folder and port, a writer
//! that follows the primary, and what it reads back.

pub mod config;
pub mod link;
pub mod server;
pub mod template;
pub mod writer;
