//! Topologies and the plans that lead to them.

use super::{field, service::wanted_policy};
use crate::{NotOnWire, ParseError, v1};
use std::collections::BTreeMap;
use tenure_core::{
    NodeName, ServiceName, Step, Topology, TopologyInstance, TopologyNode, TopologyService,
};

impl TryFrom<v1::Topology> for Topology {
    type Error = ParseError;

    fn try_from(wire: v1::Topology) -> Result<Self, ParseError> {
        Ok(Self {
            nodes: named("nodes", wire.nodes, node)?,
            services: named("services", wire.services, service)?,
        })
    }
}

/// Parses elements that carry their names, and refuses a name that comes twice.
fn named<W, N: Ord + std::fmt::Display, T>(
    field: &str,
    wire: Vec<W>,
    parse: fn(W) -> Result<(N, T), ParseError>,
) -> Result<BTreeMap<N, T>, ParseError> {
    let mut all = BTreeMap::new();
    for (at, element) in wire.into_iter().enumerate() {
        let place = format!("{field}[{at}]");
        let (name, value) = parse(element).map_err(|error| error.within(&place))?;
        if all.contains_key(&name) {
            return Err(field::named_before(&place, name));
        }
        all.insert(name, value);
    }
    Ok(all)
}

fn node(wire: v1::topology::Node) -> Result<(NodeName, TopologyNode), ParseError> {
    let node = TopologyNode {
        zone: field::zone("zone", &wire.zone)?,
        labels: field::attributes("labels", wire.labels)?,
        weight: wire.weight,
    };
    Ok((field::node_name("name", &wire.name)?, node))
}

fn service(wire: v1::topology::Service) -> Result<(ServiceName, TopologyService), ParseError> {
    let first = wire.first_primary.as_str();
    let first_primary = if first.is_empty() {
        None
    } else {
        Some(field::node_name("first_primary", first)?)
    };
    let service = TopologyService {
        policy: wanted_policy("policy", wire.policy)?,
        instances: named("instances", wire.instances, instance)?,
        first_primary,
    };
    Ok((field::service_name("name", &wire.name)?, service))
}

fn instance(wire: v1::topology::Instance) -> Result<(NodeName, TopologyInstance), ParseError> {
    let instance = TopologyInstance {
        endpoint: field::endpoint("endpoint", &wire.endpoint)?,
        preference: wire.preference,
    };
    Ok((field::node_name("node", &wire.node)?, instance))
}

impl From<&Topology> for v1::Topology {
    fn from(topology: &Topology) -> Self {
        let node = |(name, node): (&NodeName, &TopologyNode)| v1::topology::Node {
            name: name.as_str().to_owned(),
            zone: field::zone_to_wire(node.zone.as_ref()),
            labels: field::attributes_to_wire(&node.labels),
            weight: node.weight,
        };
        Self {
            nodes: topology.nodes.iter().map(node).collect(),
            services: topology.services.iter().map(service_to_wire).collect(),
        }
    }
}

fn service_to_wire((name, service): (&ServiceName, &TopologyService)) -> v1::topology::Service {
    let instance = |(node, instance): (&NodeName, &TopologyInstance)| v1::topology::Instance {
        node: node.as_str().to_owned(),
        endpoint: instance.endpoint.as_str().to_owned(),
        preference: instance.preference,
    };
    let first = service.first_primary.as_ref();
    v1::topology::Service {
        name: name.as_str().to_owned(),
        policy: Some((&service.policy).into()),
        instances: service.instances.iter().map(instance).collect(),
        first_primary: first
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
    }
}

impl TryFrom<v1::plan_response::Step> for Step {
    type Error = ParseError;

    fn try_from(wire: v1::plan_response::Step) -> Result<Self, ParseError> {
        Ok(Self {
            what: wire.what,
            command: field::message("command", wire.command)?,
        })
    }
}

impl TryFrom<&Step> for v1::plan_response::Step {
    type Error = NotOnWire;

    fn try_from(step: &Step) -> Result<Self, NotOnWire> {
        Ok(Self {
            what: step.what.clone(),
            command: Some((&step.command).try_into()?),
        })
    }
}
