//! The numbered invariants of the state. Each is stated once, here; tests and the simulation check all
//! of them after every entry.
//!
//! | number | what must hold | promise |
//! |---|---|---|
//! | I1 | an epoch never falls, and grows whenever the primary changes | 1 |
//! | I2 | a loss number never falls, and grows by no more than the epoch | 3 |
//! | I3 | a primary is an instance of its service on a present node | 1 |
//! | I4 | an in-sync set holds the primary and nothing but instances of the service, and is bounded | 3 |
//! | I5 | every service with a primary by its kind has an assignment; one without its service is vacant | 1 |
//! | I6 | every instance belongs to a known service and a present node, every pin to a present node | |
//! | I7 | present nodes have distinct names | |
//! | I8 | nodes and retired servers are never forgotten, and no removed one comes back | |
//! | I9 | no record is newer than the revision, neither that nor any activity is newer than the applied index, and none of these falls | 6 |
//! | I10 | the events are the difference of the visible states, the revision moves exactly when there is one, and every other record that differs is named | 8 |
//! | I11 | history, registrations and kept answers stay within their bounds, and no settled answer is kept | |
//! | I12 | a lifecycle takes only steps that it has, and an incarnation never falls | 1 |
//! | I13 | a rejected command changes nothing visible | 5 |
//! | I14 | the feature level never falls | |
//! | I15 | policies, settings and weights are within their ranges | |
//! | I16 | what is derived equals what the records say | |
//! | I17 | nobody is both in sync and syncing, and who is syncing has an instance | 3 |
//! | I18 | a receipt is of an epoch that was reached, names a fence proof that fits, and a lossy one raised the loss number; receipts and pauses stay within their bounds | 2, 4 |
//! | I19 | every pause is of what is there | |
//! | I20 | the longest lease never gets shorter | 1 |
//! | I21 | every ledger of copies keeps C1 to C5 and the policy of its service | 9 |
//! | I22 | every step of a ledger keeps C6 and C7 | 9 |

mod copies;

pub use copies::check_copies_step;

use crate::{
    Applied, Assignment, Event, FenceProof, Key, Kind, Lifecycle, Outcome, Record, Scope,
    ServerStatus, State, limits,
};
use std::{collections::BTreeMap, fmt};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the table of this module.
    pub number: u32,
    /// The values that break it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{}: {}", self.number, self.what)
    }
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn check(&mut self, number: u32, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Violation {
                number,
                what: what(),
            });
        }
    }
}

/// Checks one state by itself.
#[must_use]
pub fn check(state: &State) -> Vec<Violation> {
    let mut found = Found::default();
    assignments(state, &mut found);
    instances(state, &mut found);
    bounds(state, &mut found);
    receipts(state, &mut found);
    pauses(state, &mut found);
    revisions(state, &mut found);
    derived(state, &mut found);
    copies::state(state, &mut found);
    found.0
}

/// Checks what one entry made of `before`.
#[must_use]
pub fn check_step(before: &State, after: &State, applied: &Applied) -> Vec<Violation> {
    let mut found = Found(check(after));
    assignment_steps(before, after, &mut found);
    node_steps(before, after, &mut found);
    let (difference, unseen) = difference(before, after);
    found.check(10, difference == applied.events, || {
        format!("difference {difference:?}, events {:?}", applied.events)
    });
    for key in unseen {
        let named = applied.hidden.contains(&key);
        found.check(10, named, || format!("{key} changed and is not named"));
    }
    let positions = (
        before.applied < after.applied,
        before.revision <= after.revision,
    );
    found.check(9, positions == (true, true), || {
        let (was, now) = (before.revision, after.revision);
        format!(
            "{} to {}, revision {was} to {now}",
            before.applied, after.applied
        )
    });
    let moved = before.revision != after.revision;
    found.check(10, moved != applied.events.is_empty(), || {
        format!(
            "revision {} to {} with {} events",
            before.revision,
            after.revision,
            applied.events.len()
        )
    });
    if let Outcome::Rejected(reject) = &applied.outcome {
        found.check(13, difference.is_empty(), || {
            format!("{reject} changed {difference:?}")
        });
    }
    let levels = (before.settings.feature_level, after.settings.feature_level);
    found.check(14, levels.0 <= levels.1, || {
        format!("{} to {}", levels.0, levels.1)
    });
    let longest = |state: &State| state.automation.longest_lease();
    found.check(20, longest(before) <= longest(after), || {
        format!("{} to {}", longest(before), longest(after))
    });
    found.0
}

fn assignments(state: &State, found: &mut Found) {
    for service in state
        .services
        .values()
        .filter(|service| service.kind() == Kind::Primary)
    {
        let known = state.assignments.contains_key(&service.name);
        found.check(5, known, || format!("{} has no assignment", service.name));
    }
    for (name, now) in &state.assignments {
        let vacant = now.primary.is_none() && now.in_sync.is_empty();
        let owned = state
            .services
            .get(name)
            .is_some_and(|s| s.kind() == Kind::Primary);
        found.check(5, owned || vacant, || {
            format!("{now:?} without its service")
        });
        let Some(primary) = now.primary else {
            found.check(4, now.in_sync.is_empty(), || format!("{now:?}"));
            continue;
        };
        let present = state
            .nodes
            .get(&primary.node)
            .is_some_and(|node| node.is_present());
        let placed = state.instance(name, primary.node).is_some();
        found.check(3, present && placed, || format!("{now:?}"));
        let all_placed = now
            .in_sync
            .iter()
            .all(|node| state.instance(name, *node).is_some());
        found.check(4, all_placed && now.in_sync.contains(&primary.node), || {
            format!("{now:?}")
        });
        let apart = now.in_sync.is_disjoint(&now.syncing);
        let syncing = now.syncing.iter();
        let known = syncing.filter(|node| state.instance(name, **node).is_some());
        found.check(17, apart && known.count() == now.syncing.len(), || {
            format!("{now:?}")
        });
        found.check(4, now.in_sync.len() <= limits::IN_SYNC_MAX, || {
            format!("{name}: {} in sync", now.in_sync.len())
        });
    }
}

fn instances(state: &State, found: &mut Found) {
    for instance in state.instances.values().flat_map(BTreeMap::values) {
        let service = state.services.contains_key(&instance.service);
        let node = state
            .nodes
            .get(&instance.node)
            .is_some_and(|node| node.is_present());
        found.check(6, service && node, || format!("{instance:?}"));
    }
    for pin in state.pins.values() {
        let node = state.nodes.get(&pin.node);
        let present = node.is_some_and(|node| node.is_present());
        found.check(6, present, || format!("{pin:?}"));
    }
    let mut names = BTreeMap::new();
    for node in state.nodes.values().filter(|node| node.is_present()) {
        let other = names.insert(&node.name, node.id);
        found.check(7, other.is_none(), || {
            format!("{} names {} and {other:?}", node.name, node.id)
        });
    }
}

fn bounds(state: &State, found: &mut Found) {
    let within = |count: usize, max: u32| count <= usize::try_from(max).unwrap_or(usize::MAX);
    let settings = &state.settings;
    found.check(
        11,
        within(state.history.len(), settings.history_max),
        || "history".to_owned(),
    );
    found.check(
        11,
        within(state.clients.len(), settings.clients_max),
        || "clients".to_owned(),
    );
    for client in state.clients.values() {
        let kept = client.answers.len();
        found.check(11, kept <= limits::CLIENT_WINDOW_MAX, || {
            format!("client {}: {kept} answers", client.id)
        });
        let text = client.text_bytes(0);
        found.check(11, text <= limits::CLIENT_TEXT_BYTES_MAX, || {
            format!("client {}: {text} bytes of text", client.id)
        });
        let oldest = client.answers.keys().next();
        let settled = oldest.is_some_and(|oldest| *oldest < client.first_incomplete);
        found.check(11, !settled, || {
            format!("client {}: answer {oldest:?} is settled", client.id)
        });
    }
    found.check(15, settings.validate().is_ok(), || format!("{settings:?}"));
    for service in state.services.values() {
        found.check(15, service.policy.validate().is_ok(), || {
            format!("{service:?}")
        });
    }
    for node in state.nodes.values() {
        found.check(15, node.weight <= limits::WEIGHT_MAX, || {
            format!("{node:?}")
        });
    }
}

fn receipts(state: &State, found: &mut Found) {
    for (name, of_service) in &state.receipts {
        let bounded = of_service.len() <= limits::RECEIPTS_PER_SERVICE_MAX;
        found.check(18, bounded, || {
            format!("{name}: {} receipts", of_service.len())
        });
        let reached = state.assignments.get(name);
        for receipt in of_service.values() {
            let of_past = reached.is_some_and(|now| receipt.epoch <= now.epoch);
            let nobody = matches!(receipt.account.fence, FenceProof::Nobody);
            let lossy = !receipt.account.completeness.is_lossless();
            let counted = reached.is_some_and(|now| !lossy || now.loss.0 > 0);
            let fits = nobody == receipt.from.is_none();
            found.check(18, of_past && fits && counted, || format!("{receipt:?}"));
        }
    }
}

fn pauses(state: &State, found: &mut Found) {
    found.check(18, state.pauses.len() <= limits::PAUSES_MAX, || {
        format!("{} pauses", state.pauses.len())
    });
    for scope in state.pauses.keys() {
        let there = match scope {
            Scope::Cluster => true,
            Scope::Service(name) => state.services.contains_key(name),
            Scope::Node(node) => state.nodes.get(node).is_some_and(|node| node.is_present()),
        };
        found.check(19, there, || format!("{scope}"));
    }
}

fn revisions(state: &State, found: &mut Found) {
    found.check(9, state.revision.0 <= state.applied.0, || {
        format!("revision {} after index {}", state.revision, state.applied)
    });
    for record in state.records() {
        let modified = match &record {
            Record::Settings(settings) => settings.modified,
            Record::Server(server) => server.modified,
            Record::Node(node) => node.modified,
            Record::Service(service) => service.modified,
            Record::Assignment(assignment) => assignment.modified,
            Record::Instance(instance) => instance.modified,
            Record::Pin(pin) => pin.modified,
            Record::Automation(automation) => automation.modified,
            Record::Pause(pause) => pause.modified,
            Record::Receipt(_) | Record::Store(_) | Record::Rebalance(_) | Record::Item(_) => {
                continue;
            }
            Record::History(entry) => entry.revision,
            Record::Client(client) => {
                found.check(9, client.last_active <= state.applied, || {
                    format!("{record:?}")
                });
                continue;
            }
        };
        found.check(9, modified <= state.revision, || format!("{record:?}"));
    }
}

fn derived(state: &State, found: &mut Found) {
    let mut rebuilt = State::default();
    for record in state.records() {
        rebuilt.put(record);
    }
    let same = rebuilt.derived == state.derived && rebuilt.ledgers == state.ledgers;
    found.check(16, same, || "derived data differ".to_owned());
}

fn assignment_steps(before: &State, after: &State, found: &mut Found) {
    for (name, was) in &before.assignments {
        let Some(now) = after.assignments.get(name) else {
            found.check(1, false, || format!("assignment of {name} was forgotten"));
            continue;
        };
        // One entry may hold several changes of the same assignment: a batch.
        let grown = now.epoch.0.checked_sub(was.epoch.0);
        let moved = was.primary != now.primary && now.primary.is_some();
        let epochs = grown.is_some_and(|grown| grown > 0 || !moved);
        found.check(1, epochs, || describe(was, now));
        let lost = now.loss.0.checked_sub(was.loss.0);
        let losses = lost.is_some_and(|lost| lost <= grown.unwrap_or(0));
        found.check(2, losses, || describe(was, now));
    }
}

fn describe(was: &Assignment, now: &Assignment) -> String {
    format!("{was:?} became {now:?}")
}

fn node_steps(before: &State, after: &State, found: &mut Found) {
    for (id, was) in &before.nodes {
        let Some(now) = after.nodes.get(id) else {
            found.check(8, false, || format!("node {id} was forgotten"));
            continue;
        };
        let removed = now.lifecycle == Lifecycle::Removed;
        let allowed = was.lifecycle == now.lifecycle
            || was.lifecycle.may_become(now.lifecycle)
            || (was.is_present() && removed);
        found.check(12, allowed, || {
            format!("node {id}: {} to {}", was.lifecycle, now.lifecycle)
        });
        found.check(12, was.incarnation <= now.incarnation, || {
            format!("node {id}")
        });
    }
    let last = before.nodes.last_key_value().map(|(id, _)| *id);
    for id in after
        .nodes
        .keys()
        .filter(|id| !before.nodes.contains_key(id))
    {
        found.check(8, Some(*id) > last, || format!("node {id} was used before"));
    }
    for (id, was) in before
        .servers
        .iter()
        .filter(|(_, s)| s.status == ServerStatus::Retired)
    {
        let still = after
            .servers
            .get(id)
            .is_some_and(|now| now.status == was.status);
        found.check(8, still, || format!("server {id} came back"));
    }
}

/// The events that lead from `before` to `after`, and the keys of what else differs.
fn difference(before: &State, after: &State) -> (Vec<Event>, Vec<Key>) {
    let rows = |state: &State| -> BTreeMap<Key, Record> {
        state
            .records()
            .map(|record| (record.key(), record))
            .collect()
    };
    let (before, mut after) = (rows(before), rows(after));
    let mut events: Vec<Event> = Vec::new();
    for (key, was) in before {
        let now = after.remove(&key);
        if now.as_ref() != Some(&was) {
            events.push(Event { key, after: now });
        }
    }
    let new = after.into_iter();
    events.extend(new.map(|(key, record)| Event {
        key,
        after: Some(record),
    }));
    events.sort_by(|a, b| a.key.cmp(&b.key));
    let (events, unseen): (Vec<_>, Vec<_>) =
        events.into_iter().partition(|event| event.key.is_visible());
    (events, unseen.into_iter().map(|event| event.key).collect())
}
