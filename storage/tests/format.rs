//! The bytes of payloads and rows: frozen, reversible, and refused when they are anything else.

#[path = "format/any.rs"]
mod any;
#[path = "format/any_failover.rs"]
mod any_failover;
#[path = "format/copies.rs"]
mod copies;
#[path = "format/failover.rs"]
mod failover;
#[path = "format/garbage.rs"]
mod garbage;
#[path = "format/golden.rs"]
mod golden;
#[path = "format/refused.rs"]
mod refused;
#[path = "format/round_trip.rs"]
mod round_trip;
#[path = "format/samples.rs"]
mod samples;
