//! Wire ⇄ core, one file per area.

mod assignment;
mod automation;
mod cluster;
mod command_from_wire;
mod command_to_wire;
mod field;
mod grant;
mod heartbeat;
mod instance;
mod node;
mod operate;
mod orders;
mod outcome;
mod receipt;
mod record;
mod service;
mod status;
mod topology;

#[cfg(test)]
mod tests;
