//! Both halves of the protocol together, in a model world: scenarios for each row of the evidence
//! table, and random faults with every promise checked after each step.

mod exhaustive;
mod faults;
mod machines;
mod scenarios;
mod store;
mod transcripts;
mod world;
