//! What a topology does not name, and what keeps it from being removed.

use super::Plan;
use crate::{
    Command, Instance, Key, Lifecycle, Node, NodeId, NodeName, NodeRef, Note, Service, ServiceName,
    State, Topology,
};
use std::collections::BTreeSet;

pub(super) fn plan(plan: &mut Plan, state: &State, topology: &Topology, remove: bool) {
    for service in state.services().values() {
        let wanted = topology.services.get(&service.name);
        for instance in state.instances(&service.name) {
            let name = state.nodes().get(&instance.node).map(|node| &node.name);
            let keep = wanted
                .zip(name)
                .is_some_and(|(w, name)| w.instances.contains_key(name));
            let is_primary = is_primary(state, &service.name, instance.node);
            let goes_with_service = remove && is_primary && wanted.is_none();
            if !keep && !goes_with_service {
                let stays = stays(state, instance, is_primary);
                surplus_instance(plan, instance, stays, remove);
            }
        }
        if wanted.is_none() {
            let stays = holds_items(state, service);
            surplus_service(plan, service, stays, remove);
        }
    }
    let services = topology.services.values();
    let named: BTreeSet<&NodeName> = services.flat_map(|s| s.instances.keys()).collect();
    let present = state.nodes().values().filter(|node| node.is_present());
    for node in present.filter(|node| !topology.nodes.contains_key(&node.name)) {
        let held = |service: &&ServiceName| {
            topology.services.contains_key(*service) && is_primary(state, service, node.id)
        };
        let stays = if named.contains(&node.name) {
            Some("a service of the topology names it".to_owned())
        } else {
            let service = state.services_on(node.id).find(held);
            let primary = service.map(|name| format!("it is the primary of {name}"));
            let holds = |name: &&ServiceName| copies_on(state, name, node.id) > 0;
            let holder = || state.services_on(node.id).find(holds);
            primary.or_else(|| Some(format!("it holds copies of {}", holder()?)))
        };
        surplus_node(plan, node, stays, remove);
    }
}

fn is_primary(state: &State, service: &ServiceName, node: NodeId) -> bool {
    let primary = state.assignment(service).and_then(|now| now.primary);
    primary.is_some_and(|primary| primary.node == node)
}

const NOT_NAMED: &str = "not in the topology; kept, as removal was not asked for";

/// Copies of a service that a node has, in any state.
fn copies_on(state: &State, service: &ServiceName, node: NodeId) -> u64 {
    let store = state.ledger(service).and_then(|ledger| ledger.store(node));
    store.map_or(0, crate::copies::Store::items)
}

/// Why an instance is not removed although the topology does not name it.
fn stays(state: &State, instance: &Instance, is_primary: bool) -> Option<String> {
    let copies = copies_on(state, &instance.service, instance.node);
    if is_primary {
        Some("it is the primary; make another one primary first".to_owned())
    } else if copies > 0 {
        Some(format!("it holds {copies} copies; drain its node first"))
    } else {
        None
    }
}

/// Why a service is not removed although the topology does not name it.
fn holds_items(state: &State, service: &Service) -> Option<String> {
    let ledger = state.ledger(&service.name)?;
    let held = state
        .instances(&service.name)
        .any(|instance| copies_on(state, &service.name, instance.node) > 0);
    let items = ledger.count();
    (items > 0 || held).then(|| format!("it has {items} items; remove them first"))
}

fn surplus_instance(plan: &mut Plan, instance: &Instance, stays: Option<String>, remove: bool) {
    let Instance {
        service,
        node,
        modified,
        ..
    } = instance;
    let subject = Key::Instance(service.clone(), *node);
    if !remove {
        plan.holds.push(format!("{subject}: {NOT_NAMED}"));
    } else if let Some(why) = stays {
        plan.holds.push(format!("{subject}: {why}"));
    } else {
        let (service, node) = (service.clone(), NodeRef::Id(*node));
        let command = Command::RemoveInstance {
            service,
            node,
            expected: *modified,
        };
        plan.step(format!("remove {subject}"), command);
    }
}

fn surplus_service(plan: &mut Plan, service: &Service, stays: Option<String>, remove: bool) {
    let Service { name, modified, .. } = service;
    if let Some(why) = stays.filter(|_| remove) {
        plan.holds.push(format!("service {name}: {why}"));
    } else if remove {
        let command = Command::RemoveService {
            name: name.clone(),
            expected: *modified,
        };
        plan.step(format!("remove service {name}"), command);
    } else {
        plan.holds.push(format!("service {name}: {NOT_NAMED}"));
    }
}

fn surplus_node(plan: &mut Plan, node: &Node, stays: Option<String>, remove: bool) {
    let Node {
        name,
        id,
        modified,
        lifecycle,
        ..
    } = node;
    if !remove {
        plan.holds.push(format!("node {name}: {NOT_NAMED}"));
    } else if *lifecycle == Lifecycle::Active {
        plan.holds
            .push(format!("node {name}: it is active; drain it first"));
    } else if let Some(why) = stays {
        plan.holds.push(format!("node {name}: {why}"));
    } else {
        let command = Command::RemoveNode {
            node: NodeRef::Id(*id),
            expected: *modified,
            reason: Note::new("not in the topology").unwrap_or_default(),
        };
        plan.step(format!("remove node {name}"), command);
    }
}
