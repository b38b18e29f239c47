//! Watchers under test: what they were told, folded into a picture and checked on the way.

pub mod content;
pub mod picture;
pub mod raw;
pub mod writers;
