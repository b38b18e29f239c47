//! Views: which records somebody wants to see, and reading them page by page in key order.

use crate::{Instance, Key, NodeId, Record, Scope, ServiceName, State};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

/// The kinds of record that clients see, in key order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// The cluster's settings.
    Settings,
    /// Servers.
    Server,
    /// Nodes.
    Node,
    /// Services.
    Service,
    /// Assignments.
    Assignment,
    /// Instances.
    Instance,
    /// Pins.
    Pin,
    /// How the cluster decides by itself.
    Automation,
    /// Pauses.
    Pause,
}

impl RecordKind {
    /// All of them, in key order.
    pub const ALL: [Self; 9] = [
        Self::Settings,
        Self::Server,
        Self::Node,
        Self::Service,
        Self::Assignment,
        Self::Instance,
        Self::Pin,
        Self::Automation,
        Self::Pause,
    ];

    /// The kind of the record under a key; None for what clients do not see.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        match key {
            Key::Settings => Some(Self::Settings),
            Key::Server(_) => Some(Self::Server),
            Key::Node(_) => Some(Self::Node),
            Key::Service(_) => Some(Self::Service),
            Key::Assignment(_) => Some(Self::Assignment),
            Key::Instance(..) => Some(Self::Instance),
            Key::Pin(_) => Some(Self::Pin),
            Key::Automation => Some(Self::Automation),
            Key::Pause(_) => Some(Self::Pause),
            Key::History(_)
            | Key::Client(_)
            | Key::Receipt(..)
            | Key::Store(..)
            | Key::Rebalance(_)
            | Key::Item(..) => None,
        }
    }
}

/// Which records somebody wants. The default wants all that clients see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only these kinds; all when empty.
    pub kinds: BTreeSet<RecordKind>,
    /// Of services, assignments and instances, only those of these services; all when empty.
    pub services: BTreeSet<ServiceName>,
}

impl Filter {
    /// Whether the record under a key is wanted.
    #[must_use]
    pub fn wants(&self, key: &Key) -> bool {
        RecordKind::of(key).is_some_and(|kind| self.wants_kind(kind))
            && key.service().is_none_or(|name| self.wants_service(name))
    }

    fn wants_kind(&self, kind: RecordKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    fn wants_service(&self, name: &ServiceName) -> bool {
        self.services.is_empty() || self.services.contains(name)
    }
}

impl State {
    /// Up to `max` wanted records whose keys come after `after`, in key order.
    ///
    /// The cost is that of the page, not of the state, as long as the filter names services or none.
    #[must_use]
    pub fn page(&self, filter: &Filter, after: Option<&Key>, max: usize) -> Vec<Record> {
        let mut page = Vec::new();
        for kind in RecordKind::ALL
            .into_iter()
            .filter(|kind| filter.wants_kind(*kind))
        {
            let left = max.saturating_sub(page.len());
            match after.and_then(RecordKind::of) {
                Some(seen) if seen > kind => {}
                Some(seen) if seen == kind => page.extend(self.of_kind(kind, filter, after, left)),
                Some(_) | None => page.extend(self.of_kind(kind, filter, None, left)),
            }
        }
        page
    }

    fn of_kind(
        &self,
        kind: RecordKind,
        filter: &Filter,
        after: Option<&Key>,
        max: usize,
    ) -> Vec<Record> {
        let wants = |name: &ServiceName| filter.wants_service(name);
        match kind {
            RecordKind::Settings if after.is_none() && max > 0 => {
                vec![Record::Settings(self.settings.clone())]
            }
            RecordKind::Settings => vec![],
            RecordKind::Server => rows(
                &self.servers,
                after.and_then(server),
                max,
                |_| true,
                Record::Server,
            ),
            RecordKind::Node => rows(
                &self.nodes,
                after.and_then(node),
                max,
                |_| true,
                Record::Node,
            ),
            RecordKind::Pin => rows(&self.pins, after.and_then(node), max, |_| true, Record::Pin),
            RecordKind::Service => rows(
                &self.services,
                after.and_then(Key::service),
                max,
                wants,
                Record::Service,
            ),
            RecordKind::Assignment => rows(
                &self.assignments,
                after.and_then(Key::service),
                max,
                wants,
                Record::Assignment,
            ),
            RecordKind::Instance => self.instance_page(filter, after, max),
            RecordKind::Automation if after.is_none() && max > 0 => {
                let set = self.set_automation();
                set.into_iter().map(Record::Automation).collect()
            }
            RecordKind::Automation => vec![],
            RecordKind::Pause => {
                let wanted = |scope: &Scope| match scope {
                    Scope::Service(name) => filter.wants_service(name),
                    Scope::Cluster | Scope::Node(_) => true,
                };
                let after = after.and_then(scope);
                rows(&self.pauses, after, max, wanted, Record::Pause)
            }
        }
    }

    fn instance_page(&self, filter: &Filter, after: Option<&Key>, max: usize) -> Vec<Record> {
        let (from, within) = match after {
            Some(Key::Instance(service, node)) => (Some(service), Some(*node)),
            Some(_) | None => (None, None),
        };
        let rest = from
            .and_then(|service| self.instances.get(service))
            .zip(within);
        let first = rest
            .into_iter()
            .flat_map(|(of, node)| of.range((Excluded(node), Unbounded)));
        let first = first.map(|(_, instance)| instance);
        let later = from.map_or(Unbounded, Excluded);
        let others = self
            .instances
            .range::<ServiceName, _>((later, Unbounded))
            .filter(|(name, _)| filter.wants_service(name))
            .flat_map(|(_, of)| BTreeMap::<NodeId, Arc<Instance>>::values(of));
        first
            .chain(others)
            .take(max)
            .cloned()
            .map(Record::Instance)
            .collect()
    }
}

fn rows<K: Ord, T>(
    map: &BTreeMap<K, Arc<T>>,
    after: Option<&K>,
    max: usize,
    wanted: impl Fn(&K) -> bool,
    record: impl Fn(Arc<T>) -> Record,
) -> Vec<Record> {
    map.range((after.map_or(Unbounded, Excluded), Unbounded))
        .filter(|(key, _)| wanted(key))
        .take(max)
        .map(|(_, value)| record(value.clone()))
        .collect()
}

fn server(key: &Key) -> Option<&crate::ServerId> {
    if let Key::Server(id) = key {
        Some(id)
    } else {
        None
    }
}

fn scope(key: &Key) -> Option<&Scope> {
    if let Key::Pause(scope) = key {
        Some(scope)
    } else {
        None
    }
}

fn node(key: &Key) -> Option<&NodeId> {
    if let Key::Node(id) | Key::Pin(id) = key {
        Some(id)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Attributes, Command, Endpoint, Envelope, LogIndex, NodeName, NodeRef, Note, PeersPolicy,
        Policy, Timestamp,
    };

    fn state() -> State {
        let name = |text: &str| ServiceName::new(text).unwrap();
        let mut commands: Vec<Command> = ["a", "b", "c"]
            .iter()
            .map(|text| Command::AddNode {
                name: NodeName::new(text).unwrap(),
                zone: None,
                labels: Attributes::default(),
                weight: 100,
            })
            .collect();
        for service in ["x", "y"] {
            let policy = Policy::Peers(PeersPolicy::default());
            commands.push(Command::AddService {
                name: name(service),
                policy,
            });
            for node in 1..=3 {
                commands.push(Command::AddInstance {
                    service: name(service),
                    node: NodeRef::Id(NodeId(node)),
                    endpoint: Endpoint::new("h:1").unwrap(),
                    preference: 100,
                });
            }
        }
        let mut state = State::default();
        for (index, command) in (1..).zip(commands) {
            let (request, actor, stamp) = (None, Note::default(), Timestamp(0));
            let applied = state.apply(
                LogIndex(index),
                &Envelope {
                    request,
                    actor,
                    stamp,
                    command,
                },
            );
            assert!(applied.outcome.into_result().is_ok());
        }
        state
    }

    fn walk(state: &State, filter: &Filter, max: usize) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let page = state.page(filter, keys.last(), max);
            if page.is_empty() {
                return keys;
            }
            keys.extend(page.iter().map(Record::key));
        }
    }

    #[test]
    fn pages_of_any_size_give_every_wanted_record_once_in_key_order() {
        let state = state();
        let services = [ServiceName::new("y").unwrap()].into();
        let kinds = [RecordKind::Instance, RecordKind::Node].into();
        let filters = [
            Filter::default(),
            Filter {
                services,
                ..Filter::default()
            },
            Filter {
                kinds,
                ..Filter::default()
            },
        ];
        for filter in &filters {
            let all = state.records().map(|record| record.key());
            let wanted: Vec<Key> = all.filter(|key| filter.wants(key)).collect();
            assert!(!wanted.is_empty());
            for max in 1..=12 {
                assert_eq!(
                    walk(&state, filter, max),
                    wanted,
                    "pages of {max}, {filter:?}"
                );
            }
        }
    }
}
