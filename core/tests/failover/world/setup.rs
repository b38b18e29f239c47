//! What a world begins with.

use super::{World, nodes::Node};
use crate::failover::store::Store;
use tenure_core::{
    Attributes, Automation, Command, Endpoint, Epoch, Incarnation, LossPolicy, Millis, NodeId,
    NodeName, NodeRef, Note, Outcome, Policy, PrimaryPolicy, Revision, ServiceName, Zone,
};

/// The service of a world that has one.
pub fn service() -> ServiceName {
    ServiceName::new("redis-server").expect("it is well-formed")
}

pub fn policy(loss: LossPolicy) -> PrimaryPolicy {
    PrimaryPolicy {
        loss,
        replicas: 2,
        write_acks: 1,
        anti_flap_ms: Millis(0),
    }
}

/// Nodes with an instance, and its preference.
type Placed = Vec<(u64, u32)>;

/// What a world begins with.
pub struct Setup {
    pub seed: u64,
    /// The zone of each node, from node 1 on.
    pub zones: Vec<&'static str>,
    /// Each service, and its nodes with their preferences; the first is its first primary.
    pub services: Vec<(ServiceName, Policy, Placed)>,
    pub automation: Automation,
    /// How many replicas a client waits for.
    pub client_acks: usize,
    /// Whether the first node of each service is its primary to begin with.
    pub assigned: bool,
}

impl Setup {
    /// Three nodes in three zones, and one service on all of them.
    pub fn new(seed: u64, loss: LossPolicy) -> Self {
        Self::of(seed, 3, policy(loss))
    }

    /// So many nodes, and one service on all of them.
    pub fn of(seed: u64, nodes: u64, policy: PrimaryPolicy) -> Self {
        let zone = |node| ["a", "b", "c"][usize::try_from(node % 3).expect("it is small")];
        let on_all = (1..=nodes).map(|node| (node, 100)).collect();
        Self {
            seed,
            zones: (1..=nodes).map(zone).collect(),
            services: vec![(service(), Policy::Primary(policy), on_all)],
            automation: Automation::default(),
            client_acks: usize::try_from(policy.write_acks).expect("it is small"),
            assigned: true,
        }
    }

    /// Without primaries to begin with.
    pub fn unassigned(self) -> Self {
        Self {
            assigned: false,
            ..self
        }
    }

    /// A service more.
    pub fn with(mut self, name: &str, policy: Policy, nodes: &[u64]) -> Self {
        let name = ServiceName::new(name).expect("it is well-formed");
        let nodes = nodes.iter().map(|node| (*node, 100)).collect();
        self.services.push((name, policy, nodes));
        self
    }
}

impl World {
    pub(super) fn set_up(&mut self, setup: &Setup) {
        self.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
        self.must(Command::RaiseFeatureLevel { from: 2, to: 3 });
        self.must(Command::SetAutomation {
            expected: Revision(0),
            automation: setup.automation,
        });
        for (node, zone) in (1..).zip(&setup.zones) {
            self.must(Command::AddNode {
                name: NodeName::new(&format!("n{node}")).expect("it is well-formed"),
                zone: Some(Zone::new(zone).expect("it is well-formed")),
                labels: Attributes::default(),
                weight: 100,
            });
            self.must(Command::JoinNode {
                node: NodeRef::Id(NodeId(node)),
                last: Incarnation(0),
            });
            self.nodes.push(Node::new(setup.services.len()));
        }
        for (index, (name, policy, nodes)) in setup.services.iter().enumerate() {
            self.services.push(name.clone());
            self.must(Command::AddService {
                name: name.clone(),
                policy: *policy,
            });
            self.place(index, name, policy, nodes);
            if setup.assigned && matches!(policy, Policy::Primary(_)) {
                self.assign(name, nodes[0].0);
            }
            if matches!(policy, Policy::Copies(_)) {
                self.items.set_up(index, self.nodes.len());
            }
        }
    }

    fn place(&mut self, index: usize, name: &ServiceName, policy: &Policy, nodes: &[(u64, u32)]) {
        let is_primary = matches!(policy, Policy::Primary(_));
        for (node, preference) in nodes {
            self.must(Command::AddInstance {
                service: name.clone(),
                node: NodeRef::Id(NodeId(*node)),
                endpoint: Endpoint::new(&format!("n{node}:1")).expect("it is well-formed"),
                preference: *preference,
            });
            let store = if is_primary {
                Store::replica(0)
            } else {
                Store::peer()
            };
            self.node_mut(*node).stores[index] = Some(store);
        }
    }

    fn assign(&mut self, name: &ServiceName, node: u64) {
        self.must(Command::SetPrimary {
            service: name.clone(),
            to: NodeRef::Id(NodeId(node)),
            succeeds: Epoch(0),
            accept_loss: false,
            reason: Note::default(),
        });
    }

    /// Commits a command as an operator's.
    pub fn must(&mut self, command: Command) {
        let outcome = self.commit(command);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
}
