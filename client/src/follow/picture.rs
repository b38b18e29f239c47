//! Who is primary, made of the records of one service.

use super::{Primacy, Primary};
use crate::watch;
use std::{collections::BTreeMap, sync::Arc};
use tenure_core::{Assignment, Event, Instance, Key, Member, NodeId, Record, Role};

/// What matters of the records of one service.
#[derive(Default)]
pub(super) struct Picture {
    assignment: Option<Arc<Assignment>>,
    instances: BTreeMap<NodeId, Arc<Instance>>,
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
            Record::Assignment(assignment) => self.assignment = Some(assignment),
            Record::Instance(instance) => {
                self.instances.insert(instance.node, instance);
            }
            Record::Settings(_)
            | Record::Server(_)
            | Record::Node(_)
            | Record::Service(_)
            | Record::Pin(_)
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
            Key::Assignment(_) => self.assignment = None,
            Key::Instance(_, node) => drop(self.instances.remove(node)),
            Key::Settings
            | Key::Server(_)
            | Key::Node(_)
            | Key::Service(_)
            | Key::Pin(_)
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

    pub(super) fn primacy(&self) -> Primacy {
        let assigned = self.assignment.as_ref();
        let Some((assignment, member)) = assigned.and_then(|now| Some((now, now.primary?))) else {
            return Primacy::Nobody;
        };
        let Some(instance) = self.instances.get(&member.node) else {
            return Primacy::Nobody;
        };
        let primary = Primary {
            endpoint: instance.endpoint.clone(),
            epoch: assignment.epoch,
            member,
        };
        if confirms(instance, &primary) {
            Primacy::Serves(primary)
        } else {
            Primacy::Moved(primary)
        }
    }
}

/// Whether an instance says itself that it is primary by the epoch that was decided. What it said in
/// another life of its node, or by another epoch, confirms nothing.
fn confirms(instance: &Instance, primary: &Primary) -> bool {
    let speaker = Member {
        node: instance.node,
        incarnation: instance.reported_in,
    };
    speaker == primary.member && instance.report.role == Some((Role::Primary, primary.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Picture as _;
    use tenure_core::{Endpoint, Epoch, Incarnation, Report, Revision, ServiceName};

    fn redis() -> ServiceName {
        ServiceName::new("redis").unwrap()
    }

    fn assigned(node: u64, incarnation: u64, epoch: u64) -> Record {
        let member = Member {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
        };
        Record::Assignment(Arc::new(Assignment {
            primary: Some(member),
            epoch: Epoch(epoch),
            ..Assignment::vacant(redis(), Revision(1))
        }))
    }

    fn says(node: u64, incarnation: u64, role: Option<(Role, u64)>) -> Record {
        Record::Instance(Arc::new(Instance {
            service: redis(),
            node: NodeId(node),
            endpoint: Endpoint::new(&format!("10.0.0.{node}:6379")).unwrap(),
            preference: 100,
            report: Report {
                role: role.map(|(role, epoch)| (role, Epoch(epoch))),
                ..Report::default()
            },
            reported_in: Incarnation(incarnation),
            created: Revision(1),
            modified: Revision(1),
        }))
    }

    fn primacy(records: Vec<Record>) -> (&'static str, u64) {
        let mut picture = Picture::default();
        picture.replace(records);
        match picture.primacy() {
            Primacy::Nobody => ("nobody", 0),
            Primacy::Moved(primary) => ("moved", primary.epoch.0),
            Primacy::Serves(primary) => ("serves", primary.epoch.0),
        }
    }

    #[test]
    fn only_its_own_word_by_the_same_epoch_in_the_same_life_confirms_a_primary() {
        let primary = |epoch| Some((Role::Primary, epoch));
        let table = [
            (vec![], ("nobody", 0)),
            (vec![says(1, 1, primary(1))], ("nobody", 0)),
            (vec![assigned(1, 1, 1)], ("nobody", 0)),
            (vec![assigned(1, 1, 1), says(1, 1, None)], ("moved", 1)),
            (
                vec![assigned(1, 1, 2), says(1, 1, primary(1))],
                ("moved", 2),
            ),
            (
                vec![assigned(1, 2, 2), says(1, 1, primary(2))],
                ("moved", 2),
            ),
            (
                vec![assigned(1, 1, 2), says(1, 1, Some((Role::Replica, 2)))],
                ("moved", 2),
            ),
            (
                vec![assigned(1, 1, 2), says(2, 1, primary(2)), says(1, 1, None)],
                ("moved", 2),
            ),
            (
                vec![assigned(1, 1, 2), says(1, 1, primary(2))],
                ("serves", 2),
            ),
        ];
        for (records, expected) in table {
            assert_eq!(primacy(records.clone()), expected, "{records:?}");
        }
    }

    #[test]
    fn what_is_taken_away_is_gone() {
        let mut picture = Picture::default();
        picture.replace(vec![
            assigned(1, 1, 1),
            says(1, 1, Some((Role::Primary, 1))),
        ]);
        let gone = |key| Event { key, after: None };
        picture.change(vec![gone(Key::Instance(redis(), NodeId(1)))]);
        assert_eq!(picture.primacy(), Primacy::Nobody);
        picture.change(vec![Event {
            key: Key::Instance(redis(), NodeId(1)),
            after: Some(says(1, 1, None)),
        }]);
        assert!(matches!(picture.primacy(), Primacy::Moved(_)));
        picture.change(vec![gone(Key::Assignment(redis()))]);
        assert_eq!(picture.primacy(), Primacy::Nobody);
    }
}
