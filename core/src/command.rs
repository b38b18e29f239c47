//! Commands: what a log entry asks the state to become. Each carries the fact it was decided on, so
//! that a repeated or late one is rejected instead of undoing what came between.

use crate::copies::CopiesCommand;
use crate::{
    Account, Attributes, Automation, ClientId, Endpoint, Epoch, Lifecycle, Member, NodeId,
    NodeName, Note, PinKind, Policy, Report, RequestId, Revision, Scope, ServerId, ServiceName,
    Timeline, Timestamp, Zone,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// A node by its id, or by the name that a present node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRef {
    /// By id.
    Id(NodeId),
    /// By name.
    Name(NodeName),
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

/// What a log entry asks for. `expected` is the `modified` revision of the record that it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Registers a client. Answers with its id.
    OpenClient,
    /// Forgets a client's registration.
    CloseClient {
        /// The registration.
        client: ClientId,
    },
    /// Changes the cluster's settings (all but the feature level).
    SetSettings {
        /// Revision of the settings it was decided on.
        expected: Revision,
        /// How many entries of history to keep.
        history_max: u32,
        /// How many clients' registrations to keep.
        clients_max: u32,
    },
    /// Allows newer kinds of command. Never lowered.
    RaiseFeatureLevel {
        /// The level it was decided on.
        from: u32,
        /// The new level.
        to: u32,
    },
    /// Lets a server take part. Repeating it with the same addresses changes nothing.
    AdmitServer {
        /// Its id, never used before.
        id: ServerId,
        /// Where other servers reach it.
        raft: Endpoint,
        /// Where clients reach it.
        api: Endpoint,
    },
    /// Binds a server to the data folder it came with.
    BindServer {
        /// The server.
        id: ServerId,
        /// The random id of its data folder.
        store: u128,
    },
    /// Remembers that a server was removed.
    RetireServer {
        /// The server.
        id: ServerId,
    },
    /// Adds a node. Answers with its id.
    AddNode {
        /// Its name, which no present node may have.
        name: NodeName,
        /// Its failure domain.
        zone: Option<Zone>,
        /// Its labels.
        labels: Attributes,
        /// Its relative share; 0 to 100,000.
        weight: u32,
    },
    /// Changes what a node is told apart by.
    UpdateNode {
        /// The node.
        node: NodeRef,
        /// Revision of the node it was decided on.
        expected: Revision,
        /// Its failure domain.
        zone: Option<Zone>,
        /// Its labels.
        labels: Attributes,
        /// Its relative share.
        weight: u32,
    },
    /// A node begins a new life: its process was started anew.
    JoinNode {
        /// The node.
        node: NodeRef,
        /// The incarnation it had.
        last: crate::Incarnation,
    },
    /// Moves a node along its lifecycle; removal has a command of its own.
    SetLifecycle {
        /// The node.
        node: NodeRef,
        /// Revision of the node it was decided on.
        expected: Revision,
        /// Where to.
        to: Lifecycle,
        /// Why.
        reason: Note,
        /// Whether to drain also where items would be left with fewer fresh copies than are wanted of them.
        accept_loss: bool,
    },
    /// Removes a node for good. Rejected while it has instances.
    RemoveNode {
        /// The node.
        node: NodeRef,
        /// Revision of the node it was decided on.
        expected: Revision,
        /// Why.
        reason: Note,
    },
    /// Adds a service.
    AddService {
        /// Its name, not in use.
        name: ServiceName,
        /// What is wanted of it, and its kind.
        policy: Policy,
    },
    /// Changes a service's policy; the kind stays.
    UpdateService {
        /// The service.
        name: ServiceName,
        /// Revision of the service it was decided on.
        expected: Revision,
        /// The new policy.
        policy: Policy,
    },
    /// Removes a service. Rejected while it has instances.
    RemoveService {
        /// The service.
        name: ServiceName,
        /// Revision of the service it was decided on.
        expected: Revision,
    },
    /// Adds an instance of a service on a node.
    AddInstance {
        /// The service.
        service: ServiceName,
        /// The node.
        node: NodeRef,
        /// Where it is reached.
        endpoint: Endpoint,
        /// Whom to prefer as primary; 0 never, 100 is usual.
        preference: u32,
    },
    /// Changes an instance.
    UpdateInstance {
        /// The service.
        service: ServiceName,
        /// The node.
        node: NodeRef,
        /// Revision of the instance it was decided on.
        expected: Revision,
        /// Where it is reached.
        endpoint: Endpoint,
        /// Whom to prefer as primary.
        preference: u32,
    },
    /// Removes an instance. Rejected while it is the primary.
    RemoveInstance {
        /// The service.
        service: ServiceName,
        /// The node.
        node: NodeRef,
        /// Revision of the instance it was decided on.
        expected: Revision,
    },
    /// What an instance says of itself.
    ReportInstance {
        /// The service.
        service: ServiceName,
        /// The node in the life in which it speaks.
        member: Member,
        /// Revision of the instance that the report follows; None takes the latest report as it comes.
        expected: Option<Revision>,
        /// What it says.
        report: Report,
    },
    /// A manual change of primary, or the first assignment (which succeeds epoch 0).
    SetPrimary {
        /// The service.
        service: ServiceName,
        /// Who is to be primary.
        to: NodeRef,
        /// The epoch it was decided on.
        succeeds: Epoch,
        /// Whether acknowledged writes may be lost by it. Counts as a loss unless the candidate is in sync.
        accept_loss: bool,
        /// Why.
        reason: Note,
    },
    /// States who holds every acknowledged write. Must be committed before the primary acknowledges
    /// with fewer.
    SetInSync {
        /// The service.
        service: ServiceName,
        /// The epoch in which it holds.
        epoch: Epoch,
        /// Revision of the assignment it was decided on.
        expected: Revision,
        /// The instances, the primary among them.
        in_sync: BTreeSet<NodeId>,
    },
    /// Sets or replaces a node's pin.
    SetPin {
        /// The node.
        node: NodeRef,
        /// Revision of the pin to replace; None when there is none.
        expected: Option<Revision>,
        /// What it says.
        kind: PinKind,
        /// Until when.
        until: Option<Timestamp>,
        /// Why.
        reason: Note,
    },
    /// Takes a node's pin away.
    RemovePin {
        /// The node.
        node: NodeRef,
        /// Revision of the pin.
        expected: Revision,
    },
    /// Changes how the cluster decides by itself.
    SetAutomation {
        /// Revision of what it was decided on; 0 while nothing was ever set.
        expected: Revision,
        /// The new settings.
        automation: Automation,
    },
    /// Sets or replaces a pause: nothing automatic happens.
    SetPause {
        /// For what.
        scope: Scope,
        /// Revision of the pause to replace; None when there is none.
        expected: Option<Revision>,
        /// Until when.
        until: Option<Timestamp>,
        /// Why.
        reason: Note,
    },
    /// Takes a pause away.
    RemovePause {
        /// For what.
        scope: Scope,
        /// Revision of the pause.
        expected: Revision,
    },
    /// A change of primary that rests on evidence and on a fence, with its receipt.
    Promote {
        /// The service.
        service: ServiceName,
        /// Who is to be primary, in the life in which it was chosen.
        to: Member,
        /// The epoch it was decided on.
        succeeds: Epoch,
        /// Who is known to hold what the new primary holds; the new primary is one of them.
        in_sync: BTreeSet<NodeId>,
        /// Who is to follow the new primary and may acknowledge its writes besides.
        syncing: BTreeSet<NodeId>,
        /// What it rests on.
        account: Account,
        /// Why, in a sentence.
        reason: Note,
    },
    /// States who holds every acknowledged write, and who may acknowledge besides. Must be committed
    /// before an instance follows the primary, and only after one that is left out was detached.
    SetMembers {
        /// The service.
        service: ServiceName,
        /// The epoch in which it holds.
        epoch: Epoch,
        /// Revision of the assignment it was decided on.
        expected: Revision,
        /// The in-sync set, the primary among them.
        in_sync: BTreeSet<NodeId>,
        /// Who may acknowledge besides.
        syncing: BTreeSet<NodeId>,
    },
    /// Adds the later steps to a receipt. Repeating it changes nothing.
    CompleteReceipt {
        /// The service.
        service: ServiceName,
        /// The receipt's epoch.
        epoch: Epoch,
        /// When the steps were done; those that the receipt has already stay as they are.
        timeline: Timeline,
    },
    /// Notes in a receipt what became of the old primary when it returned.
    NoteReturn {
        /// The service.
        service: ServiceName,
        /// The receipt's epoch.
        epoch: Epoch,
        /// The verdict, and where its tail was saved.
        returned: Note,
    },
    /// An operator has taken note of a change of primary: automatic failovers are allowed again.
    Acknowledge {
        /// The service.
        service: ServiceName,
        /// The epoch that he has seen.
        epoch: Epoch,
    },
    /// Something asked of the copies of a service's items.
    Copies {
        /// The service.
        service: ServiceName,
        /// What.
        what: CopiesCommand,
    },
    /// Several commands, all or none. They do not nest.
    Batch(Vec<Command>),
}

impl Command {
    /// The feature level from which on it may be used.
    #[must_use]
    pub fn feature_level(&self) -> u32 {
        match self {
            Self::Copies { .. }
            | Self::SetLifecycle {
                accept_loss: true, ..
            } => 3,
            Self::SetAutomation { .. }
            | Self::SetPause { .. }
            | Self::RemovePause { .. }
            | Self::Promote { .. }
            | Self::SetMembers { .. }
            | Self::CompleteReceipt { .. }
            | Self::NoteReturn { .. }
            | Self::Acknowledge { .. } => 2,
            Self::OpenClient
            | Self::CloseClient { .. }
            | Self::SetSettings { .. }
            | Self::RaiseFeatureLevel { .. }
            | Self::AdmitServer { .. }
            | Self::BindServer { .. }
            | Self::RetireServer { .. }
            | Self::AddNode { .. }
            | Self::UpdateNode { .. }
            | Self::JoinNode { .. }
            | Self::SetLifecycle {
                accept_loss: false, ..
            }
            | Self::RemoveNode { .. }
            | Self::AddService { .. }
            | Self::UpdateService { .. }
            | Self::RemoveService { .. }
            | Self::AddInstance { .. }
            | Self::UpdateInstance { .. }
            | Self::RemoveInstance { .. }
            | Self::ReportInstance { .. }
            | Self::SetPrimary { .. }
            | Self::SetInSync { .. }
            | Self::SetPin { .. }
            | Self::RemovePin { .. }
            | Self::Batch(_) => 1,
        }
    }
}

/// A command with all that its log entry carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Recognises a retry. None for what is harmless to repeat.
    pub request: Option<RequestId>,
    /// Who asked, as the caller said: for the history.
    pub actor: Note,
    /// The proposer's wall clock: for the history.
    pub stamp: Timestamp,
    /// What is asked.
    pub command: Command,
}
