//! The driver of Redis against real `redis-server` processes on loopback.
//!
//! Each test starts its own servers on ports of its own, in folders of its own, and kills them by their
//! process ids. A machine without `redis-server` fails these tests, and says what to install.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod client;
mod exits;
mod fenced;
mod fences;
mod measured;
mod permits;
mod probes;
mod rejoins;
mod returns;
mod roles;
mod secured;
mod server;
mod setup;
mod switches;
