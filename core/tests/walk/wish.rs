//! Random topologies.

use super::dice::Dice;
use crate::fixture::*;
use tenure_core::{
    Attributes, Kind, NodeName, Policy, ServiceName, Topology, TopologyInstance, TopologyNode,
    TopologyService,
};

pub fn topology(dice: &mut Dice) -> Topology {
    let mut wanted = Topology::default();
    for name in ["a", "b", "c", "d", "e", "x"] {
        if dice.percent(60) {
            wanted.nodes.insert(node_name(name), node(dice));
        }
    }
    for name in ["p", "q", "r", "w", "y"] {
        if dice.percent(60) {
            let (name, service) = service_of(dice, name);
            wanted.services.insert(name, service);
        }
    }
    wanted
}

fn node(dice: &mut Dice) -> TopologyNode {
    TopologyNode {
        zone: None,
        labels: Attributes::default(),
        weight: dice.pick([0, 100]).expect("there are two"),
    }
}

fn service_of(dice: &mut Dice, name: &str) -> (ServiceName, TopologyService) {
    let kinds = [Kind::Primary, Kind::Primary, Kind::Peers, Kind::Copies];
    let kind = dice.pick(kinds).expect("there are some");
    let mut wanted = TopologyService {
        policy: Policy::default_for(kind),
        instances: [].into(),
        first_primary: dice.percent(60).then(|| any_node(dice)),
    };
    for _ in 0..dice.below(4) {
        let instance = TopologyInstance {
            endpoint: endpoint(1 + dice.below(2)),
            preference: dice.pick([0, 50, 100]).expect("there are some"),
        };
        wanted.instances.insert(any_node(dice), instance);
    }
    (service(name), wanted)
}

fn any_node(dice: &mut Dice) -> NodeName {
    let name = dice.pick(["a", "b", "c", "d", "e", "x", "z"]);
    node_name(name.expect("there are some"))
}
