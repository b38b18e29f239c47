//! The replicated state: all records, and what is derived from them.

mod copies;

use crate::copies::{Ledger, Rebalance};
use crate::{
    Assignment, Automation, Client, ClientId, Epoch, HistoryEntry, Instance, Key, LogIndex, Node,
    NodeId, NodeName, NodeRef, Pause, Pin, Receipt, Record, Revision, Scope, ServerId,
    ServerRecord, Service, ServiceName, Settings,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Everything that the cluster has agreed on.
///
/// Records are shared ([`Arc`]): a reader clones what it needs under a short lock and keeps it.
/// The names and back references are derived from the records by [`State::put`] and
/// [`State::delete`] and are never stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    pub(crate) applied: LogIndex,
    pub(crate) revision: Revision,
    pub(crate) settings: Arc<Settings>,
    pub(crate) servers: BTreeMap<ServerId, Arc<ServerRecord>>,
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(crate) services: BTreeMap<ServiceName, Arc<Service>>,
    pub(crate) assignments: BTreeMap<ServiceName, Arc<Assignment>>,
    pub(crate) instances: BTreeMap<ServiceName, BTreeMap<NodeId, Arc<Instance>>>,
    pub(crate) pins: BTreeMap<NodeId, Arc<Pin>>,
    pub(crate) history: BTreeMap<Revision, Arc<HistoryEntry>>,
    pub(crate) clients: BTreeMap<ClientId, Arc<Client>>,
    pub(crate) automation: Arc<Automation>,
    pub(crate) pauses: BTreeMap<Scope, Arc<Pause>>,
    pub(crate) receipts: BTreeMap<ServiceName, BTreeMap<Epoch, Arc<Receipt>>>,
    pub(crate) ledgers: BTreeMap<ServiceName, Arc<Ledger>>,
    pub(crate) rebalances: BTreeMap<ServiceName, Arc<Rebalance>>,
    pub(crate) derived: Derived,
}

/// What follows from the records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Derived {
    pub(crate) node_names: BTreeMap<NodeName, NodeId>,
    pub(crate) services_on: BTreeMap<NodeId, BTreeSet<ServiceName>>,
    pub(crate) instance_count: usize,
    pub(crate) clients_by_activity: BTreeSet<(LogIndex, ClientId)>,
}

impl State {
    /// Index of the last applied entry.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// Index of the last applied entry that changed visible state.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The cluster's settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Servers by id, retired ones included.
    #[must_use]
    pub fn servers(&self) -> &BTreeMap<ServerId, Arc<ServerRecord>> {
        &self.servers
    }

    /// Nodes by id, removed ones included.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<NodeId, Arc<Node>> {
        &self.nodes
    }

    /// Services by name.
    #[must_use]
    pub fn services(&self) -> &BTreeMap<ServiceName, Arc<Service>> {
        &self.services
    }

    /// Instances of a service by node.
    pub fn instances(&self, service: &ServiceName) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// The instance of a service on a node.
    #[must_use]
    pub fn instance(&self, service: &ServiceName, node: NodeId) -> Option<&Arc<Instance>> {
        self.instances.get(service)?.get(&node)
    }

    /// Whether agents keep a service, whose word alone says who holds what. One of them reports a role, or its
    /// primary was moved with them before: they may be silent, and live on pledges.
    pub(crate) fn is_kept_by_agents(&self, service: &ServiceName) -> bool {
        let mut instances = self.instances(service);
        let speaks = instances.any(|it| it.report.role.is_some());
        self.settings.feature_level >= 2 && (speaks || self.receipts(service).next().is_some())
    }

    /// How many instances there are of all services.
    #[must_use]
    pub fn instance_count(&self) -> usize {
        self.derived.instance_count
    }

    /// The assignment of a service with a primary.
    #[must_use]
    pub fn assignment(&self, service: &ServiceName) -> Option<&Arc<Assignment>> {
        self.assignments.get(service)
    }

    /// Pins by node.
    #[must_use]
    pub fn pins(&self) -> &BTreeMap<NodeId, Arc<Pin>> {
        &self.pins
    }

    /// History by revision, oldest first.
    #[must_use]
    pub fn history(&self) -> &BTreeMap<Revision, Arc<HistoryEntry>> {
        &self.history
    }

    /// Registrations of clients.
    #[must_use]
    pub fn clients(&self) -> &BTreeMap<ClientId, Arc<Client>> {
        &self.clients
    }

    /// How the cluster decides by itself.
    #[must_use]
    pub fn automation(&self) -> &Arc<Automation> {
        &self.automation
    }

    /// Pauses by scope.
    #[must_use]
    pub fn pauses(&self) -> &BTreeMap<Scope, Arc<Pause>> {
        &self.pauses
    }

    /// Receipts of a service, oldest first.
    pub fn receipts(
        &self,
        service: &ServiceName,
    ) -> impl DoubleEndedIterator<Item = &Arc<Receipt>> {
        self.receipts
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// The receipt of the change of primary that began an epoch.
    #[must_use]
    pub fn receipt(&self, service: &ServiceName, epoch: Epoch) -> Option<&Arc<Receipt>> {
        self.receipts.get(service)?.get(&epoch)
    }

    /// Services with an instance on a node.
    pub fn services_on(&self, node: NodeId) -> impl Iterator<Item = &ServiceName> {
        self.derived.services_on.get(&node).into_iter().flatten()
    }

    /// The present node that a reference means; a removed node only by its id.
    #[must_use]
    pub fn find_node(&self, node: &NodeRef) -> Option<&Arc<Node>> {
        match node {
            NodeRef::Id(id) => self.nodes.get(id),
            NodeRef::Name(name) => self.nodes.get(self.derived.node_names.get(name)?),
        }
    }

    /// The record under a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Settings => Some(Record::Settings(self.settings.clone())),
            Key::Server(id) => self.servers.get(id).cloned().map(Record::Server),
            Key::Node(id) => self.nodes.get(id).cloned().map(Record::Node),
            Key::Service(name) => self.services.get(name).cloned().map(Record::Service),
            Key::Assignment(name) => self.assignments.get(name).cloned().map(Record::Assignment),
            Key::Instance(service, node) => {
                self.instance(service, *node).cloned().map(Record::Instance)
            }
            Key::Pin(node) => self.pins.get(node).cloned().map(Record::Pin),
            Key::History(revision) => self.history.get(revision).cloned().map(Record::History),
            Key::Client(id) => self.clients.get(id).cloned().map(Record::Client),
            Key::Automation => self.set_automation().map(Record::Automation),
            Key::Pause(scope) => self.pauses.get(scope).cloned().map(Record::Pause),
            Key::Receipt(service, epoch) => {
                self.receipt(service, *epoch).cloned().map(Record::Receipt)
            }
            Key::Store(service, node) => self.store(service, *node),
            Key::Rebalance(service) => self.rebalance(service).cloned().map(Record::Rebalance),
            Key::Item(service, name) => self.item(service, name),
        }
    }

    /// Sets a record as it is. For loading what `apply` made on this or another server; `apply`
    /// itself goes through a change that can be rolled back.
    pub fn put(&mut self, record: Record) {
        match record {
            Record::Settings(settings) => self.settings = settings,
            Record::Server(server) => drop(self.servers.insert(server.id, server)),
            Record::Node(node) => self.put_node(node),
            Record::Service(service) => self.put_service(service),
            Record::Assignment(assignment) => {
                drop(
                    self.assignments
                        .insert(assignment.service.clone(), assignment),
                );
            }
            Record::Instance(instance) => self.put_instance(instance),
            Record::Pin(pin) => drop(self.pins.insert(pin.node, pin)),
            Record::History(entry) => drop(self.history.insert(entry.revision, entry)),
            Record::Client(client) => self.put_client(client),
            Record::Automation(automation) => self.automation = automation,
            Record::Pause(pause) => drop(self.pauses.insert(pause.scope.clone(), pause)),
            Record::Receipt(receipt) => {
                let of_service = self.receipts.entry(receipt.service.clone()).or_default();
                drop(of_service.insert(receipt.epoch, receipt));
            }
            Record::Store(store) => self.put_store(&store),
            Record::Rebalance(one) => drop(self.rebalances.insert(one.service.clone(), one)),
            Record::Item(item) => self.put_item(&item),
        }
    }

    /// Takes a record away. Settings are never taken away; they return to the defaults.
    pub fn delete(&mut self, key: &Key) {
        match key {
            Key::Settings => self.settings = Arc::default(),
            Key::Server(id) => drop(self.servers.remove(id)),
            Key::Node(id) => self.delete_node(*id),
            Key::Service(name) => self.delete_service(name),
            Key::Assignment(name) => drop(self.assignments.remove(name)),
            Key::Instance(service, node) => self.delete_instance(service, *node),
            Key::Pin(node) => drop(self.pins.remove(node)),
            Key::History(revision) => drop(self.history.remove(revision)),
            Key::Client(id) => self.delete_client(*id),
            Key::Automation => self.automation = Arc::default(),
            Key::Pause(scope) => drop(self.pauses.remove(scope)),
            Key::Receipt(service, epoch) => self.delete_receipt(service, *epoch),
            Key::Store(service, node) => self.delete_store(service, *node),
            Key::Rebalance(service) => drop(self.rebalances.remove(service)),
            Key::Item(service, name) => self.delete_item(service, name),
        }
    }

    /// Continues from a stored image: sets where in the log the records stand.
    pub fn resume_at(&mut self, applied: LogIndex, revision: Revision) {
        self.applied = applied;
        self.revision = revision;
    }

    /// Notes an entry that carries no command (a new leader's first, or a change of the servers).
    pub fn skip(&mut self, index: LogIndex) {
        assert!(
            index > self.applied,
            "entry {index} comes after {}",
            self.applied
        );
        self.applied = index;
    }

    /// Every record, in key order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        std::iter::once(Record::Settings(self.settings.clone()))
            .chain(self.servers.values().cloned().map(Record::Server))
            .chain(self.nodes.values().cloned().map(Record::Node))
            .chain(self.services.values().cloned().map(Record::Service))
            .chain(self.assignments.values().cloned().map(Record::Assignment))
            .chain(
                self.instances
                    .values()
                    .flat_map(BTreeMap::values)
                    .cloned()
                    .map(Record::Instance),
            )
            .chain(self.pins.values().cloned().map(Record::Pin))
            .chain(self.history.values().cloned().map(Record::History))
            .chain(self.clients.values().cloned().map(Record::Client))
            .chain(self.set_automation().map(Record::Automation))
            .chain(self.pauses.values().cloned().map(Record::Pause))
            .chain(
                self.receipts
                    .values()
                    .flat_map(BTreeMap::values)
                    .cloned()
                    .map(Record::Receipt),
            )
            .chain(self.copies_records())
    }

    /// How the cluster decides by itself, once somebody has set it.
    pub(crate) fn set_automation(&self) -> Option<Arc<Automation>> {
        (self.automation.modified > Revision(0)).then(|| self.automation.clone())
    }

    fn delete_receipt(&mut self, service: &ServiceName, epoch: Epoch) {
        let Some(of_service) = self.receipts.get_mut(service) else {
            return;
        };
        of_service.remove(&epoch);
        if of_service.is_empty() {
            self.receipts.remove(service);
        }
    }

    /// The id that the next node gets. Removed nodes stay known, so it was never used.
    pub(crate) fn next_node(&self) -> NodeId {
        self.nodes
            .last_key_value()
            .map_or(NodeId(1), |(id, _)| id.next())
    }

    fn put_node(&mut self, node: Arc<Node>) {
        self.delete_node(node.id);
        if node.is_present() {
            self.derived.node_names.insert(node.name.clone(), node.id);
        }
        let id = node.id;
        self.nodes.insert(id, node);
        self.sync_stores(id);
    }

    fn delete_node(&mut self, id: NodeId) {
        let Some(old) = self.nodes.remove(&id) else {
            return;
        };
        // Another node may have the name by now: a roll-back puts records back in key order, so the
        // one that had the name before returns while the one that took it over is still here.
        if self.derived.node_names.get(&old.name) == Some(&id) {
            self.derived.node_names.remove(&old.name);
        }
    }

    fn put_instance(&mut self, instance: Arc<Instance>) {
        let (service, node) = (instance.service.clone(), instance.node);
        let of_service = self.instances.entry(service.clone()).or_default();
        if of_service.insert(node, instance).is_none() {
            self.derived.instance_count = self.derived.instance_count.saturating_add(1);
            let services = self.derived.services_on.entry(node).or_default();
            services.insert(service.clone());
            self.add_store(&service, node);
        }
    }

    fn delete_instance(&mut self, service: &ServiceName, node: NodeId) {
        let Some(of_service) = self.instances.get_mut(service) else {
            return;
        };
        if of_service.remove(&node).is_none() {
            return;
        }
        if of_service.is_empty() {
            self.instances.remove(service);
        }
        self.remove_store(service, node);
        self.derived.instance_count = self.derived.instance_count.saturating_sub(1);
        if let Some(services) = self.derived.services_on.get_mut(&node) {
            services.remove(service);
            if services.is_empty() {
                self.derived.services_on.remove(&node);
            }
        }
    }

    fn put_client(&mut self, client: Arc<Client>) {
        self.delete_client(client.id);
        self.derived
            .clients_by_activity
            .insert((client.last_active, client.id));
        self.clients.insert(client.id, client);
    }

    fn delete_client(&mut self, id: ClientId) {
        if let Some(old) = self.clients.remove(&id) {
            self.derived
                .clients_by_activity
                .remove(&(old.last_active, id));
        }
    }
}
