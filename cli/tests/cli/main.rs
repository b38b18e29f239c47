//! The binary from outside.

mod dev;
mod exit_codes;
mod failover;
mod launch;
