//! Wire ⇄ core, one file per area.

mod assignment;
mod cluster;
mod command_from_wire;
mod command_to_wire;
mod field;
mod instance;
mod node;
mod outcome;
mod record;
mod service;
mod status;
mod topology;

#[cfg(test)]
mod tests;
