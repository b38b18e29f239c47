//! What a log entry carries.

pub use super::automation::{RemovePause, SetAutomation, SetPause};
pub use super::copies::Copies;
pub use super::receipt::{Acknowledge, CompleteReceipt, NoteReturn, Promote};
use super::values::{Attributes, Member, NodeRef, PinKind, Policy, Report};

/// A command with all that its log entry carries.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Envelope {
    #[prost(message, optional, tag = "1")]
    pub request: Option<Request>,
    #[prost(string, tag = "2")]
    pub actor: String,
    #[prost(uint64, tag = "3")]
    pub stamp: u64,
    #[prost(message, optional, tag = "4")]
    pub command: Option<Command>,
}

/// Recognises a retry.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Request {
    #[prost(uint64, tag = "1")]
    pub client: u64,
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    #[prost(uint64, tag = "3")]
    pub first_incomplete: u64,
}

/// What is asked.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
                25, 26, 27, 28, 29, 30, 31, 32, 33, 34"
    )]
    pub kind: Option<Kind>,
}

/// The kinds of command. A kind never changes: what needs another field is another kind, with a
/// higher feature level.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(message, tag = "1")]
    OpenClient(Nothing),
    #[prost(uint64, tag = "2")]
    CloseClient(u64),
    #[prost(message, tag = "3")]
    SetSettings(SetSettings),
    #[prost(message, tag = "4")]
    RaiseFeatureLevel(RaiseFeatureLevel),
    #[prost(message, tag = "5")]
    AdmitServer(AdmitServer),
    #[prost(message, tag = "6")]
    BindServer(BindServer),
    #[prost(uint64, tag = "7")]
    RetireServer(u64),
    #[prost(message, tag = "8")]
    AddNode(AddNode),
    #[prost(message, tag = "9")]
    UpdateNode(UpdateNode),
    #[prost(message, tag = "10")]
    JoinNode(JoinNode),
    #[prost(message, tag = "11")]
    SetLifecycle(SetLifecycle),
    #[prost(message, tag = "12")]
    RemoveNode(RemoveNode),
    #[prost(message, tag = "13")]
    AddService(AddService),
    #[prost(message, tag = "14")]
    UpdateService(UpdateService),
    #[prost(message, tag = "15")]
    RemoveService(RemoveService),
    #[prost(message, tag = "16")]
    AddInstance(AddInstance),
    #[prost(message, tag = "17")]
    UpdateInstance(UpdateInstance),
    #[prost(message, tag = "18")]
    RemoveInstance(RemoveInstance),
    #[prost(message, tag = "19")]
    ReportInstance(ReportInstance),
    #[prost(message, tag = "20")]
    SetPrimary(SetPrimary),
    #[prost(message, tag = "21")]
    SetInSync(SetInSync),
    #[prost(message, tag = "22")]
    SetPin(SetPin),
    #[prost(message, tag = "23")]
    RemovePin(RemovePin),
    #[prost(message, tag = "24")]
    Batch(Batch),
    #[prost(message, tag = "25")]
    SetAutomation(SetAutomation),
    #[prost(message, tag = "26")]
    SetPause(SetPause),
    #[prost(message, tag = "27")]
    RemovePause(RemovePause),
    #[prost(message, tag = "28")]
    Promote(Promote),
    #[prost(message, tag = "29")]
    SetMembers(SetMembers),
    #[prost(message, tag = "30")]
    CompleteReceipt(CompleteReceipt),
    #[prost(message, tag = "31")]
    NoteReturn(NoteReturn),
    #[prost(message, tag = "32")]
    Acknowledge(Acknowledge),
    #[prost(message, tag = "33")]
    Copies(Copies),
    /// As `SetLifecycle`, and items may be left with too few fresh copies.
    #[prost(message, tag = "34")]
    SetLifecycleAcceptingLoss(SetLifecycle),
}

/// Carries nothing.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Nothing {}

/// Changes settings.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SetSettings {
    #[prost(uint64, tag = "1")]
    pub expected: u64,
    #[prost(uint32, tag = "2")]
    pub history_max: u32,
    #[prost(uint32, tag = "3")]
    pub clients_max: u32,
}

/// Allows newer commands.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct RaiseFeatureLevel {
    #[prost(uint32, tag = "1")]
    pub from: u32,
    #[prost(uint32, tag = "2")]
    pub to: u32,
}

/// Lets a server take part.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AdmitServer {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub raft: String,
    #[prost(string, tag = "3")]
    pub api: String,
}

/// Binds a server to its folder: 16 bytes, little endian.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BindServer {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub store: Vec<u8>,
}

/// Adds a node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddNode {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, optional, tag = "2")]
    pub zone: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub labels: Option<Attributes>,
    #[prost(uint32, tag = "4")]
    pub weight: u32,
}

/// Changes a node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateNode {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
    #[prost(string, optional, tag = "3")]
    pub zone: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub labels: Option<Attributes>,
    #[prost(uint32, tag = "5")]
    pub weight: u32,
}

/// Begins a node's next life.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JoinNode {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

/// Moves a node along its lifecycle.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetLifecycle {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
    #[prost(enumeration = "super::values::Lifecycle", tag = "3")]
    pub to: i32,
    #[prost(string, tag = "4")]
    pub reason: String,
}

/// Removes a node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveNode {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// Adds a service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddService {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub policy: Option<Policy>,
}

/// Changes a service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateService {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
    #[prost(message, optional, tag = "3")]
    pub policy: Option<Policy>,
}

/// Removes a service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveService {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
}

/// Adds an instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddInstance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub node: Option<NodeRef>,
    #[prost(string, tag = "3")]
    pub endpoint: String,
    #[prost(uint32, tag = "4")]
    pub preference: u32,
}

/// Changes an instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateInstance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "3")]
    pub expected: u64,
    #[prost(string, tag = "4")]
    pub endpoint: String,
    #[prost(uint32, tag = "5")]
    pub preference: u32,
}

/// Removes an instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveInstance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "3")]
    pub expected: u64,
}

/// What an instance says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportInstance {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub member: Option<Member>,
    #[prost(uint64, optional, tag = "3")]
    pub expected: Option<u64>,
    #[prost(message, optional, tag = "4")]
    pub report: Option<Report>,
}

/// Changes the primary.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPrimary {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, optional, tag = "2")]
    pub to: Option<NodeRef>,
    #[prost(uint64, tag = "3")]
    pub succeeds: u64,
    #[prost(bool, tag = "4")]
    pub accept_loss: bool,
    #[prost(string, tag = "5")]
    pub reason: String,
}

/// States who is in sync.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetInSync {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(uint64, tag = "3")]
    pub expected: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub in_sync: Vec<u64>,
}

/// States who is in sync, and who may acknowledge besides.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetMembers {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(uint64, tag = "3")]
    pub expected: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub in_sync: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    pub syncing: Vec<u64>,
}

/// Pins a node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPin {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, optional, tag = "2")]
    pub expected: Option<u64>,
    #[prost(enumeration = "PinKind", tag = "3")]
    pub kind: i32,
    #[prost(uint64, optional, tag = "4")]
    pub until: Option<u64>,
    #[prost(string, tag = "5")]
    pub reason: String,
}

/// Takes a pin away.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemovePin {
    #[prost(message, optional, tag = "1")]
    pub node: Option<NodeRef>,
    #[prost(uint64, tag = "2")]
    pub expected: u64,
}

/// Several commands, all or none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Batch {
    #[prost(message, repeated, tag = "1")]
    pub commands: Vec<Command>,
}
