//! The domain of Tenure, pure: what is stored, which commands change it, and what must always hold.
//!
//! Nothing here reads a clock, does IO, spawns, draws randomness or iterates in an unordered way:
//! every server that applies the same entries ends in the same state, and a test can drive years of
//! it in a second. Time, ids and randomness are arguments. The lints below and `clippy.toml` beside
//! this crate enforce it.
//!
//! Start at [`State`]: [`State::apply`] is the only way in which it changes.
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants,
    clippy::too_many_lines
)]

pub mod agent;
mod apply;
mod assignment;
mod automation;
mod change;
mod client;
mod command;
pub mod controller;
pub mod copies;
mod digest;
mod event;
mod history;
mod id;
mod instance;
pub mod invariants;
pub mod lease;
pub mod limits;
mod name;
mod node;
mod orders;
mod outcome;
mod pause;
mod pin;
mod planner;
mod policy;
mod receipt;
mod record;
mod reject;
mod server;
mod service;
mod session;
mod settings;
mod state;
mod status;
mod text;
mod time;
mod view;
mod watch;

pub use assignment::Assignment;
pub use automation::{Automation, ControlLoss};
pub use client::{Client, RequestId};
pub use command::{Command, Envelope, NodeRef};
pub use digest::Digest;
pub use event::Event;
pub use history::HistoryEntry;
pub use id::{ClientId, Epoch, Incarnation, LogIndex, Loss, Member, NodeId, Revision, ServerId};
pub use instance::{Health, Instance, Position, Report, Role};
pub use name::{NameError, NodeName, ServiceName, Zone};
pub use node::{Lifecycle, Node};
pub use orders::{CopyOrder, Held, OrderKind, OrderProgress, OrderReport, Source, StoreSign};
pub use outcome::{Applied, Created, Done, Outcome};
pub use pause::{Pause, Scope};
pub use pin::{Pin, PinKind};
pub use planner::topology::{
    self, Plan, Step, Topology, TopologyInstance, TopologyNode, TopologyService,
};
pub use policy::{CopiesPolicy, Kind, LossPolicy, PeersPolicy, Policy, PolicyError, PrimaryPolicy};
pub use receipt::{Account, Cause, Completeness, Considered, FenceProof, Phase, Receipt, Timeline};
pub use record::{Key, Record};
pub use reject::{Reject, RejectCode};
pub use server::{ServerRecord, ServerStatus};
pub use service::Service;
pub use session::{
    Directive, Fellow, Grant, Heartbeat, PledgeRequest, Presence, Rejoin, Returned, Sign, Standing,
    Surveyed, Wanted,
};
pub use settings::Settings;
pub use state::State;
pub use status::{Finding, Severity};
pub use text::{Attributes, Endpoint, Note, TextError};
pub use time::{Millis, Moment, Timestamp};
pub use view::{Filter, RecordKind};
pub use watch::{Batch, Compacted, Ring};
