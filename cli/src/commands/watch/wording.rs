//! How a change reads.

use super::shape;
use serde::Serialize;
use tenure_core::{Assignment, Instance, Key, Node, Record, RecordKind, State};

/// A record in the shape of its kind.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RecordShape {
    Settings(shape::Settings),
    Server(shape::Server),
    Node(shape::Node),
    Service(shape::Service),
    Assignment(shape::Assignment),
    Instance(shape::Instance),
    Pin(shape::Pin),
}

pub(super) fn kind(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Settings => "settings",
        RecordKind::Server => "server",
        RecordKind::Node => "node",
        RecordKind::Service => "service",
        RecordKind::Assignment => "assignment",
        RecordKind::Instance => "instance",
        RecordKind::Pin => "pin",
    }
}

/// The key with the names of nodes in place of their numbers.
pub(super) fn key(state: &State, key: &Key) -> String {
    match key {
        Key::Node(id) => format!("node {}", shape::node_name(state, *id)),
        Key::Pin(id) => format!("pin of node {}", shape::node_name(state, *id)),
        Key::Instance(service, id) => format!("{service} on {}", shape::node_name(state, *id)),
        Key::Settings
        | Key::Server(_)
        | Key::Service(_)
        | Key::Assignment(_)
        | Key::History(_)
        | Key::Client(_) => key.to_string(),
    }
}

/// None for what no watcher is sent.
pub(super) fn shape(state: &State, record: &Record) -> Option<RecordShape> {
    Some(match record {
        Record::Settings(settings) => RecordShape::Settings(settings.as_ref().into()),
        Record::Server(server) => RecordShape::Server(server.as_ref().into()),
        Record::Node(node) => RecordShape::Node(node.as_ref().into()),
        Record::Service(service) => RecordShape::Service(shape::Service::new(state, service)),
        Record::Assignment(now) => RecordShape::Assignment(shape::Assignment::new(state, now)),
        Record::Instance(instance) => RecordShape::Instance(shape::Instance::new(state, instance)),
        Record::Pin(pin) => RecordShape::Pin(shape::Pin::new(state, pin)),
        Record::History(_) | Record::Client(_) => return None,
    })
}

pub(super) fn sentence(state: &State, record: &Record, before: Option<&Record>) -> String {
    let name = key(state, &record.key());
    match record {
        Record::Settings(now) => format!(
            "{name}: history_max {}, clients_max {}, feature_level {}",
            now.history_max, now.clients_max, now.feature_level
        ),
        Record::Server(now) => {
            format!("{name}: {}, api {}, raft {}", now.status, now.api, now.raft)
        }
        Record::Node(now) => format!("{name}: {}", of_node(now)),
        Record::Service(now) => format!("{name}: kind {}, policy changed or set", now.kind()),
        Record::Assignment(now) => {
            let before = match before {
                Some(Record::Assignment(before)) => Some(before.as_ref()),
                Some(_) | None => None,
            };
            format!("{}: {}", now.service, of_assignment(state, now, before))
        }
        Record::Instance(now) => format!("{name}: {}", of_instance(state, now)),
        Record::Pin(now) => format!("{name}: {}: {}", now.kind, now.reason),
        Record::History(_) | Record::Client(_) => name,
    }
}

fn of_node(now: &Node) -> String {
    let mut text = format!(
        "{}, incarnation {}, weight {}",
        now.lifecycle, now.incarnation, now.weight
    );
    if let Some(zone) = &now.zone {
        text.push_str(&format!(", zone {zone}"));
    }
    if !now.reason.as_str().is_empty() {
        text.push_str(&format!(" ({})", now.reason));
    }
    text
}

fn of_assignment(state: &State, now: &Assignment, before: Option<&Assignment>) -> String {
    let Some(primary) = now.primary else {
        return format!("no primary, epoch {}", now.epoch);
    };
    let endpoint = state
        .instance(&now.service, primary.node)
        .map_or_else(String::new, |instance| format!(" at {}", instance.endpoint));
    let mut text = format!(
        "primary {}{endpoint}, epoch {}",
        shape::node_name(state, primary.node),
        now.epoch
    );
    let moved_from = before
        .and_then(|before| before.primary)
        .filter(|old| *old != primary);
    if let Some(old) = moved_from {
        text.push_str(&format!(", was {}", shape::node_name(state, old.node)));
    }
    let in_sync: Vec<String> = now
        .in_sync
        .iter()
        .map(|node| shape::node_name(state, *node))
        .collect();
    text.push_str(&format!(", in sync {}", in_sync.join(" ")));
    if !now.reason.as_str().is_empty() {
        text.push_str(&format!(" ({})", now.reason));
    }
    text
}

fn of_instance(state: &State, now: &Instance) -> String {
    let mut text = format!("{} at {}", state.health(now), now.endpoint);
    if let Some((role, epoch)) = now.report.role {
        text.push_str(&format!(", says {role} in epoch {epoch}"));
    }
    if let Some(position) = &now.report.position {
        text.push_str(&format!(
            ", position {}:{}",
            position.history, position.offset
        ));
    }
    if !now.report.note.as_str().is_empty() {
        text.push_str(&format!(" ({})", now.report.note));
    }
    text
}
