//! The ledgers of copies as part of the state. Who may hold copies follows from instances and nodes; items and what is
//! known of a holder beside these are records of their own.

use super::State;
use crate::copies::{ItemName, ItemRecord, Ledger, Rebalance, StoreRecord, TooFew};
use crate::{Lifecycle, NodeId, Policy, Record, Service, ServiceName};
use std::sync::Arc;

impl State {
    /// The items and copies of a service of that kind.
    #[must_use]
    pub fn ledger(&self, service: &ServiceName) -> Option<&Ledger> {
        self.ledgers.get(service).map(Arc::as_ref)
    }

    /// All ledgers by service.
    pub fn ledgers(&self) -> impl Iterator<Item = (&ServiceName, &Ledger)> {
        let ledgers = self.ledgers.iter();
        ledgers.map(|(service, ledger)| (service, ledger.as_ref()))
    }

    /// The rebalance of a service that runs or rests.
    #[must_use]
    pub fn rebalance(&self, service: &ServiceName) -> Option<&Arc<Rebalance>> {
        self.rebalances.get(service)
    }

    /// Nobody else holds on to a ledger in a server, so nothing is copied.
    pub(crate) fn ledger_mut(&mut self, service: &ServiceName) -> Option<&mut Ledger> {
        self.ledgers.get_mut(service).map(Arc::make_mut)
    }

    pub(super) fn item(&self, service: &ServiceName, name: &ItemName) -> Option<Record> {
        let item = self.ledger(service)?.stored(name)?;
        let service = service.clone();
        Some(Record::Item(Arc::new(ItemRecord { service, item })))
    }

    pub(super) fn store(&self, service: &ServiceName, node: NodeId) -> Option<Record> {
        let store = self.ledger(service)?.store(node)?;
        let (lost, folder) = (store.is_lost(), store.folder());
        let record = StoreRecord {
            service: service.clone(),
            node,
            lost,
            folder,
        };
        (lost || folder != 0).then(|| Record::Store(Arc::new(record)))
    }

    /// Records of stores, rebalances and items, in key order.
    pub(super) fn copies_records(&self) -> impl Iterator<Item = Record> {
        let stores = self.ledgers.iter().flat_map(|(service, ledger)| {
            let nodes = ledger.stores().map(crate::copies::Store::node);
            nodes.filter_map(|node| self.store(service, node))
        });
        let rebalances = self.rebalances.values().cloned().map(Record::Rebalance);
        let items = self.ledgers.iter().flat_map(|(service, ledger)| {
            let record = |item| {
                let service = service.clone();
                Record::Item(Arc::new(ItemRecord { service, item }))
            };
            ledger.all_stored().map(record)
        });
        stores.chain(rebalances).chain(items)
    }

    pub(super) fn put_service(&mut self, service: Arc<Service>) {
        if let Policy::Copies(policy) = service.policy {
            match self.ledger_mut(&service.name) {
                Some(ledger) if *ledger.policy() == policy => {}
                Some(ledger) => ledger.set_policy(policy),
                None => {
                    let ledger = Arc::new(Ledger::new(policy));
                    self.ledgers.insert(service.name.clone(), ledger);
                }
            }
        }
        self.services.insert(service.name.clone(), service);
    }

    pub(super) fn delete_service(&mut self, service: &ServiceName) {
        self.services.remove(service);
        self.ledgers.remove(service);
    }

    pub(super) fn put_store(&mut self, record: &StoreRecord) {
        let Some(ledger) = self.ledger_mut(&record.service) else {
            return;
        };
        // A record's node is a store: apply and the image see to that.
        drop(ledger.set_folder(record.node, record.folder));
        drop(if record.lost {
            ledger.lose(record.node)
        } else {
            ledger.regain(record.node)
        });
    }

    pub(super) fn delete_store(&mut self, service: &ServiceName, node: NodeId) {
        if let Some(ledger) = self.ledger_mut(service) {
            drop(ledger.set_folder(node, 0));
            drop(ledger.regain(node));
        }
    }

    pub(super) fn put_item(&mut self, record: &ItemRecord) {
        if let Some(ledger) = self.ledger_mut(&record.service) {
            ledger.forget(&record.item.name);
            drop(ledger.restore(&record.item));
        }
    }

    pub(super) fn delete_item(&mut self, service: &ServiceName, name: &ItemName) {
        if let Some(ledger) = self.ledger_mut(service) {
            ledger.forget(name);
        }
    }

    /// The instance of a service on a node makes it a store.
    pub(super) fn add_store(&mut self, service: &ServiceName, node: NodeId) {
        if let Some(ledger) = self.ledger_mut(service)
            && ledger.store(node).is_none()
        {
            drop(ledger.add_node(node, None, 0));
            self.sync_store(service, node);
        }
    }

    pub(super) fn remove_store(&mut self, service: &ServiceName, node: NodeId) {
        if let Some(ledger) = self.ledger_mut(service) {
            drop(ledger.remove_node(node, TooFew::AcceptLoss));
        }
    }

    /// A node's zone, weight and lifecycle are those of its stores.
    pub(super) fn sync_stores(&mut self, node: NodeId) {
        let services: Vec<ServiceName> = self.services_on(node).cloned().collect();
        for service in services {
            self.sync_store(&service, node);
        }
    }

    fn sync_store(&mut self, service: &ServiceName, node: NodeId) {
        let Some(record) = self.nodes.get(&node).cloned() else {
            return;
        };
        let Some(store) = self.ledger(service).and_then(|ledger| ledger.store(node)) else {
            return;
        };
        let weight = match record.lifecycle {
            Lifecycle::Active | Lifecycle::Draining => record.weight,
            Lifecycle::Joining | Lifecycle::Maintenance | Lifecycle::Removed => 0,
        };
        let drains = record.lifecycle == Lifecycle::Draining;
        let stands = (store.zone(), store.weight()) == (record.zone.as_ref(), weight);
        let turns = store.is_draining() != drains;
        let Some(ledger) = self.ledger_mut(service).filter(|_| !stands || turns) else {
            return;
        };
        if !stands {
            drop(ledger.set_node(node, record.zone.clone(), weight));
        }
        if turns {
            drop(if drains {
                ledger.drain(node, TooFew::AcceptLoss)
            } else {
                ledger.stop_drain(node)
            });
        }
    }
}
