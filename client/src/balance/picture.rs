//! The peers that may be sent requests, made of the records of one service and of the nodes.

use crate::watch;
use std::{collections::BTreeMap, sync::Arc};
use tenure_core::{
    Endpoint, Event, Instance, Key, Lifecycle, Node, NodeId, Pin, PinKind, Record, Zone,
};

/// The attribute by which an instance says how busy it is: a whole number; 0 is idle.
const LOAD: &str = "load";

/// One peer that may be sent requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) endpoint: Endpoint,
    pub(super) zone: Option<Zone>,
    pub(super) load: u32,
    pub(super) weight: u32,
}

/// What matters of the records.
#[derive(Default)]
pub(super) struct Picture {
    instances: BTreeMap<NodeId, Arc<Instance>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    pins: BTreeMap<NodeId, Arc<Pin>>,
}

impl watch::Picture for Picture {
    fn replace(&mut self, records: Vec<Record>) {
        *self = Self::default();
        for record in records {
            self.set(record);
        }
    }

    fn change(&mut self, events: Vec<Event>) {
        for Event { key, after } in events {
            match after {
                Some(record) => self.set(record),
                None => self.remove(&key),
            }
        }
    }
}

impl Picture {
    fn set(&mut self, record: Record) {
        match record {
            Record::Instance(instance) => drop(self.instances.insert(instance.node, instance)),
            Record::Node(node) => drop(self.nodes.insert(node.id, node)),
            Record::Pin(pin) => drop(self.pins.insert(pin.node, pin)),
            Record::Settings(_)
            | Record::Server(_)
            | Record::Service(_)
            | Record::Assignment(_)
            | Record::History(_)
            | Record::Client(_)
            | Record::Automation(_)
            | Record::Pause(_)
            | Record::Receipt(_)
            | Record::Store(_)
            | Record::Rebalance(_)
            | Record::Item(_) => {}
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::Instance(_, node) => drop(self.instances.remove(node)),
            Key::Node(node) => drop(self.nodes.remove(node)),
            Key::Pin(node) => drop(self.pins.remove(node)),
            Key::Settings
            | Key::Server(_)
            | Key::Service(_)
            | Key::Assignment(_)
            | Key::History(_)
            | Key::Client(_)
            | Key::Automation
            | Key::Pause(_)
            | Key::Receipt(..)
            | Key::Store(..)
            | Key::Rebalance(_)
            | Key::Item(..) => {}
        }
    }

    /// Those that serve, on nodes that are in use: what an instance said in an earlier life of its node
    /// says nothing about this one.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let all = self.instances.values();
        all.filter_map(|instance| self.peer(instance)).collect()
    }

    fn peer(&self, instance: &Instance) -> Option<Peer> {
        let node = self.nodes.get(&instance.node)?;
        let is_pinned_down = self
            .pins
            .get(&node.id)
            .is_some_and(|pin| pin.kind == PinKind::Down);
        let serves = instance.report.health.serves()
            && instance.reported_in == node.incarnation
            && node.lifecycle == Lifecycle::Active
            && node.weight > 0
            && !is_pinned_down;
        let load = instance.report.attributes.get(LOAD);
        serves.then(|| Peer {
            node: node.id,
            endpoint: instance.endpoint.clone(),
            zone: node.zone.clone(),
            load: load.and_then(|load| load.parse().ok()).unwrap_or(0),
            weight: node.weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Picture as _;
    use tenure_core::{
        Attributes, Health, Incarnation, NodeName, Note, Report, Revision, ServiceName,
    };

    fn node(id: u64, change: impl FnOnce(&mut Node)) -> Record {
        let mut node = Node {
            id: NodeId(id),
            name: NodeName::new(&format!("web-{id}")).unwrap(),
            zone: None,
            labels: Attributes::default(),
            weight: 100,
            incarnation: Incarnation(2),
            lifecycle: Lifecycle::Active,
            reason: Note::default(),
            created: Revision(1),
            modified: Revision(1),
        };
        change(&mut node);
        Record::Node(Arc::new(node))
    }

    fn instance(id: u64, change: impl FnOnce(&mut Instance)) -> Record {
        let load = [(LOAD.to_owned(), "30".to_owned())].into();
        let mut instance = Instance {
            service: ServiceName::new("web-server").unwrap(),
            node: NodeId(id),
            endpoint: Endpoint::new(&format!("10.0.0.{id}:80")).unwrap(),
            preference: 100,
            report: Report {
                health: Health::Healthy,
                attributes: Attributes::new(load).unwrap(),
                ..Report::default()
            },
            reported_in: Incarnation(2),
            created: Revision(1),
            modified: Revision(1),
        };
        change(&mut instance);
        Record::Instance(Arc::new(instance))
    }

    fn pin(id: u64, kind: PinKind) -> Record {
        Record::Pin(Arc::new(Pin {
            node: NodeId(id),
            kind,
            until: None,
            reason: Note::default(),
            modified: Revision(1),
        }))
    }

    #[test]
    fn only_those_that_serve_on_nodes_in_use_are_peers() {
        let mut records = vec![
            node(1, |_| {}),
            instance(1, |_| {}),
            instance(2, |_| {}),
            pin(3, PinKind::Down),
            pin(4, PinKind::Up),
        ];
        for id in 3..=4 {
            records.extend([node(id, |_| {}), instance(id, |_| {})]);
        }
        for (id, health) in [
            (5, Health::Unknown),
            (6, Health::Starting),
            (7, Health::Degraded),
            (8, Health::Failing),
        ] {
            records.push(node(id, |_| {}));
            records.push(instance(id, |it| it.report.health = health));
        }
        for (id, lifecycle) in [
            (9, Lifecycle::Joining),
            (10, Lifecycle::Draining),
            (11, Lifecycle::Maintenance),
        ] {
            records.push(node(id, |it| it.lifecycle = lifecycle));
            records.push(instance(id, |_| {}));
        }
        records.extend([node(12, |it| it.weight = 0), instance(12, |_| {})]);
        let earlier_life = |it: &mut Instance| it.reported_in = Incarnation(1);
        records.extend([node(13, |_| {}), instance(13, earlier_life)]);
        let mut picture = Picture::default();
        picture.replace(records);
        let nodes: Vec<u64> = picture.peers().iter().map(|peer| peer.node.0).collect();
        assert_eq!(nodes, [1, 4, 7]);
        assert_eq!(picture.peers()[0].load, 30);
        let lifted = Event {
            key: Key::Pin(NodeId(3)),
            after: None,
        };
        let gone = Event {
            key: Key::Node(NodeId(1)),
            after: None,
        };
        picture.change(vec![lifted, gone]);
        let nodes: Vec<u64> = picture.peers().iter().map(|peer| peer.node.0).collect();
        assert_eq!(nodes, [3, 4, 7]);
    }
}
