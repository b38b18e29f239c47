//! How a change reads.

use super::{
    super::{automation::settings, instance, pause, until},
    shape,
};
use serde::Serialize;
use tenure_core::{Assignment, Automation, Instance, Key, Node, Record, RecordKind, State};

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
    Automation(shape::Automation),
    Pause(shape::Pause),
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
        RecordKind::Automation => "automation",
        RecordKind::Pause => "pause",
    }
}

/// The key with the names of nodes in place of their numbers.
pub(super) fn key(state: &State, key: &Key) -> String {
    match key {
        Key::Node(id) => format!("node {}", shape::node_name(state, *id)),
        Key::Pin(id) => format!("pin of node {}", shape::node_name(state, *id)),
        Key::Instance(service, id) => format!("{service} on {}", shape::node_name(state, *id)),
        Key::Pause(scope) => format!("pause of {}", pause::wording(state, scope)),
        Key::Settings
        | Key::Server(_)
        | Key::Service(_)
        | Key::Assignment(_)
        | Key::History(_)
        | Key::Client(_)
        | Key::Automation
        | Key::Receipt(..)
        | Key::Store(..)
        | Key::Rebalance(_)
        | Key::Item(..) => key.to_string(),
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
        Record::Automation(now) => RecordShape::Automation(now.as_ref().into()),
        Record::Pause(pause) => RecordShape::Pause(shape::Pause::new(state, pause)),
        Record::History(_)
        | Record::Client(_)
        | Record::Receipt(_)
        | Record::Store(_)
        | Record::Rebalance(_)
        | Record::Item(_) => return None,
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
        Record::Automation(now) => {
            let before = match before {
                Some(Record::Automation(before)) => **before,
                Some(_) | None => Automation::default(),
            };
            format!("{name}: {}", of_automation(now, &before))
        }
        Record::Pause(now) => format!("{name}: {}: {}", until::wording(now.until), now.reason),
        Record::History(_)
        | Record::Client(_)
        | Record::Receipt(_)
        | Record::Store(_)
        | Record::Rebalance(_)
        | Record::Item(_) => name,
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
    let in_sync = shape::node_names(state, &now.in_sync);
    text.push_str(&format!(", in sync {}", in_sync.join(" ")));
    if !now.syncing.is_empty() {
        let syncing = shape::node_names(state, &now.syncing);
        text.push_str(&format!(", syncing {}", syncing.join(" ")));
    }
    if !now.reason.as_str().is_empty() {
        text.push_str(&format!(" ({})", now.reason));
    }
    text
}

/// What is different.
fn of_automation(now: &Automation, before: &Automation) -> String {
    let settings = settings(now).into_iter().zip(settings(before));
    let differ = settings.filter(|(now, before)| now != before);
    let words = differ.map(|((key, now, _), (_, before, _))| format!("{key} {now}, was {before}"));
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return "as it is by default".to_owned();
    }
    words.join("; ")
}

fn of_instance(state: &State, now: &Instance) -> String {
    let mut text = format!("{} at {}", state.health(now), now.endpoint);
    if let Some((role, epoch)) = now.report.role {
        text.push_str(&format!(", says {role} in epoch {epoch}"));
    }
    if let Some(position) = &now.report.position {
        text.push_str(&format!(", position {}", instance::position(position)));
    }
    if !now.report.note.as_str().is_empty() {
        text.push_str(&format!(" ({})", now.report.note));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::super::receipts::wording::tests::nodes, *};
    use std::sync::Arc;
    use tenure_core::{Millis, NodeId, Note, Pause, Revision, Scope, Timestamp};

    #[test]
    fn automation_and_pauses_are_told_in_words() {
        let before = Record::Automation(Arc::new(Automation::default()));
        let now = Record::Automation(Arc::new(Automation {
            fast_lease: Millis(2_000),
            storm_budget: 3,
            ..Automation::default()
        }));
        let told = "automation: fast_lease 2s, was 1s; storm_budget 3, was 2";
        assert_eq!(sentence(&nodes(), &now, Some(&before)), told);
        assert_eq!(sentence(&nodes(), &now, None), told);
        let pause = Record::Pause(Arc::new(Pause {
            scope: Scope::Node(NodeId(2)),
            until: Some(Timestamp(951_782_400_000)),
            reason: Note::new("kernel update").unwrap(),
            modified: Revision(9),
        }));
        let told = "pause of node db-2: until 2000-02-29T00:00:00Z: kernel update";
        assert_eq!(sentence(&nodes(), &pause, None), told);
    }
}
