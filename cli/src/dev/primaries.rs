//! What is told of primaries: that one was chosen, that it serves, what that rested on, and that writes go
//! on. Pure: times are arguments, as durations since the start.

use super::{
    event::{Event, Primary, Receipt, Resumed},
    store::{Kind, traffic::Traffic},
    view::Seen,
};
use crate::output::shape;
use std::{collections::BTreeMap, time::Duration};
use tenure_core::{self as core, Epoch, Phase, Role, ServiceName, State};

/// How long the confirmation is waited for before a receipt is told without it.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// What was told already.
#[derive(Debug)]
pub struct Primaries {
    kind: Kind,
    epochs: BTreeMap<ServiceName, Epoch>,
    served: Option<Epoch>,
    receipts: BTreeMap<ServiceName, Epoch>,
    /// A receipt that is not told yet, and since when.
    waits: Option<(ServiceName, Epoch, Duration)>,
    resumed: Epoch,
    trouble: Option<String>,
}

impl Primaries {
    /// Nothing was told yet.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            epochs: BTreeMap::new(),
            served: None,
            receipts: BTreeMap::new(),
            waits: None,
            resumed: Epoch::default(),
            trouble: None,
        }
    }

    /// Compares with what was told last, and gives what there is to tell. `stores` are the processes of
    /// the service's instances by node.
    pub fn look(
        &mut self,
        seen: &Seen,
        stores: &BTreeMap<&'static str, u32>,
        now: Duration,
    ) -> Vec<Event> {
        let state = &seen.state;
        let mut events = self.moved(state);
        events.extend(self.serves(state, stores));
        events.extend(self.receipts(seen, now));
        events.extend(self.resumed(state, &seen.traffic));
        events.extend(self.trouble(&seen.traffic, now));
        events
    }

    /// Which services have another primary than before.
    fn moved(&mut self, state: &State) -> Vec<Event> {
        let mut events = Vec::new();
        for now in state
            .services()
            .keys()
            .filter_map(|name| state.assignment(name))
        {
            let before = self.epochs.insert(now.service.clone(), now.epoch);
            if before.is_none() {
                self.receipts.insert(now.service.clone(), now.epoch);
            }
            if before.is_some_and(|before| before < now.epoch) {
                events.extend(primary(state, &now.service).map(Event::Primary));
            }
        }
        events
    }

    /// The primary has confirmed that it takes writes.
    fn serves(&mut self, state: &State, stores: &BTreeMap<&'static str, u32>) -> Option<Event> {
        let service = self.kind.service();
        let now = state.assignment(&service)?;
        let member = now.primary.filter(|_| self.served != Some(now.epoch))?;
        let instance = state.instance(&service, member.node)?;
        let confirmed = instance.reported_in == member.incarnation
            && instance.report.role == Some((Role::Primary, now.epoch));
        let primary = primary(state, &service).filter(|_| confirmed)?;
        let pid = stores.get(primary.node.as_str()).copied();
        self.served = pid.map(|_| now.epoch).or(self.served);
        // Told once its process is known, which is a moment later at most.
        pid.map(|_| Event::Serves { primary, pid })
    }

    /// Receipts that are complete, one at a time. What came before this was begun is not told.
    fn receipts(&mut self, seen: &Seen, now: Duration) -> Option<Event> {
        let told = &self.receipts;
        let is_news = |one: &&core::Receipt| {
            let told = told.get(&one.service);
            told.is_some_and(|told| one.epoch > *told)
        };
        let news = seen.receipts.iter().filter(is_news);
        let receipt = news.min_by_key(|one| one.epoch)?;
        let (name, epoch) = (receipt.service.clone(), receipt.epoch);
        let waits = self.waits.take();
        let waits = waits.filter(|(of, since_epoch, _)| *of == name && *since_epoch == epoch);
        let since = waits.map_or(now, |(_, _, since)| since);
        let confirmed = receipt.account.timeline.contains_key(&Phase::Confirmed);
        if !confirmed && now < since + CONFIRMED_WITHIN {
            self.waits = Some((name, epoch, since));
            return None;
        }
        self.receipts.insert(name, epoch);
        Some(Event::Receipt(told_of(&seen.state, receipt)))
    }

    /// The writer goes on at another primary. What it rested on is told first, where that is there soon.
    fn resumed(&mut self, state: &State, traffic: &Traffic) -> Option<Event> {
        let next = traffic.moves.iter().find(|it| it.epoch > self.resumed)?;
        let waits = self.waits.as_ref();
        if waits.is_some_and(|(of, epoch, _)| *of == self.kind.service() && *epoch == next.epoch) {
            return None;
        }
        self.resumed = next.epoch;
        Some(Event::Resumed(Resumed {
            kind: self.kind,
            node: shape::node_name(state, next.node),
            epoch: next.epoch.0,
            gap: next.gap,
            found: next.found,
        }))
    }

    fn trouble(&mut self, traffic: &Traffic, now: Duration) -> Option<Event> {
        let still = traffic.stands_still(now).and(traffic.trouble.as_ref());
        let trouble = traffic.lost.as_ref().or(still).cloned();
        if trouble == self.trouble {
            return None;
        }
        self.trouble.clone_from(&trouble);
        let what = trouble.map(|what| format!("the writer of {}: {what}", self.kind.name()))?;
        Some(Event::Trouble { what })
    }
}

fn primary(state: &State, name: &ServiceName) -> Option<Primary> {
    let now = state.assignment(name)?;
    Some(Primary {
        service: name.to_string(),
        node: shape::node_name(state, now.primary?.node),
        epoch: now.epoch.0,
    })
}

fn told_of(state: &State, receipt: &core::Receipt) -> Receipt {
    let account = &receipt.account;
    let to = shape::node_name(state, receipt.to.node);
    let from = receipt.from.map_or_else(
        || "nobody".to_owned(),
        |from| shape::node_name(state, from.node),
    );
    let steps = account.timeline.iter();
    let steps: Vec<String> = steps
        .map(|(phase, at)| format!("{phase} {}", at.0))
        .collect();
    Receipt {
        primary: Primary {
            service: receipt.service.to_string(),
            node: to.clone(),
            epoch: receipt.epoch.0,
        },
        lines: vec![
            format!(
                "{}: {from} -> {to}, epoch {}: {}",
                receipt.service, receipt.epoch, account.cause
            ),
            format!("fence: {}", account.fence),
            format!("{} ms", steps.join(", ")),
            account.completeness.to_string(),
        ],
        shape: serde_json::to_value(shape::Receipt::new(state, receipt)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::store::{NODES, traffic::Move};

    fn service() -> ServiceName {
        Kind::Redis.service()
    }

    use std::{collections::BTreeSet, sync::Arc};
    use tenure_core::{
        Account, Assignment, Attributes, Cause, Completeness, Endpoint, FenceProof, Incarnation,
        Instance, Lifecycle, Member, Millis, Node, NodeId, NodeName, Note, Policy, Record, Report,
        Revision, Service, Timestamp,
    };

    const AT: Duration = Duration::from_secs(9);

    fn member(node: u64) -> Member {
        Member {
            node: NodeId(node),
            incarnation: Incarnation(1),
        }
    }

    /// The service with this primary by this epoch, which has confirmed by an epoch.
    fn seen(node: u64, epoch: u64, confirmed: u64) -> Seen {
        let mut seen = Seen::default();
        seen.state.put(Record::Service(Arc::new(Service {
            name: service(),
            policy: Policy::default_for(tenure_core::Kind::Primary),
            created: Revision(1),
            modified: Revision(1),
        })));
        for (id, name) in (1..).zip(NODES) {
            seen.state.put(Record::Node(Arc::new(Node {
                id: NodeId(id),
                name: NodeName::new(name).unwrap(),
                zone: None,
                labels: Attributes::default(),
                weight: 100,
                incarnation: Incarnation(1),
                lifecycle: Lifecycle::Active,
                reason: Note::default(),
                created: Revision(1),
                modified: Revision(1),
            })));
        }
        seen.state.put(Record::Assignment(Arc::new(Assignment {
            primary: Some(member(node)),
            epoch: Epoch(epoch),
            ..Assignment::vacant(service(), Revision(1))
        })));
        seen.state.put(Record::Instance(Arc::new(Instance {
            service: service(),
            node: NodeId(node),
            endpoint: Endpoint::new("h:1").unwrap(),
            preference: 100,
            report: Report {
                role: Some((Role::Primary, Epoch(confirmed))),
                ..Report::default()
            },
            reported_in: Incarnation(1),
            created: Revision(1),
            modified: Revision(1),
        })));
        seen
    }

    fn receipt(timeline: &[(Phase, u64)]) -> core::Receipt {
        let timeline = timeline.iter().map(|(phase, at)| (*phase, Millis(*at)));
        core::Receipt {
            service: service(),
            epoch: Epoch(2),
            from: Some(member(1)),
            to: member(2),
            account: Account {
                cause: Cause::Exited,
                fence: FenceProof::Exited,
                completeness: Completeness::Proven {
                    heard: BTreeSet::from([NodeId(2), NodeId(3)]),
                },
                evidence: Vec::new(),
                considered: Vec::new(),
                timeline: timeline.collect(),
            },
            stamp: Timestamp(1),
            acknowledged: false,
            returned: Note::default(),
        }
    }

    fn named(events: &[Event]) -> Vec<String> {
        events.iter().map(Event::text).collect()
    }

    #[test]
    fn a_failover_is_told_in_order_and_once() {
        let stores = BTreeMap::from([("db-1", 11), ("db-2", 12)]);
        let mut primaries = Primaries::of(Kind::Redis);
        let begun = primaries.look(&seen(1, 1, 1), &stores, AT);
        let serves = "db-1 serves redis-server now, epoch 1; kill it with: kill -9 11";
        assert_eq!(named(&begun), [serves]);
        assert_eq!(primaries.look(&seen(1, 1, 1), &stores, AT), []);

        let mut now = seen(2, 2, 1);
        now.receipts = vec![receipt(&[(Phase::Detected, 3)])];
        let chosen = "db-2 is primary of redis-server now, epoch 2";
        assert_eq!(named(&primaries.look(&now, &stores, AT)), [chosen]);

        let mut now = seen(2, 2, 2);
        now.receipts = vec![receipt(&[(Phase::Detected, 3), (Phase::Confirmed, 14)])];
        now.traffic.moves.push(Move {
            node: NodeId(2),
            epoch: Epoch(2),
            gap: Duration::from_millis(16),
            found: Some(40),
        });
        let wanted = [
            "db-2 serves redis-server now, epoch 2; kill it with: kill -9 12",
            "redis-server: db-1 -> db-2, epoch 2: instance exited; fence: its process was seen to exit; \
             detected 3, confirmed 14 ms; nothing acknowledged was lost: most advanced of 2 heard from",
            "writes resumed on db-2 after 16 ms; acknowledged write 40 is there",
        ];
        assert_eq!(named(&primaries.look(&now, &stores, AT)), wanted);
        assert_eq!(primaries.look(&now, &stores, AT), []);
    }

    #[test]
    fn a_receipt_without_confirmation_is_told_after_a_while() {
        let mut primaries = Primaries::of(Kind::Redis);
        primaries.look(&seen(1, 1, 1), &BTreeMap::new(), AT);
        let mut now = seen(2, 2, 1);
        now.receipts = vec![receipt(&[(Phase::Detected, 3)])];
        let told = |primaries: &mut Primaries, at| {
            let events = primaries.look(&now, &BTreeMap::new(), at);
            events
                .iter()
                .any(|event| matches!(event, Event::Receipt(_)))
        };
        assert!(!told(&mut primaries, AT));
        assert!(!told(&mut primaries, AT + Duration::from_secs(2)));
        assert!(told(&mut primaries, AT + CONFIRMED_WITHIN));
    }

    #[test]
    fn trouble_is_told_when_nothing_is_acknowledged_for_a_while_or_something_is_lost() {
        let mut primaries = Primaries::of(Kind::Redis);
        let mut seen = Seen::default();
        seen.traffic.last = Some(AT);
        seen.traffic.trouble = Some("NOREPLICAS".to_owned());
        assert_eq!(primaries.look(&seen, &BTreeMap::new(), AT), []);
        let later = AT + Duration::from_secs(5);
        let told = "the writer of redis-server: NOREPLICAS";
        let events = primaries.look(&seen, &BTreeMap::new(), later);
        assert_eq!(named(&events), [told]);
        assert_eq!(primaries.look(&seen, &BTreeMap::new(), later), []);
        seen.traffic.lost = Some("write 9".to_owned());
        let events = primaries.look(&seen, &BTreeMap::new(), later);
        assert_eq!(named(&events), ["the writer of redis-server: write 9"]);
    }
}
