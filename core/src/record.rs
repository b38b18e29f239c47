//! The state as rows: what watchers are sent, what checkpoints write and what snapshots carry.

use crate::copies::{ItemName, ItemRecord, Rebalance, StoreRecord};
use crate::{
    Assignment, Automation, Client, ClientId, Epoch, HistoryEntry, Instance, Node, NodeId, Pause,
    Pin, Receipt, Revision, Scope, ServerId, ServerRecord, Service, ServiceName, Settings,
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Names one record of the state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// The cluster's settings.
    Settings,
    /// A server.
    Server(ServerId),
    /// A node.
    Node(NodeId),
    /// A service.
    Service(ServiceName),
    /// The assignment of a service with a primary.
    Assignment(ServiceName),
    /// An instance.
    Instance(ServiceName, NodeId),
    /// A pin.
    Pin(NodeId),
    /// An entry of the history.
    History(Revision),
    /// A client's registration.
    Client(ClientId),
    /// How the cluster decides by itself.
    Automation,
    /// A pause.
    Pause(Scope),
    /// The receipt of a change of primary.
    Receipt(ServiceName, Epoch),
    /// What is known of a holder of copies beside its node's record.
    Store(ServiceName, NodeId),
    /// A rebalance that runs or rests.
    Rebalance(ServiceName),
    /// An item.
    Item(ServiceName, ItemName),
}

impl Key {
    /// Whether watchers are told of it, and whether it counts for the revision.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !matches!(
            self,
            Self::History(_)
                | Self::Client(_)
                | Self::Receipt(..)
                | Self::Store(..)
                | Self::Rebalance(_)
                | Self::Item(..)
        )
    }

    /// The service that the record belongs to, if it belongs to one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name)
            | Self::Assignment(name)
            | Self::Instance(name, _)
            | Self::Receipt(name, _)
            | Self::Store(name, _)
            | Self::Rebalance(name)
            | Self::Item(name, _)
            | Self::Pause(Scope::Service(name)) => Some(name),
            Self::Automation
            | Self::Pause(Scope::Cluster | Scope::Node(_))
            | Self::Settings
            | Self::Server(_)
            | Self::Node(_)
            | Self::Pin(_)
            | Self::History(_)
            | Self::Client(_) => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => write!(f, "settings"),
            Self::Server(id) => write!(f, "server {id}"),
            Self::Node(id) => write!(f, "node {id}"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Assignment(name) => write!(f, "assignment of {name}"),
            Self::Instance(service, node) => write!(f, "instance of {service} on node {node}"),
            Self::Pin(node) => write!(f, "pin of node {node}"),
            Self::History(revision) => write!(f, "history at {revision}"),
            Self::Client(id) => write!(f, "client {id}"),
            Self::Automation => write!(f, "automation"),
            Self::Pause(scope) => write!(f, "pause of {scope}"),
            Self::Receipt(service, epoch) => write!(f, "receipt of {service} at epoch {epoch}"),
            Self::Store(service, node) => write!(f, "copies of {service} on node {node}"),
            Self::Rebalance(service) => write!(f, "rebalance of {service}"),
            Self::Item(service, item) => write!(f, "item {item} of {service}"),
        }
    }
}

/// One record of the state. Shared, so that a reader keeps what it saw without copying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The cluster's settings.
    Settings(Arc<Settings>),
    /// A server.
    Server(Arc<ServerRecord>),
    /// A node.
    Node(Arc<Node>),
    /// A service.
    Service(Arc<Service>),
    /// The assignment of a service with a primary.
    Assignment(Arc<Assignment>),
    /// An instance.
    Instance(Arc<Instance>),
    /// A pin.
    Pin(Arc<Pin>),
    /// An entry of the history.
    History(Arc<HistoryEntry>),
    /// A client's registration.
    Client(Arc<Client>),
    /// How the cluster decides by itself.
    Automation(Arc<Automation>),
    /// A pause.
    Pause(Arc<Pause>),
    /// The receipt of a change of primary.
    Receipt(Arc<Receipt>),
    /// What is known of a holder of copies beside its node's record.
    Store(Arc<StoreRecord>),
    /// A rebalance that runs or rests.
    Rebalance(Arc<Rebalance>),
    /// An item.
    Item(Arc<ItemRecord>),
}

impl Record {
    /// The key under which it stands.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Settings(_) => Key::Settings,
            Self::Server(server) => Key::Server(server.id),
            Self::Node(node) => Key::Node(node.id),
            Self::Service(service) => Key::Service(service.name.clone()),
            Self::Assignment(assignment) => Key::Assignment(assignment.service.clone()),
            Self::Instance(instance) => Key::Instance(instance.service.clone(), instance.node),
            Self::Pin(pin) => Key::Pin(pin.node),
            Self::History(entry) => Key::History(entry.revision),
            Self::Client(client) => Key::Client(client.id),
            Self::Automation(_) => Key::Automation,
            Self::Pause(pause) => Key::Pause(pause.scope.clone()),
            Self::Receipt(receipt) => Key::Receipt(receipt.service.clone(), receipt.epoch),
            Self::Store(store) => Key::Store(store.service.clone(), store.node),
            Self::Rebalance(rebalance) => Key::Rebalance(rebalance.service.clone()),
            Self::Item(item) => Key::Item(item.service.clone(), item.item.name.clone()),
        }
    }
}
