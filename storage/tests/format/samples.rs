//! One value of every kind, with every field set to something of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_core::*;

use crate::failover;

pub fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let owned = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    Attributes::new(owned.collect()).expect("attributes")
}

pub fn note(text: &str) -> Note {
    Note::new(text).expect("note")
}

pub fn service(text: &str) -> ServiceName {
    ServiceName::new(text).expect("service")
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::new(text).expect("endpoint")
}

fn by_name() -> NodeRef {
    NodeRef::Name(NodeName::new("db-1").expect("name"))
}

fn by_id() -> NodeRef {
    NodeRef::Id(NodeId(300))
}

fn zone() -> Option<Zone> {
    Some(Zone::new("rack-2").expect("zone"))
}

pub fn report() -> Report {
    Report {
        health: Health::Degraded,
        role: Some((Role::Replica, Epoch(7))),
        position: Some(Position {
            history: note("8d3c"),
            offset: 1 << 40,
        }),
        note: note("slow disk"),
        attributes: attributes(&[("version", "7.2"), ("a", "")]),
    }
}

pub fn policies() -> [Policy; 5] {
    let primary = |loss| {
        Policy::Primary(PrimaryPolicy {
            loss,
            replicas: 2,
            write_acks: 1,
            anti_flap_ms: Millis(60_000),
        })
    };
    [
        primary(LossPolicy::Never),
        primary(LossPolicy::Bounded(0)),
        primary(LossPolicy::Available),
        Policy::Peers(PeersPolicy { healthy_min: 3 }),
        Policy::Copies(CopiesPolicy::default()),
    ]
}

/// Commands, by their kinds' names.
pub fn commands() -> Vec<(&'static str, Command)> {
    let mut all = cluster_commands();
    all.extend(node_commands());
    all.extend(service_commands());
    all.extend(role_commands());
    for (name, policy) in ["never", "bounded", "available", "peers", "copies"]
        .into_iter()
        .zip(policies())
    {
        let command = Command::AddService {
            name: service("redis-server"),
            policy,
        };
        all.push((name, command));
    }
    let inner = vec![Command::OpenClient, all[2].1.clone(), all[7].1.clone()];
    all.push(("Batch", Command::Batch(inner)));
    all.extend(failover::commands());
    all.extend(crate::copies::commands());
    all
}

fn cluster_commands() -> Vec<(&'static str, Command)> {
    vec![
        ("OpenClient", Command::OpenClient),
        (
            "CloseClient",
            Command::CloseClient {
                client: ClientId(42),
            },
        ),
        (
            "SetSettings",
            Command::SetSettings {
                expected: Revision(5),
                history_max: 1_000,
                clients_max: 10_000,
            },
        ),
        (
            "RaiseFeatureLevel",
            Command::RaiseFeatureLevel { from: 1, to: 2 },
        ),
        (
            "AdmitServer",
            Command::AdmitServer {
                id: ServerId(4),
                raft: endpoint("[::1]:7101"),
                api: endpoint("s4.example:7100"),
            },
        ),
        (
            "BindServer",
            Command::BindServer {
                id: ServerId(4),
                store: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
            },
        ),
        ("RetireServer", Command::RetireServer { id: ServerId(4) }),
    ]
}

fn node_commands() -> Vec<(&'static str, Command)> {
    vec![
        (
            "AddNode",
            Command::AddNode {
                name: NodeName::new("db-1").expect("name"),
                zone: zone(),
                labels: attributes(&[("disk", "ssd"), ("cpu", "32")]),
                weight: 100,
            },
        ),
        (
            "UpdateNode",
            Command::UpdateNode {
                node: by_id(),
                expected: Revision(9),
                zone: None,
                labels: Attributes::default(),
                weight: 0,
            },
        ),
        (
            "JoinNode",
            Command::JoinNode {
                node: by_name(),
                last: Incarnation(2),
            },
        ),
        (
            "SetLifecycle",
            Command::SetLifecycle {
                node: by_name(),
                expected: Revision(9),
                to: Lifecycle::Draining,
                reason: note("new disks — ürgent"),
                accept_loss: false,
            },
        ),
        (
            "RemoveNode",
            Command::RemoveNode {
                node: by_id(),
                expected: Revision(u64::MAX),
                reason: note(""),
            },
        ),
        (
            "SetPin",
            Command::SetPin {
                node: by_name(),
                expected: Some(Revision(0)),
                kind: PinKind::Down,
                until: Some(Timestamp(1_800_000_000_000)),
                reason: note("bad memory"),
            },
        ),
        (
            "RemovePin",
            Command::RemovePin {
                node: by_name(),
                expected: Revision(12),
            },
        ),
    ]
}

fn service_commands() -> Vec<(&'static str, Command)> {
    let name = || service("redis-server");
    let (node, expected) = (by_name(), Revision(20));
    vec![
        (
            "UpdateService",
            Command::UpdateService {
                name: name(),
                expected,
                policy: policies()[3],
            },
        ),
        (
            "RemoveService",
            Command::RemoveService {
                name: name(),
                expected,
            },
        ),
        (
            "AddInstance",
            Command::AddInstance {
                service: name(),
                node: node.clone(),
                endpoint: endpoint("10.0.0.7:6379"),
                preference: 100,
            },
        ),
        (
            "UpdateInstance",
            Command::UpdateInstance {
                service: name(),
                node: node.clone(),
                expected,
                endpoint: endpoint("10.0.0.7:6379"),
                preference: 0,
            },
        ),
        (
            "RemoveInstance",
            Command::RemoveInstance {
                service: name(),
                node,
                expected,
            },
        ),
    ]
}

fn role_commands() -> Vec<(&'static str, Command)> {
    let name = || service("redis-server");
    vec![
        (
            "ReportInstance",
            Command::ReportInstance {
                service: name(),
                member: Member {
                    node: NodeId(3),
                    incarnation: Incarnation(1),
                },
                expected: None,
                report: report(),
            },
        ),
        (
            "SetPrimary",
            Command::SetPrimary {
                service: name(),
                to: by_name(),
                succeeds: Epoch(6),
                accept_loss: true,
                reason: note("old one burnt"),
            },
        ),
        (
            "SetInSync",
            Command::SetInSync {
                service: name(),
                epoch: Epoch(7),
                expected: Revision(20),
                in_sync: [NodeId(3), NodeId(1), NodeId(200)].into(),
            },
        ),
    ]
}

pub fn envelope(command: Command) -> Envelope {
    Envelope {
        request: Some(RequestId {
            client: ClientId(42),
            sequence: 7,
            first_incomplete: 5,
        }),
        actor: note("operator alice"),
        stamp: Timestamp(1_790_000_000_123),
        command,
    }
}

/// A record of every kind.
pub fn records() -> Vec<Record> {
    let (created, modified) = (Revision(3), Revision(8));
    let mut all = vec![
        Record::Settings(Arc::new(Settings {
            modified,
            ..Settings::default()
        })),
        Record::Server(Arc::new(ServerRecord {
            id: ServerId(4),
            raft: endpoint("[::1]:7101"),
            api: endpoint("s4.example:7100"),
            store: Some(1 << 100),
            status: ServerStatus::Retired,
            modified,
        })),
        Record::Node(Arc::new(Node {
            id: NodeId(300),
            name: NodeName::new("db-1").expect("name"),
            zone: zone(),
            labels: attributes(&[("disk", "ssd")]),
            weight: 100,
            incarnation: Incarnation(2),
            lifecycle: Lifecycle::Maintenance,
            reason: note("new disks"),
            created,
            modified,
        })),
        Record::Service(Arc::new(Service {
            name: service("redis-server"),
            policy: policies()[0],
            created,
            modified,
        })),
        Record::Assignment(Arc::new(Assignment {
            primary: Some(Member {
                node: NodeId(300),
                incarnation: Incarnation(2),
            }),
            epoch: Epoch(7),
            loss: Loss(1),
            in_sync: [NodeId(300), NodeId(2)].into(),
            reason: note("old one burnt"),
            ..Assignment::vacant(service("redis-server"), modified)
        })),
        Record::Instance(Arc::new(Instance {
            service: service("redis-server"),
            node: NodeId(300),
            endpoint: endpoint("10.0.0.7:6379"),
            preference: 100,
            report: report(),
            reported_in: Incarnation(2),
            created,
            modified,
        })),
        Record::Pin(Arc::new(Pin {
            node: NodeId(300),
            kind: PinKind::Up,
            until: None,
            reason: note("fragile"),
            modified,
        })),
        Record::History(Arc::new(HistoryEntry {
            revision: modified,
            stamp: Timestamp(1_790_000_000_123),
            actor: note("operator alice"),
            what: note("node db-1 was added"),
        })),
        Record::Client(Arc::new(client())),
    ];
    all.extend([failover::records(), crate::copies::records()].concat());
    all
}

fn client() -> Client {
    let done = |created| {
        Outcome::Done(Done {
            revision: Revision(8),
            created,
        })
    };
    let reject = Reject {
        code: RejectCode::WrongEpoch,
        subject: note("service redis-server"),
        expected: Some(3),
        actual: Some(4),
        detail: note("read it again"),
    };
    Client {
        id: ClientId(42),
        last_active: LogIndex(99),
        first_incomplete: 5,
        answers: BTreeMap::from([
            (5, done(None)),
            (6, done(Some(Created::Node(NodeId(300))))),
            (7, done(Some(Created::Client(ClientId(42))))),
            (8, done(Some(Created::Epoch(Epoch(7))))),
            (9, Outcome::Rejected(reject)),
        ]),
    }
}
