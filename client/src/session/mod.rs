//! A member's standing connections: heartbeats to every server, grants from whoever leads.

mod attend;
mod sessions;

pub use sessions::{Attendance, Attended, Sessions};
