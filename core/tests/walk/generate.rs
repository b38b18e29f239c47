//! Random commands: most of them rest on what is so, some on what was or never will be.

use super::dice::Dice;
use crate::fixture::*;
use std::collections::BTreeSet;
use tenure_core::{
    ClientId, Command, CopiesPolicy, Endpoint, Epoch, Health, Incarnation, Key, Kind, Lifecycle,
    LossPolicy, NodeId, NodeRef, PeersPolicy, PinKind, Policy, PrimaryPolicy, Record, Report,
    Revision, Role, ServerId, ServiceName, State, Timestamp, limits,
};

const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const SERVICES: [&str; 4] = ["p", "q", "r", "w"];

pub struct Generator<'a> {
    pub dice: &'a mut Dice,
    pub state: &'a State,
}

impl Generator<'_> {
    pub fn command(&mut self) -> Command {
        match self.dice.below(100) {
            0..3 => self.settings(),
            3..6 => self.server(),
            6..28 => self.node(),
            28..38 => self.service(),
            38..60 => self.instance(),
            60..70 => self.assignment(),
            70..86 => self.decision(),
            86..90 => self.pin(),
            90..91 => self.client(),
            91..96 => self.copies(),
            _ => self.batch(),
        }
    }

    fn batch(&mut self) -> Command {
        if self.dice.percent(2) {
            return Command::Batch(vec![admit(1, 1); limits::BATCH_COMMANDS_MAX + 1]);
        }
        if self.dice.percent(15) {
            return self.rename();
        }
        let count = self.dice.below(4);
        Command::Batch((0..count).map(|_| self.command()).collect())
    }

    /// A name passes from a node to a new one, and back when the last command is rejected.
    fn rename(&mut self) -> Command {
        let (node, name) = (self.node_id(), self.node_name());
        let expected = self.expected(&Key::Node(node));
        let mut steps = vec![remove_node(node.0, expected), add_node(name)];
        if self.dice.percent(50) {
            steps.push(join(node.0, 0));
        }
        Command::Batch(steps)
    }

    fn node_name(&mut self) -> &'static str {
        self.dice.pick(NODES).expect("there are some")
    }

    pub(super) fn service_name(&mut self) -> ServiceName {
        service(self.dice.pick(SERVICES).expect("there are some"))
    }

    /// Mostly a node that is there.
    pub(super) fn node_id(&mut self) -> NodeId {
        let present = self.state.nodes().values().filter(|n| n.is_present());
        let present = self.dice.pick(present.map(|n| n.id));
        match present {
            Some(node) if self.dice.percent(85) => node,
            Some(_) | None => NodeId(self.dice.below(self.state.nodes().len() as u64 + 2)),
        }
    }

    fn node_ref(&mut self) -> NodeRef {
        if self.dice.percent(30) {
            named(self.node_name())
        } else {
            NodeRef::Id(self.node_id())
        }
    }

    /// Mostly an instance that is there.
    fn placed(&mut self) -> (ServiceName, NodeId) {
        let name = self.service_name();
        let of_service = self.state.instances(&name).map(|i| i.node);
        match self.dice.pick(of_service) {
            Some(node) if self.dice.percent(85) => (name, node),
            Some(_) | None => (name, self.node_id()),
        }
    }

    /// Mostly an instance of a service with a primary, and half the time one that is in sync.
    pub(super) fn placed_with_primary(&mut self) -> (ServiceName, NodeId) {
        let services = self.state.services().values();
        let services = services.filter(|s| s.kind() == Kind::Primary);
        let name = self.dice.pick(services.map(|s| s.name.clone()));
        let Some(name) = name.filter(|_| self.dice.percent(90)) else {
            return self.placed();
        };
        let in_sync = self.state.assignment(&name).map(|now| now.in_sync.clone());
        let known = in_sync.filter(|set| !set.is_empty() && self.dice.percent(50));
        let node = match known {
            Some(set) => self.dice.pick(set),
            None => {
                let of_service = self.state.instances(&name);
                self.dice.pick(of_service.map(|i| i.node))
            }
        };
        let node = node.unwrap_or_else(|| self.node_id());
        (name, node)
    }

    /// The revision of a record, or now and then another one.
    pub(super) fn expected(&mut self, key: &Key) -> Revision {
        let actual = self.state.get(key).and_then(|record| modified(&record));
        match actual {
            Some(actual) if self.dice.percent(85) => actual,
            Some(_) | None => Revision(self.dice.below(self.state.applied().0 + 2)),
        }
    }

    fn settings(&mut self) -> Command {
        if self.dice.percent(40) {
            let below = |dice: &mut Dice, n| u32::try_from(dice.below(n)).expect("it is small");
            let now = self.state.settings().feature_level;
            let from = if self.dice.percent(50) {
                now
            } else {
                below(self.dice, 3)
            };
            let to = below(self.dice, 4);
            return Command::RaiseFeatureLevel { from, to };
        }
        let expected = self.expected(&Key::Settings);
        let small = |dice: &mut Dice, n| u32::try_from(dice.below(n)).expect("it is small");
        Command::SetSettings {
            expected,
            history_max: small(self.dice, 40),
            clients_max: 14 + small(self.dice, 8),
        }
    }

    fn server(&mut self) -> Command {
        let id = ServerId(self.dice.below(6));
        match self.dice.below(5) {
            0..2 => admit(id.0, self.dice.below(2)),
            2..4 => Command::BindServer {
                id,
                store: self.dice.below(2).into(),
            },
            _ => Command::RetireServer { id },
        }
    }

    fn weight(&mut self) -> u32 {
        let weights = [0, 100, limits::WEIGHT_MAX, limits::WEIGHT_MAX + 1];
        self.dice.pick(weights).expect("there are some")
    }

    fn node(&mut self) -> Command {
        let node = self.node_ref();
        let id = self.state.find_node(&node).map_or(NodeId(0), |n| n.id);
        let expected = self.expected(&Key::Node(id));
        match self.dice.below(24) {
            0..6 => Command::AddNode {
                name: node_name(self.node_name()),
                zone: None,
                labels: labels(&[]),
                weight: self.weight(),
            },
            6..8 => Command::UpdateNode {
                node,
                expected,
                zone: zone("z"),
                labels: labels(&[("k", "v")]),
                weight: self.weight(),
            },
            8..12 => {
                let now = self.state.nodes().get(&id);
                let last = now.map_or(Incarnation(0), |n| n.incarnation);
                let off = Incarnation(u64::from(self.dice.percent(20)));
                let last = Incarnation(last.0 + off.0);
                Command::JoinNode { node, last }
            }
            12..21 => {
                let active = self.dice.percent(60).then_some(Lifecycle::Active);
                let any = self.dice.pick(Lifecycle::ALL).expect("there are some");
                let to = active.unwrap_or(any);
                let reason = note("walk");
                Command::SetLifecycle {
                    node,
                    expected,
                    to,
                    reason,
                    accept_loss: false,
                }
            }
            _ => remove_node(id.0, expected),
        }
    }

    fn policy(&mut self, kind: Kind) -> Policy {
        let n = u32::try_from(self.dice.below(3)).expect("it is small");
        match kind {
            Kind::Primary => {
                let losses = [
                    LossPolicy::Never,
                    LossPolicy::Bounded(5),
                    LossPolicy::Available,
                ];
                Policy::Primary(PrimaryPolicy {
                    loss: self.dice.pick(losses).expect("there are some"),
                    write_acks: n,
                    replicas: 1,
                    ..PrimaryPolicy::default()
                })
            }
            Kind::Peers => Policy::Peers(PeersPolicy { healthy_min: n }),
            Kind::Copies => Policy::Copies(CopiesPolicy {
                copies: n,
                write_min: 1,
                ..CopiesPolicy::default()
            }),
        }
    }

    fn service(&mut self) -> Command {
        let name = self.service_name();
        let kinds = [
            Kind::Primary,
            Kind::Primary,
            Kind::Primary,
            Kind::Peers,
            Kind::Copies,
        ];
        let any = self.dice.pick(kinds).expect("there are some");
        let now = self.state.services().get(&name).map(|s| s.kind());
        let kind = now.filter(|_| self.dice.percent(90)).unwrap_or(any);
        let policy = self.policy(kind);
        let expected = self.expected(&Key::Service(name.clone()));
        match self.dice.below(8) {
            0..4 => Command::AddService { name, policy },
            4..6 => Command::UpdateService {
                name,
                expected,
                policy,
            },
            _ => Command::RemoveService { name, expected },
        }
    }

    fn preference(&mut self) -> u32 {
        self.dice
            .pick([0, 50, 100, 100, 100])
            .expect("there are some")
    }

    fn port(&mut self) -> Endpoint {
        endpoint(1 + self.dice.below(2))
    }

    fn instance(&mut self) -> Command {
        let (service, node) = self.placed();
        let expected = self.expected(&Key::Instance(service.clone(), node));
        let preference = self.preference();
        let endpoint = self.port();
        match self.dice.below(20) {
            0..9 => Command::AddInstance {
                service: self.service_name(),
                node: self.node_ref(),
                endpoint,
                preference,
            },
            9..11 => Command::UpdateInstance {
                service,
                node: NodeRef::Id(node),
                expected,
                endpoint,
                preference,
            },
            11..15 => Command::RemoveInstance {
                service,
                node: NodeRef::Id(node),
                expected,
            },
            _ => self.report(service, node, expected),
        }
    }

    fn report(&mut self, service: ServiceName, node: NodeId, expected: Revision) -> Command {
        let now = self.state.nodes().get(&node);
        let incarnation = now.map_or(0, |n| n.incarnation.0) + u64::from(self.dice.percent(10));
        let healths = [Health::Starting, Health::Healthy, Health::Failing];
        let report = Report {
            health: self.dice.pick(healths).expect("there are some"),
            role: self.dice.percent(50).then_some((Role::Replica, Epoch(1))),
            ..Report::default()
        };
        Command::ReportInstance {
            service,
            member: member(node.0, incarnation),
            expected: self.dice.percent(40).then_some(expected),
            report,
        }
    }

    fn assignment(&mut self) -> Command {
        let (service, node) = self.placed_with_primary();
        let now = self.state.assignment(&service);
        let epoch = now.map_or(Epoch(0), |now| now.epoch);
        let off = u64::from(self.dice.percent(10));
        let epoch = Epoch(epoch.0 + off);
        if self.dice.percent(55) {
            return Command::SetPrimary {
                service,
                to: NodeRef::Id(node),
                succeeds: epoch,
                accept_loss: self.dice.percent(50),
                reason: note("walk"),
            };
        }
        let primary = now.and_then(|now| now.primary).map(|p| p.node);
        let mut in_sync: BTreeSet<NodeId> = primary.into_iter().collect();
        let others: Vec<NodeId> = self.state.instances(&service).map(|i| i.node).collect();
        in_sync.extend(others.into_iter().filter(|_| self.dice.percent(50)));
        if self.dice.percent(10) {
            in_sync.insert(self.node_id());
        }
        let expected = self.expected(&Key::Assignment(service.clone()));
        Command::SetInSync {
            service,
            epoch,
            expected,
            in_sync,
        }
    }

    fn pin(&mut self) -> Command {
        let node = self.node_id();
        let expected = self.expected(&Key::Pin(node));
        let pinned = self.state.pins().contains_key(&node);
        let node = NodeRef::Id(node);
        if self.dice.percent(50) {
            return Command::RemovePin { node, expected };
        }
        let replaces = pinned != self.dice.percent(15);
        Command::SetPin {
            node,
            expected: replaces.then_some(expected),
            kind: self.dice.pick([PinKind::Up, PinKind::Down]).expect("two"),
            until: self.dice.percent(50).then_some(Timestamp(1)),
            reason: note("walk"),
        }
    }

    fn client(&mut self) -> Command {
        if self.dice.percent(50) {
            return Command::OpenClient;
        }
        let known = self.dice.pick(self.state.clients().keys().copied());
        Command::CloseClient {
            client: known.unwrap_or(ClientId(1)),
        }
    }
}

fn modified(record: &Record) -> Option<Revision> {
    Some(match record {
        Record::Settings(it) => it.modified,
        Record::Server(it) => it.modified,
        Record::Node(it) => it.modified,
        Record::Service(it) => it.modified,
        Record::Assignment(it) => it.modified,
        Record::Instance(it) => it.modified,
        Record::Pin(it) => it.modified,
        Record::Automation(it) => it.modified,
        Record::Pause(it) => it.modified,
        Record::History(_)
        | Record::Client(_)
        | Record::Receipt(_)
        | Record::Store(_)
        | Record::Rebalance(_)
        | Record::Item(_) => return None,
    })
}
