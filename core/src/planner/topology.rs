//! Topology: a wanted set of nodes, services and instances, and the commands that lead there.
//!
//! The plan only adds and changes, unless removal is asked for in so many words. It never touches
//! who is primary beyond naming the first one: that is a decision about data, not about layout.

mod surplus;

use crate::{
    Attributes, Command, Endpoint, Epoch, Kind, Node, NodeName, NodeRef, Note, PinKind, Policy,
    Service, ServiceName, State, Zone,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A wanted node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyNode {
    /// Its failure domain.
    pub zone: Option<Zone>,
    /// Its labels.
    pub labels: Attributes,
    /// Its relative share.
    pub weight: u32,
}

/// A wanted instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyInstance {
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// Whom to prefer as primary.
    pub preference: u32,
}

/// A wanted service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyService {
    /// What is wanted of it.
    pub policy: Policy,
    /// Its instances by node.
    pub instances: BTreeMap<NodeName, TopologyInstance>,
    /// Who is to be the first primary. Without effect once there was one.
    pub first_primary: Option<NodeName>,
}

/// What the cluster is to look like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topology {
    /// Nodes by name.
    pub nodes: BTreeMap<NodeName, TopologyNode>,
    /// Services by name.
    pub services: BTreeMap<ServiceName, TopologyService>,
}

/// One command of a plan, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, as a sentence.
    pub what: String,
    /// The command, conditional on what the plan saw.
    pub command: Command,
}

/// How to get from the state to the topology.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Plan {
    /// What to do, in this order.
    pub steps: Vec<Step>,
    /// What stays different, and why.
    pub holds: Vec<String>,
}

impl Plan {
    fn step(&mut self, what: String, command: Command) {
        self.steps.push(Step { what, command });
    }
}

/// Plans the way to `topology`. With `remove`, what the topology does not name is taken away.
pub fn plan(state: &State, topology: &Topology, remove: bool) -> Plan {
    let mut plan = Plan::default();
    for (name, wanted) in &topology.nodes {
        plan_node(&mut plan, state, name, wanted);
    }
    for (name, wanted) in &topology.services {
        plan_service(&mut plan, state, topology, name, wanted);
    }
    surplus::plan(&mut plan, state, topology, remove);
    plan
}

fn plan_node(plan: &mut Plan, state: &State, name: &NodeName, wanted: &TopologyNode) {
    let TopologyNode {
        zone,
        labels,
        weight,
    } = wanted.clone();
    let Some(now) = present(state, name) else {
        let command = Command::AddNode {
            name: name.clone(),
            zone,
            labels,
            weight,
        };
        plan.step(format!("add node {name}"), command);
        return;
    };
    if (&now.zone, &now.labels, now.weight) != (&zone, &labels, weight) {
        let node = NodeRef::Id(now.id);
        let expected = now.modified;
        let command = Command::UpdateNode {
            node,
            expected,
            zone,
            labels,
            weight,
        };
        plan.step(format!("change node {name}"), command);
    }
}

fn plan_service(
    plan: &mut Plan,
    state: &State,
    topology: &Topology,
    name: &ServiceName,
    wanted: &TopologyService,
) {
    match state.services().get(name) {
        None => {
            let command = Command::AddService {
                name: name.clone(),
                policy: wanted.policy,
            };
            plan.step(
                format!("add service {name} ({})", wanted.policy.kind()),
                command,
            );
        }
        Some(now) => plan_policy(plan, now, wanted.policy),
    }
    for (node, instance) in &wanted.instances {
        if present(state, node).is_none() && !topology.nodes.contains_key(node) {
            plan.holds
                .push(format!("{name} on {node}: there is no such node"));
        } else {
            plan_instance(plan, state, name, node, instance);
        }
    }
    plan_first_primary(plan, state, topology, name, wanted);
}

fn plan_policy(plan: &mut Plan, now: &Service, policy: Policy) {
    if policy.kind() != now.kind() {
        plan.holds.push(format!(
            "service {}: it is of kind {} and the kind is fixed; remove it first to make it {}",
            now.name,
            now.kind(),
            policy.kind()
        ));
    } else if policy != now.policy {
        let command = Command::UpdateService {
            name: now.name.clone(),
            expected: now.modified,
            policy,
        };
        plan.step(format!("change policy of {}", now.name), command);
    }
}

fn plan_instance(
    plan: &mut Plan,
    state: &State,
    service: &ServiceName,
    node: &NodeName,
    wanted: &TopologyInstance,
) {
    let TopologyInstance {
        endpoint,
        preference,
    } = wanted.clone();
    let (service, known) = (service.clone(), present(state, node));
    let Some(now) = known.and_then(|node| state.instance(&service, node.id)) else {
        if let Some(held) = known.filter(|node| !node.lifecycle.accepts_placement()) {
            plan.holds.push(format!(
                "{service} on {node}: the node is {}",
                held.lifecycle
            ));
            return;
        }
        let what = format!("add {service} on {node}");
        let node = NodeRef::Name(node.clone());
        plan.step(
            what,
            Command::AddInstance {
                service,
                node,
                endpoint,
                preference,
            },
        );
        return;
    };
    if (&now.endpoint, now.preference) != (&endpoint, preference) {
        let what = format!("change {service} on {node}");
        let (node, expected) = (NodeRef::Id(now.node), now.modified);
        let command = Command::UpdateInstance {
            service,
            node,
            expected,
            endpoint,
            preference,
        };
        plan.step(what, command);
    }
}

fn plan_first_primary(
    plan: &mut Plan,
    state: &State,
    topology: &Topology,
    name: &ServiceName,
    wanted: &TopologyService,
) {
    let Some(first) = &wanted.first_primary else {
        return;
    };
    let known = state.assignment(name);
    if known.is_some_and(|now| now.primary.is_some()) {
        return;
    }
    if let Some(why) = stands_against(state, topology, name, wanted, first) {
        plan.holds.push(format!(
            "{name}: {first} is to be its first primary, but {why}"
        ));
        return;
    }
    let command = Command::SetPrimary {
        service: name.clone(),
        to: NodeRef::Name(first.clone()),
        succeeds: known.map_or(Epoch(0), |now| now.epoch),
        accept_loss: false,
        reason: Note::new("first primary, by the topology").unwrap_or_default(),
    };
    plan.step(format!("make {first} the first primary of {name}"), command);
}

/// Why `apply` would reject `first` as the first primary: then it is held rather than tried.
fn stands_against(
    state: &State,
    topology: &Topology,
    name: &ServiceName,
    wanted: &TopologyService,
    first: &NodeName,
) -> Option<String> {
    let now = state.services().get(name).map(|service| service.kind());
    let kinds = [Some(wanted.policy.kind()), now];
    if let Some(kind) = kinds.into_iter().flatten().find(|k| *k != Kind::Primary) {
        return Some(format!("a service of kind {kind} has none"));
    }
    let Some(instance) = wanted.instances.get(first) else {
        return Some("has no instance of it".to_owned());
    };
    if instance.preference == 0 {
        return Some("its preference there is 0: never".to_owned());
    }
    let Some(node) = present(state, first) else {
        let known = topology.nodes.contains_key(first);
        return (!known).then(|| "there is no such node".to_owned());
    };
    if !node.lifecycle.accepts_placement() {
        return Some(format!("the node is {}", node.lifecycle));
    }
    let pin = state.pins().get(&node.id)?;
    (pin.kind == PinKind::Down).then(|| format!("the node is pinned down ({})", pin.reason))
}

fn present<'a>(state: &'a State, name: &NodeName) -> Option<&'a Node> {
    state
        .find_node(&NodeRef::Name(name.clone()))
        .map(AsRef::as_ref)
}
