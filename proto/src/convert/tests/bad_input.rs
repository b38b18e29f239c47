//! What must not get through, and the field that the refusal names.

use super::{
    sample::{assignments, instances, member, nodes, records, servers},
    *,
};
use crate::v1::command::Kind as Asked;

fn wire<W: for<'a> TryFrom<&'a T, Error: Debug>, T>(value: &T) -> W {
    W::try_from(value).expect("it has a place on the wire")
}

fn add_node(change: fn(&mut v1::AddNode)) -> Asked {
    let mut message = v1::AddNode {
        name: "db-1".to_owned(),
        zone: "z1".to_owned(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        weight: 100,
    };
    change(&mut message);
    Asked::AddNode(message)
}

fn set_lifecycle(change: fn(&mut v1::SetLifecycle)) -> Asked {
    let mut message = v1::SetLifecycle {
        node: Some(wire(&NodeRef::Id(NodeId(1)))),
        expected: 1,
        to: v1::Lifecycle::Active.into(),
        reason: String::new(),
        accept_loss: false,
    };
    change(&mut message);
    Asked::SetLifecycle(message)
}

fn report(change: fn(&mut v1::ReportInstance, &mut v1::Report)) -> Asked {
    let mut said = wire(&Report::default());
    let mut message = v1::ReportInstance {
        service: "s".to_owned(),
        member: Some(member().into()),
        expected: None,
        report: None,
    };
    change(&mut message, &mut said);
    if message.expected.is_none() {
        message.report = Some(said);
    }
    Asked::ReportInstance(message)
}

fn add_service(policy: Option<v1::policy::Kind>) -> Asked {
    Asked::AddService(v1::AddService {
        name: "s".to_owned(),
        policy: Some(v1::Policy { kind: policy }),
    })
}

fn primary(change: fn(&mut v1::PrimaryPolicy)) -> Asked {
    let mut policy = wire(&PrimaryPolicy::default());
    change(&mut policy);
    add_service(Some(v1::policy::Kind::Primary(policy)))
}

fn nodes_and_names() -> Vec<(Asked, &'static str)> {
    vec![
        (
            add_node(|m| m.name = "a\u{1b}[2J".to_owned()),
            "add_node.name",
        ),
        (add_node(|m| m.name = String::new()), "add_node.name"),
        (add_node(|m| m.name = "a".repeat(64)), "add_node.name"),
        (add_node(|m| m.name = "a".repeat(1 << 20)), "add_node.name"),
        (add_node(|m| m.zone = "Z".to_owned()), "add_node.zone"),
        (add_node(|m| m.weight = 100_001), "add_node.weight"),
        (
            add_node(|m| m.labels = [(String::new(), String::new())].into()),
            "add_node.labels",
        ),
        (
            add_node(|m| m.labels = [("a".to_owned(), "\0".to_owned())].into()),
            "add_node.labels",
        ),
        (
            add_node(|m| m.labels = (0..33).map(|at| (at.to_string(), String::new())).collect()),
            "add_node.labels",
        ),
        (set_lifecycle(|m| m.node = None), "set_lifecycle.node"),
        (
            set_lifecycle(|m| m.node = Some(v1::NodeRef::default())),
            "set_lifecycle.node",
        ),
        (
            set_lifecycle(|m| {
                m.node = Some(v1::NodeRef {
                    id: 1,
                    name: "a".to_owned(),
                })
            }),
            "set_lifecycle.node",
        ),
        (
            set_lifecycle(|m| {
                m.node = Some(v1::NodeRef {
                    id: 0,
                    name: "A".to_owned(),
                })
            }),
            "set_lifecycle.node.name",
        ),
        (set_lifecycle(|m| m.to = 0), "set_lifecycle.to"),
        (set_lifecycle(|m| m.to = 99), "set_lifecycle.to"),
        (
            set_lifecycle(|m| m.reason = "x".repeat(513)),
            "set_lifecycle.reason",
        ),
        (
            set_lifecycle(|m| m.reason = "a\nb".to_owned()),
            "set_lifecycle.reason",
        ),
    ]
}

fn services_and_reports() -> Vec<(Asked, &'static str)> {
    vec![
        (add_service(None), "add_service.policy.kind"),
        (primary(|p| p.loss = 0), "add_service.policy.primary.loss"),
        (primary(|p| p.loss = -1), "add_service.policy.primary.loss"),
        (
            primary(|p| p.loss_bound = 1),
            "add_service.policy.primary.loss_bound",
        ),
        (primary(|p| p.write_acks = 9), "add_service.policy"),
        (report(|m, _| m.member = None), "report_instance.member"),
        (
            report(|m, _| m.member = Some(v1::Member::default())),
            "report_instance.member.node",
        ),
        (
            report(|m, _| m.service = "a b".to_owned()),
            "report_instance.service",
        ),
        (
            report(|m, _| m.expected = Some(1)),
            "report_instance.report",
        ),
        (report(|_, r| r.health = 9), "report_instance.report.health"),
        (report(|_, r| r.role = 9), "report_instance.report.role"),
        (report(|_, r| r.epoch = 9), "report_instance.report.epoch"),
        (
            report(|_, r| r.note = "\u{7f}".to_owned()),
            "report_instance.report.note",
        ),
        (
            report(|_, r| {
                r.position = Some(v1::Position {
                    history: "\r".to_owned(),
                    offset: 0,
                })
            }),
            "report_instance.report.position.history",
        ),
        (
            Asked::AddInstance(v1::AddInstance {
                service: "s".to_owned(),
                node: Some(wire(&NodeRef::Id(NodeId(1)))),
                endpoint: "nowhere".to_owned(),
                preference: 1,
            }),
            "add_instance.endpoint",
        ),
        (
            Asked::SetInSync(v1::SetInSync {
                service: "s".to_owned(),
                epoch: 1,
                expected: 1,
                in_sync: vec![1, 0],
            }),
            "set_in_sync.in_sync[1]",
        ),
        (
            Asked::SetPin(v1::SetPin {
                node: Some(wire(&NodeRef::Id(NodeId(1)))),
                expected: None,
                kind: 0,
                until_ms: 0,
                reason: String::new(),
            }),
            "set_pin.kind",
        ),
    ]
}

#[test]
fn bad_commands_are_refused_with_the_field() {
    let mut table = nodes_and_names();
    table.extend(services_and_reports());
    for (kind, field) in table {
        let bad = v1::Command { kind: Some(kind) };
        let batch = v1::Batch {
            commands: vec![wire::<v1::Command, _>(&Command::OpenClient), bad.clone()],
        };
        let error = Command::try_from(bad.clone()).unwrap_err();
        assert_eq!(error.field, field, "{error}: {bad:?}");
        let within = v1::Command {
            kind: Some(Asked::Batch(batch)),
        };
        let error = Command::try_from(within).unwrap_err();
        assert_eq!(error.field, format!("batch.commands[1].{field}"), "{error}");
    }
}

#[test]
fn commands_without_a_kind_nested_and_oversized_batches_are_refused() {
    let nothing = v1::Command { kind: None };
    let batch = |commands| v1::Command {
        kind: Some(Asked::Batch(v1::Batch { commands })),
    };
    let many = vec![wire::<v1::Command, _>(&Command::OpenClient); 4_097];
    for (wire, field) in [
        (nothing.clone(), "kind"),
        (
            v1::Command {
                kind: Some(Asked::CloseClient(v1::CloseClient { client: 0 })),
            },
            "close_client.client",
        ),
        (batch(vec![nothing]), "batch.commands[0].kind"),
        (batch(vec![batch(vec![])]), "batch.commands[0].batch"),
        (batch(many), "batch.commands"),
    ] {
        assert_eq!(Command::try_from(wire).unwrap_err().field, field);
    }
}

#[test]
fn bad_records_are_refused_with_the_field() {
    use v1::record::Kind;
    let node: v1::Node = wire(&nodes()[0]);
    let server: v1::ServerRecord = wire(&servers()[0]);
    let instance: v1::Instance = wire(&instances()[0]);
    let service = v1::Service {
        name: "s".to_owned(),
        ..v1::Service::default()
    };
    let assignment: v1::Assignment = wire(&assignments()[1]);
    for (kind, field) in [
        (None, "kind"),
        (
            Some(Kind::Node(v1::Node {
                id: 0,
                ..node.clone()
            })),
            "node.id",
        ),
        (
            Some(Kind::Node(v1::Node {
                lifecycle: 0,
                ..node
            })),
            "node.lifecycle",
        ),
        (
            Some(Kind::Server(v1::ServerRecord {
                store: vec![1; 15].into(),
                ..server.clone()
            })),
            "server.store",
        ),
        (
            Some(Kind::Server(v1::ServerRecord {
                status: 0,
                ..server.clone()
            })),
            "server.status",
        ),
        (
            Some(Kind::Server(v1::ServerRecord {
                api: "\0".to_owned(),
                ..server
            })),
            "server.api",
        ),
        (
            Some(Kind::Instance(v1::Instance {
                report: None,
                ..instance
            })),
            "instance.report",
        ),
        (Some(Kind::Service(service)), "service.policy"),
        (
            Some(Kind::Assignment(v1::Assignment {
                in_sync: vec![0],
                ..assignment
            })),
            "assignment.in_sync[0]",
        ),
    ] {
        let error = Record::try_from(v1::Record { kind }).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn an_event_whose_key_is_another_records_is_refused() {
    let record = records().remove(0);
    let event = v1::watch_response::Event {
        key: Some(wire(&Key::Node(NodeId(1)))),
        after: Some(wire(&record)),
    };
    assert_eq!(Event::try_from(event).unwrap_err().field, "after");
    let keyless = v1::watch_response::Event::default();
    assert_eq!(Event::try_from(keyless).unwrap_err().field, "key");
}

#[test]
fn a_topology_that_names_something_twice_is_refused() {
    let node = v1::topology::Node {
        name: "a".to_owned(),
        ..Default::default()
    };
    let twice = v1::Topology {
        nodes: vec![node.clone(), node],
        services: vec![],
    };
    assert_eq!(Topology::try_from(twice).unwrap_err().field, "nodes[1]");
    let instance = v1::topology::Instance {
        node: "a".to_owned(),
        endpoint: "x".to_owned(),
        preference: 1,
    };
    let service = v1::topology::Service {
        name: "s".to_owned(),
        policy: Some(wire(&Policy::default_for(Kind::Peers))),
        instances: vec![instance],
        first_primary: String::new(),
    };
    let wrong = v1::Topology {
        nodes: vec![],
        services: vec![service],
    };
    assert_eq!(
        Topology::try_from(wrong).unwrap_err().field,
        "services[0].instances[0].endpoint"
    );
}

#[test]
fn requests_that_cannot_be_are_refused_with_the_field() {
    for ((client, sequence, first_incomplete), field) in [
        ((0, 1, 1), "client"),
        ((1, 0, 0), "sequence"),
        ((1, 2, 3), "first_incomplete"),
    ] {
        let wire = v1::RequestId {
            client,
            sequence,
            first_incomplete,
        };
        assert_eq!(RequestId::try_from(wire).unwrap_err().field, field);
    }
}

#[test]
fn a_code_of_a_newer_server_is_named() {
    let wire = v1::Reject {
        code: 9_999,
        ..v1::Reject::default()
    };
    assert_eq!(Reject::try_from(wire).unwrap_err().field, "code");
}
