//! How the cluster decides by itself, and pauses of it: what is stored, and what is asked.

/// How the cluster decides by itself; times in milliseconds.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Automation {
    #[prost(uint64, tag = "1")]
    pub fast_heartbeat: u64,
    #[prost(uint64, tag = "2")]
    pub fast_lease: u64,
    #[prost(uint64, tag = "3")]
    pub slow_heartbeat: u64,
    #[prost(uint64, tag = "4")]
    pub slow_lease: u64,
    #[prost(uint32, tag = "5")]
    pub drift_permille: u32,
    #[prost(enumeration = "super::values::ControlLoss", tag = "6")]
    pub control_loss: i32,
    #[prost(uint64, tag = "7")]
    pub agent_grace: u64,
    #[prost(uint64, tag = "8")]
    pub replica_grace: u64,
    #[prost(uint64, tag = "9")]
    pub stuck_after: u64,
    #[prost(uint64, tag = "10")]
    pub survey: u64,
    #[prost(uint64, tag = "11")]
    pub switchover: u64,
    #[prost(uint64, tag = "12")]
    pub storm_window: u64,
    #[prost(uint32, tag = "13")]
    pub storm_budget: u32,
    #[prost(uint64, tag = "14")]
    pub modified: u64,
    #[prost(uint64, tag = "15")]
    pub earlier_lease: u64,
}

/// For what nothing automatic happens.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    #[prost(oneof = "scope::Of", tags = "1, 2, 3")]
    pub of: Option<scope::Of>,
}

/// How wide a pause is.
pub mod scope {
    /// The choices; the one without a name or number carries `true`.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Of {
        #[prost(bool, tag = "1")]
        Cluster(bool),
        #[prost(string, tag = "2")]
        Service(String),
        #[prost(uint64, tag = "3")]
        Node(u64),
    }
}

/// A pause.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pause {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(uint64, optional, tag = "2")]
    pub until: Option<u64>,
    #[prost(string, tag = "3")]
    pub reason: String,
    #[prost(uint64, tag = "4")]
    pub modified: u64,
}

/// Changes how the cluster decides by itself.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SetAutomation {
    #[prost(uint64, tag = "1")]
    pub expected: u64,
    #[prost(message, optional, tag = "2")]
    pub automation: Option<Automation>,
}

/// Sets or replaces a pause.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPause {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(uint64, optional, tag = "2")]
    pub expected: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub until: Option<u64>,
    #[prost(string, tag = "4")]
    pub reason: String,
}

/// Takes a pause away.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemovePause {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
}
