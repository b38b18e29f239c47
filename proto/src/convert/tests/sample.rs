//! One of everything, and more where the variants differ.

use super::automation;
use std::{collections::BTreeMap, sync::Arc};
use tenure_core::{
    Assignment, Attributes, ClientId, Command, CopiesPolicy, Endpoint, Epoch, Health, HistoryEntry,
    Incarnation, Instance, Kind, Lifecycle, Loss, LossPolicy, Member, Millis, Node, NodeId,
    NodeName, NodeRef, Note, Pin, PinKind, Policy, Position, PrimaryPolicy, Record, Report,
    Revision, Role, ServerId, ServerRecord, ServerStatus, Service, ServiceName, Settings,
    Timestamp, Zone,
};

pub(super) fn note(text: &str) -> Note {
    Note::new(text).unwrap()
}

pub(super) fn service() -> ServiceName {
    ServiceName::new("redis-server").unwrap()
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new("[::1]:6379").unwrap()
}

pub(super) fn name() -> NodeName {
    NodeName::new("db-1").unwrap()
}

pub(super) fn labels() -> Attributes {
    let pairs = BTreeMap::from([
        ("rack".to_owned(), "r 1".to_owned()),
        ("k".to_owned(), String::new()),
    ]);
    Attributes::new(pairs).unwrap()
}

pub(super) fn member() -> Member {
    Member {
        node: NodeId(7),
        incarnation: Incarnation(3),
    }
}

pub(super) fn policies() -> Vec<Policy> {
    let losses = [
        LossPolicy::Never,
        LossPolicy::Bounded(0),
        LossPolicy::Bounded(9),
        LossPolicy::Available,
    ];
    let with = |loss| {
        Policy::Primary(PrimaryPolicy {
            loss,
            replicas: 2,
            write_acks: 1,
            anti_flap_ms: Millis(500),
        })
    };
    let spread = CopiesPolicy {
        spread_zones: false,
        ..CopiesPolicy::default()
    };
    let mut all: Vec<Policy> = losses.map(with).into();
    all.extend([Policy::default_for(Kind::Peers), Policy::Copies(spread)]);
    all
}

pub(super) fn reports() -> Vec<Report> {
    let healths = [
        Health::Unknown,
        Health::Starting,
        Health::Healthy,
        Health::Degraded,
        Health::Failing,
    ];
    let roles = [
        Some((Role::Primary, Epoch(4))),
        Some((Role::Replica, Epoch(0))),
        Some((Role::Peer, Epoch(0))),
        None,
    ];
    let mut all = vec![Report::default()];
    for health in healths {
        for role in roles {
            all.push(Report {
                health,
                role,
                position: Some(Position {
                    history: note("a"),
                    offset: u64::MAX,
                }),
                note: note("müde"),
                attributes: labels(),
            });
        }
    }
    all
}

pub(super) fn nodes() -> Vec<Node> {
    let with = |lifecycle| Node {
        id: NodeId(7),
        name: name(),
        zone: (lifecycle != Lifecycle::Joining).then(|| Zone::new("z1").unwrap()),
        labels: labels(),
        weight: 100,
        incarnation: Incarnation(3),
        lifecycle,
        reason: note("why"),
        created: Revision(1),
        modified: Revision(2),
    };
    Lifecycle::ALL.map(with).into()
}

pub(super) fn instances() -> Vec<Instance> {
    let with = |report| Instance {
        service: service(),
        node: NodeId(7),
        endpoint: endpoint(),
        preference: 100,
        report,
        reported_in: Incarnation(3),
        created: Revision(1),
        modified: Revision(2),
    };
    reports().into_iter().map(with).collect()
}

pub(super) fn assignments() -> Vec<Assignment> {
    let vacant = Assignment::vacant(service(), Revision(9));
    let held = Assignment {
        primary: Some(member()),
        epoch: Epoch(4),
        loss: Loss(1),
        in_sync: [NodeId(7), NodeId(8)].into(),
        reason: note("by hand"),
        ..vacant.clone()
    };
    let followed = Assignment {
        syncing: [NodeId(9), NodeId(10)].into(),
        ..held.clone()
    };
    vec![vacant, held, followed]
}

pub(super) fn servers() -> Vec<ServerRecord> {
    let with = |store, status| ServerRecord {
        id: ServerId(2),
        raft: endpoint(),
        api: endpoint(),
        store,
        status,
        modified: Revision(2),
    };
    vec![
        with(None, ServerStatus::Admitted),
        with(Some(0x0102_0304), ServerStatus::Retired),
    ]
}

pub(super) fn records() -> Vec<Record> {
    let pin = |kind, until| Pin {
        node: NodeId(7),
        kind,
        until,
        reason: note("disk"),
        modified: Revision(2),
    };
    let history = HistoryEntry {
        revision: Revision(3),
        stamp: Timestamp(4),
        actor: note("ops"),
        what: note("did it"),
    };
    let mut all = vec![
        Record::Settings(Arc::new(Settings::default())),
        Record::History(Arc::new(history)),
        Record::Pin(Arc::new(pin(PinKind::Up, None))),
        Record::Pin(Arc::new(pin(PinKind::Down, Some(Timestamp(5))))),
    ];
    all.extend(automation::records());
    all.extend(
        servers()
            .into_iter()
            .map(|server| Record::Server(Arc::new(server))),
    );
    all.extend(nodes().into_iter().map(|node| Record::Node(Arc::new(node))));
    all.extend(
        instances()
            .into_iter()
            .map(|instance| Record::Instance(Arc::new(instance))),
    );
    all.extend(
        assignments()
            .into_iter()
            .map(|held| Record::Assignment(Arc::new(held))),
    );
    all.extend(policies().into_iter().map(|policy| {
        Record::Service(Arc::new(Service {
            name: service(),
            policy,
            created: Revision(1),
            modified: Revision(2),
        }))
    }));
    all
}

pub(super) fn commands_of_nodes() -> Vec<Command> {
    let (node, expected, reason) = (NodeRef::Id(NodeId(7)), Revision(5), note("why"));
    let pin = |expected, kind, until| Command::SetPin {
        node: NodeRef::Name(name()),
        expected,
        kind,
        until,
        reason: note("pinned"),
    };
    vec![
        Command::AddNode {
            name: name(),
            zone: None,
            labels: labels(),
            weight: 0,
        },
        Command::UpdateNode {
            node: NodeRef::Name(name()),
            expected,
            zone: Some(Zone::new("z1").unwrap()),
            labels: Attributes::default(),
            weight: 100_000,
        },
        Command::JoinNode {
            node: node.clone(),
            last: Incarnation(2),
        },
        Command::SetLifecycle {
            node: node.clone(),
            expected,
            to: Lifecycle::Draining,
            reason: reason.clone(),
            accept_loss: true,
        },
        Command::RemoveNode {
            node: node.clone(),
            expected,
            reason,
        },
        pin(None, PinKind::Up, None),
        pin(Some(Revision(0)), PinKind::Down, Some(Timestamp(1))),
        Command::RemovePin { node, expected },
    ]
}

pub(super) fn commands_of_services() -> Vec<Command> {
    let (node, expected) = (NodeRef::Id(NodeId(7)), Revision(5));
    let report = |expected, report| Command::ReportInstance {
        service: service(),
        member: member(),
        expected,
        report,
    };
    let mut all = vec![
        Command::RemoveService {
            name: service(),
            expected,
        },
        Command::AddInstance {
            service: service(),
            node: node.clone(),
            endpoint: endpoint(),
            preference: 1,
        },
        Command::UpdateInstance {
            service: service(),
            node: node.clone(),
            expected,
            endpoint: endpoint(),
            preference: 0,
        },
        Command::RemoveInstance {
            service: service(),
            node: node.clone(),
            expected,
        },
        report(None, Report::default()),
        Command::SetPrimary {
            service: service(),
            to: node,
            succeeds: Epoch(3),
            accept_loss: true,
            reason: note("why"),
        },
        Command::SetInSync {
            service: service(),
            epoch: Epoch(4),
            expected,
            in_sync: [NodeId(7), NodeId(9)].into(),
        },
    ];
    all.extend(
        reports()
            .into_iter()
            .map(|said| report(Some(Revision(8)), said)),
    );
    for policy in policies() {
        all.push(Command::AddService {
            name: service(),
            policy,
        });
        all.push(Command::UpdateService {
            name: service(),
            expected,
            policy,
        });
    }
    all
}

pub(super) fn commands() -> Vec<Command> {
    let mut all = vec![
        Command::OpenClient,
        Command::CloseClient {
            client: ClientId(4),
        },
        Command::SetSettings {
            expected: Revision(1),
            history_max: 2,
            clients_max: 3,
        },
        Command::RaiseFeatureLevel { from: 1, to: 2 },
        Command::Batch(vec![]),
    ];
    all.extend(commands_of_nodes());
    all.extend(commands_of_services());
    all.extend(automation::commands());
    all.push(Command::Batch(commands_of_nodes()));
    all
}
