//! The topology file: what a cluster is to look like, as TOML. Every error names the file, the key,
//! the value, and what would be right.

#[cfg(test)]
mod garbage;
mod place;
mod policy;
#[cfg(test)]
mod tests;

pub use place::TopologyError;

use place::Place;
use std::{collections::BTreeMap, path::Path};
use tenure_core::{
    Attributes, Endpoint, Kind, NodeName, ServiceName, Topology, TopologyInstance, TopologyNode,
    TopologyService, Zone, limits::WEIGHT_MAX,
};
use toml::Table;

/// The example of eleven nodes that `dev` builds.
pub const EXAMPLE: &str = include_str!("../../../examples/topology.toml");

/// What a node's weight is when the file names none.
const WEIGHT_DEFAULT: u32 = 100;
/// What an instance's preference is when the file names none.
const PREFERENCE_DEFAULT: u32 = 100;

/// Reads a topology file.
///
/// # Errors
/// [`TopologyError`] when it cannot be read or something in it is not right; a retry cannot help.
pub fn read(path: &Path) -> Result<Topology, TopologyError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&file, &text),
        Err(why) => Err(TopologyError::Unreadable {
            file,
            why: why.to_string(),
        }),
    }
}

/// Parses the text of a topology file; `file` is its name in errors.
///
/// # Errors
/// [`TopologyError`] names the first thing that is not right.
pub fn parse(file: &str, text: &str) -> Result<Topology, TopologyError> {
    let table: Table = text
        .parse()
        .map_err(|why: toml::de::Error| TopologyError::Syntax {
            file: file.to_owned(),
            why: why.to_string().trim_end().to_owned(),
        })?;
    let root = Place::root(file);
    root.only(&table, &["nodes", "services"])?;
    let nodes = root.each(&table, "nodes", node_name, node)?;
    let services = root.each(&table, "services", service_name, service)?;
    Ok(Topology { nodes, services })
}

fn node_name(place: &Place<'_>, name: &str) -> Result<NodeName, TopologyError> {
    NodeName::new(name).map_err(|why| place.wrong_key(name, &why.to_string()))
}

fn service_name(place: &Place<'_>, name: &str) -> Result<ServiceName, TopologyError> {
    ServiceName::new(name).map_err(|why| place.wrong_key(name, &why.to_string()))
}

fn node(place: &Place<'_>, value: &toml::Value) -> Result<TopologyNode, TopologyError> {
    let table = place.as_table(value)?;
    place.only(table, &["zone", "weight", "labels"])?;
    let zone = place.text(table, "zone")?;
    let zone = zone.map(|text| {
        Zone::new(text).map_err(|why| place.at("zone").wrong(&table["zone"], &why.to_string()))
    });
    Ok(TopologyNode {
        zone: zone.transpose()?,
        labels: labels(&place.at("labels"), table.get("labels"))?,
        weight: place
            .number(table, "weight", WEIGHT_MAX)?
            .unwrap_or(WEIGHT_DEFAULT),
    })
}

fn labels(place: &Place<'_>, value: Option<&toml::Value>) -> Result<Attributes, TopologyError> {
    let Some(value) = value else {
        return Ok(Attributes::default());
    };
    let mut pairs = BTreeMap::new();
    for (key, value) in place.as_table(value)? {
        let text = value
            .as_str()
            .ok_or_else(|| place.at(key).wrong(value, "a text is needed"))?;
        pairs.insert(key.clone(), text.to_owned());
    }
    Attributes::new(pairs).map_err(|why| place.wrong(value, &why.to_string()))
}

fn service(place: &Place<'_>, value: &toml::Value) -> Result<TopologyService, TopologyError> {
    let table = place.as_table(value)?;
    let policy = policy::policy(place, table)?;
    let instances = place.each(table, "instances", node_name, instance)?;
    let first_primary = first_primary(place, table, policy.kind(), &instances)?;
    Ok(TopologyService {
        policy,
        instances,
        first_primary,
    })
}

fn first_primary(
    place: &Place<'_>,
    table: &Table,
    kind: Kind,
    instances: &BTreeMap<NodeName, TopologyInstance>,
) -> Result<Option<NodeName>, TopologyError> {
    let Some(text) = place.text(table, "first_primary")? else {
        return Ok(None);
    };
    let here = place.at("first_primary");
    let wrong = |why: &str| here.wrong(&table["first_primary"], why);
    if kind != Kind::Primary {
        return Err(wrong(&format!(
            "a service of kind {kind} has no primary; leave the key out"
        )));
    }
    let name = NodeName::new(text).map_err(|why| wrong(&why.to_string()))?;
    if instances.contains_key(&name) {
        return Ok(Some(name));
    }
    let known: Vec<&str> = instances.keys().map(NodeName::as_str).collect();
    Err(wrong(&match known.as_slice() {
        [] => "the service has no instances; name some first".to_owned(),
        some => format!("must be one of its instances: {}", some.join(", ")),
    }))
}

fn instance(place: &Place<'_>, value: &toml::Value) -> Result<TopologyInstance, TopologyError> {
    if let Some(text) = value.as_str() {
        let endpoint = endpoint(place, value, text)?;
        return Ok(TopologyInstance {
            endpoint,
            preference: PREFERENCE_DEFAULT,
        });
    }
    let Some(table) = value.as_table() else {
        return Err(place.wrong(
            value,
            r#"must be "HOST:PORT" or { endpoint = "HOST:PORT", preference = 100 }"#,
        ));
    };
    place.only(table, &["endpoint", "preference"])?;
    let Some(text) = place.text(table, "endpoint")? else {
        return Err(place.at("endpoint").missing(r#"a text "HOST:PORT""#));
    };
    let endpoint = endpoint(&place.at("endpoint"), &table["endpoint"], text)?;
    let preference = place.number(table, "preference", u32::MAX)?;
    Ok(TopologyInstance {
        endpoint,
        preference: preference.unwrap_or(PREFERENCE_DEFAULT),
    })
}

fn endpoint(place: &Place<'_>, value: &toml::Value, text: &str) -> Result<Endpoint, TopologyError> {
    Endpoint::new(text).map_err(|_| {
        place.wrong(
            value,
            "must be HOST:PORT with a port from 1 to 65535 (IPv6 in brackets)",
        )
    })
}
