//! Changes of primary on evidence, and what they rested on: what is stored, and what is asked.

use super::values::{Member, Position};

/// What a change of primary rested on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Account {
    #[prost(enumeration = "super::values::Cause", tag = "1")]
    pub cause: i32,
    #[prost(oneof = "fence::Proof", tags = "2, 3, 4, 5, 6")]
    pub fence: Option<fence::Proof>,
    #[prost(oneof = "completeness::Known", tags = "7, 8, 9, 10, 11")]
    pub completeness: Option<completeness::Known>,
    #[prost(string, repeated, tag = "12")]
    pub evidence: Vec<String>,
    #[prost(message, repeated, tag = "13")]
    pub considered: Vec<Considered>,
    #[prost(message, repeated, tag = "14")]
    pub timeline: Vec<Step>,
}

/// Why it is believed that the old primary serves no more.
pub mod fence {
    /// The proofs; those without a number carry `true`.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Proof {
        #[prost(bool, tag = "2")]
        Nobody(bool),
        #[prost(bool, tag = "3")]
        Confirmed(bool),
        #[prost(bool, tag = "4")]
        Exited(bool),
        /// For how many milliseconds it had been silent.
        #[prost(uint64, tag = "5")]
        LeaseOver(u64),
        #[prost(bool, tag = "6")]
        Operator(bool),
    }
}

/// How complete the new primary is.
pub mod completeness {
    /// What is known of it; what says no more than that carries `true`.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Known {
        #[prost(bool, tag = "7")]
        First(bool),
        #[prost(bool, tag = "8")]
        Equal(bool),
        #[prost(message, tag = "9")]
        Proven(super::Heard),
        /// How much of position it lacks at most.
        #[prost(uint64, tag = "10")]
        Bounded(u64),
        #[prost(bool, tag = "11")]
        Unknown(bool),
    }
}

/// Who said how far they have got, in order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Heard {
    #[prost(uint64, repeated, tag = "1")]
    pub nodes: Vec<u64>,
}

/// An instance that was considered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Considered {
    #[prost(uint64, tag = "1")]
    pub node: u64,
    #[prost(message, optional, tag = "2")]
    pub position: Option<Position>,
    #[prost(string, tag = "3")]
    pub verdict: String,
}

/// A step of a timeline and when it was done, in milliseconds. Steps are in their order.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Step {
    #[prost(enumeration = "super::values::Phase", tag = "1")]
    pub phase: i32,
    #[prost(uint64, tag = "2")]
    pub at: u64,
}

/// A receipt.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Receipt {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(message, optional, tag = "3")]
    pub from: Option<Member>,
    #[prost(message, optional, tag = "4")]
    pub to: Option<Member>,
    #[prost(message, optional, tag = "5")]
    pub account: Option<Account>,
    #[prost(uint64, tag = "6")]
    pub stamp: u64,
    #[prost(bool, tag = "7")]
    pub acknowledged: bool,
    #[prost(string, tag = "8")]
    pub returned: String,
}

/// Changes the primary on evidence.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Promote {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub to: Option<Member>,
    #[prost(uint64, tag = "3")]
    pub succeeds: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub in_sync: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    pub syncing: Vec<u64>,
    #[prost(message, optional, tag = "6")]
    pub account: Option<Account>,
    #[prost(string, tag = "7")]
    pub reason: String,
}

/// Adds the later steps to a receipt.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CompleteReceipt {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(message, repeated, tag = "3")]
    pub timeline: Vec<Step>,
}

/// Notes what became of the old primary.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NoteReturn {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(string, tag = "3")]
    pub returned: String,
}

/// An operator has taken note of a change.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acknowledge {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
}
