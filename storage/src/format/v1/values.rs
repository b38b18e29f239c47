//! Messages that both commands and records are made of.

use std::collections::BTreeMap;

/// A label or attribute map, in key order, so that one value has one encoding.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attributes {
    #[prost(btree_map = "string, string", tag = "1")]
    pub pairs: BTreeMap<String, String>,
}

/// A node's life.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Member {
    #[prost(uint64, tag = "1")]
    pub node: u64,
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
}

/// A node by id or name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeRef {
    #[prost(oneof = "node_ref::By", tags = "1, 2")]
    pub by: Option<node_ref::By>,
}

/// How a node is meant.
pub mod node_ref {
    /// By id or name.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum By {
        #[prost(uint64, tag = "1")]
        Id(u64),
        #[prost(string, tag = "2")]
        Name(String),
    }
}

/// What is wanted of a service.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Policy {
    #[prost(oneof = "policy::Of", tags = "1, 2, 3")]
    pub of: Option<policy::Of>,
}

/// The kinds of policy.
pub mod policy {
    /// One per kind of service.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Of {
        #[prost(message, tag = "1")]
        Primary(super::PrimaryPolicy),
        #[prost(message, tag = "2")]
        Peers(super::PeersPolicy),
        #[prost(message, tag = "3")]
        Copies(super::CopiesPolicy),
    }
}

/// Of a service with a primary.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct PrimaryPolicy {
    #[prost(oneof = "loss::Policy", tags = "1, 2, 3")]
    pub loss: Option<loss::Policy>,
    #[prost(uint32, tag = "4")]
    pub replicas: u32,
    #[prost(uint32, tag = "5")]
    pub write_acks: u32,
    #[prost(uint64, tag = "6")]
    pub anti_flap_ms: u64,
}

/// Whether acknowledged writes may be lost.
pub mod loss {
    /// The choices; those without a number carry `true`.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Policy {
        #[prost(bool, tag = "1")]
        Never(bool),
        #[prost(uint64, tag = "2")]
        Bounded(u64),
        #[prost(bool, tag = "3")]
        Available(bool),
    }
}

/// Of a service of equals.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct PeersPolicy {
    #[prost(uint32, tag = "1")]
    pub healthy_min: u32,
}

/// Of a service that stores copies.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct CopiesPolicy {
    #[prost(uint32, tag = "1")]
    pub copies: u32,
    #[prost(uint32, tag = "2")]
    pub write_min: u32,
    #[prost(bool, tag = "3")]
    pub spread_zones: bool,
    /// Absent for 10 minutes: records of before feature level 3 have it not.
    #[prost(uint64, optional, tag = "4")]
    pub repair_grace_ms: Option<u64>,
    /// Absent for 16.
    #[prost(uint32, optional, tag = "5")]
    pub transfers_per_node: Option<u32>,
}

/// What an instance says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Report {
    #[prost(enumeration = "Health", tag = "1")]
    pub health: i32,
    #[prost(message, optional, tag = "2")]
    pub role: Option<HeldRole>,
    #[prost(message, optional, tag = "3")]
    pub position: Option<Position>,
    #[prost(string, tag = "4")]
    pub note: String,
    #[prost(message, optional, tag = "5")]
    pub attributes: Option<Attributes>,
}

/// A role and the epoch it is held by.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct HeldRole {
    #[prost(enumeration = "Role", tag = "1")]
    pub role: i32,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
}

/// How far an instance has got.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Position {
    #[prost(string, tag = "1")]
    pub history: String,
    #[prost(uint64, tag = "2")]
    pub offset: u64,
}

/// Declares a stored enumeration and its correspondence with the core's. 0 is what a missing field
/// decodes to, and stands for nothing.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident as $what:literal { $($variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
        #[repr(i32)]
        pub enum $name {
            Unset = 0,
            $($variant = $number,)*
        }

        impl $name {
            /// The number that stands for a value of the core.
            pub fn of(value: tenure_core::$name) -> i32 {
                match value {
                    $(tenure_core::$name::$variant => $number,)*
                }
            }

            /// The value of the core that a number stands for.
            pub fn core(number: i32) -> Result<tenure_core::$name, crate::format::FormatError> {
                match Self::try_from(number) {
                    $(Ok(Self::$variant) => Ok(tenure_core::$name::$variant),)*
                    Ok(Self::Unset) | Err(_) => {
                        Err(crate::format::FormatError::UnknownValue { what: $what, number: number.into() })
                    }
                }
            }
        }
    };
}

stored_enum!(
    /// How an instance is.
    Health as "health" { Unknown = 1, Starting = 2, Healthy = 3, Degraded = 4, Failing = 5, }
);
stored_enum!(
    /// Role of an instance.
    Role as "role" { Primary = 1, Replica = 2, Peer = 3, }
);
stored_enum!(
    /// Where a node stands.
    Lifecycle as "lifecycle" { Joining = 1, Active = 2, Draining = 3, Maintenance = 4, Removed = 5, }
);
stored_enum!(
    /// What a pin says.
    PinKind as "kind of pin" { Up = 1, Down = 2, }
);
stored_enum!(
    /// Whether a server may take part.
    ServerStatus as "status of a server" { Admitted = 1, Retired = 2, }
);
stored_enum!(
    /// What a primary does when no leader can be reached.
    ControlLoss as "conduct without a leader" { Pledge = 1, Fence = 2, }
);
stored_enum!(
    /// Why a primary was changed.
    Cause as "cause of a change of primary" {
        First = 1, Exited = 2, NodeLost = 3, AgentLost = 4, Stuck = 5, Deaf = 6, Switchover = 7,
        Drain = 8, Operator = 9,
    }
);
stored_enum!(
    /// A step of a change of primary.
    Phase as "step of a change of primary" {
        Detected = 1, Fenced = 2, Surveyed = 3, Committed = 4, Confirmed = 5,
    }
);
