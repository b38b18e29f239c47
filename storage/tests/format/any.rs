//! Generated values.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use tenure_core::*;

use crate::any_failover;

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
}

pub fn service() -> impl Strategy<Value = ServiceName> {
    name().prop_map(|text| ServiceName::new(&text).expect("name"))
}

fn node_name() -> impl Strategy<Value = NodeName> {
    name().prop_map(|text| NodeName::new(&text).expect("name"))
}

fn zone() -> impl Strategy<Value = Option<Zone>> {
    option::of(name().prop_map(|text| Zone::new(&text).expect("zone")))
}

pub fn note() -> impl Strategy<Value = Note> {
    "\\PC{0,100}".prop_map(|text| Note::new(&text).expect("note"))
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    ("[a-z0-9.-]{1,60}", 1u16..)
        .prop_map(|(host, port)| Endpoint::new(&format!("{host}:{port}")).expect("endpoint"))
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let pairs = btree_map("[a-z]{1,12}", "\\PC{0,30}", 0..8);
    pairs.prop_map(|pairs: BTreeMap<String, String>| Attributes::new(pairs).expect("attributes"))
}

fn node_ref() -> impl Strategy<Value = NodeRef> {
    prop_oneof![
        any::<u64>().prop_map(|id| NodeRef::Id(NodeId(id))),
        node_name().prop_map(NodeRef::Name),
    ]
}

pub fn revision() -> impl Strategy<Value = Revision> {
    any::<u64>().prop_map(Revision)
}

fn policy() -> impl Strategy<Value = Policy> {
    let loss = prop_oneof![
        Just(LossPolicy::Never),
        any::<u64>().prop_map(LossPolicy::Bounded),
        Just(LossPolicy::Available),
    ];
    let primary = (loss, any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(loss, replicas, write_acks, flap)| {
            Policy::Primary(PrimaryPolicy {
                loss,
                replicas,
                write_acks,
                anti_flap_ms: Millis(flap),
            })
        },
    );
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>());
    let copies = (numbers, any::<bool>()).prop_map(
        |((copies, write_min, transfers_per_node, grace), spread_zones)| {
            Policy::Copies(CopiesPolicy {
                copies,
                write_min,
                spread_zones,
                repair_grace_ms: Millis(grace),
                transfers_per_node,
            })
        },
    );
    prop_oneof![
        primary,
        any::<u32>().prop_map(|healthy_min| Policy::Peers(PeersPolicy { healthy_min })),
        copies,
    ]
}

pub fn report() -> impl Strategy<Value = Report> {
    let health = prop::sample::select(vec![
        Health::Unknown,
        Health::Starting,
        Health::Healthy,
        Health::Degraded,
        Health::Failing,
    ]);
    let role = prop::sample::select(vec![Role::Primary, Role::Replica, Role::Peer]);
    let held = option::of((role, any::<u64>().prop_map(Epoch)));
    let position = option::of(
        (note(), any::<u64>()).prop_map(|(history, offset)| Position { history, offset }),
    );
    (health, held, position, note(), attributes()).prop_map(
        |(health, role, position, note, attributes)| Report {
            health,
            role,
            position,
            note,
            attributes,
        },
    )
}

fn node_command() -> impl Strategy<Value = Command> {
    let lifecycle = prop::sample::select(Lifecycle::ALL.to_vec());
    let kind = prop::sample::select(vec![PinKind::Up, PinKind::Down]);
    prop_oneof![
        (node_name(), zone(), attributes(), any::<u32>()).prop_map(
            |(name, zone, labels, weight)| Command::AddNode {
                name,
                zone,
                labels,
                weight
            }
        ),
        (node_ref(), revision(), zone(), attributes(), any::<u32>()).prop_map(
            |(node, expected, zone, labels, weight)| Command::UpdateNode {
                node,
                expected,
                zone,
                labels,
                weight
            }
        ),
        (node_ref(), revision(), lifecycle, note()).prop_map(|(node, expected, to, reason)| {
            Command::SetLifecycle {
                node,
                expected,
                to,
                reason,
                accept_loss: expected.0 % 2 == 1,
            }
        }),
        (
            node_ref(),
            option::of(revision()),
            kind,
            option::of(any::<u64>().prop_map(Timestamp)),
            note()
        )
            .prop_map(|(node, expected, kind, until, reason)| Command::SetPin {
                node,
                expected,
                kind,
                until,
                reason
            }),
    ]
}

fn service_command() -> impl Strategy<Value = Command> {
    let nodes = btree_set(any::<u64>().prop_map(NodeId), 0..20);
    prop_oneof![
        (service(), policy()).prop_map(|(name, policy)| Command::AddService { name, policy }),
        (service(), node_ref(), endpoint(), any::<u32>()).prop_map(
            |(service, node, endpoint, preference)| Command::AddInstance {
                service,
                node,
                endpoint,
                preference
            }
        ),
        (
            service(),
            any::<(u64, u64)>(),
            option::of(revision()),
            report()
        )
            .prop_map(|(service, (node, incarnation), expected, report)| {
                Command::ReportInstance {
                    service,
                    member: Member {
                        node: NodeId(node),
                        incarnation: Incarnation(incarnation),
                    },
                    expected,
                    report,
                }
            }),
        (service(), node_ref(), any::<u64>(), any::<bool>(), note()).prop_map(
            |(service, to, epoch, accept_loss, reason)| {
                Command::SetPrimary {
                    service,
                    to,
                    succeeds: Epoch(epoch),
                    accept_loss,
                    reason,
                }
            }
        ),
        (service(), any::<u64>(), revision(), nodes).prop_map(
            |(service, epoch, expected, in_sync): (_, _, _, BTreeSet<NodeId>)| {
                Command::SetInSync {
                    service,
                    epoch: Epoch(epoch),
                    expected,
                    in_sync,
                }
            }
        ),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let single = || {
        prop_oneof![
            node_command(),
            service_command(),
            any_failover::command(),
            crate::copies::command(),
            Just(Command::OpenClient)
        ]
    };
    prop_oneof![
        3 => single(),
        1 => vec(single(), 0..6).prop_map(Command::Batch),
    ]
}

pub fn envelope() -> impl Strategy<Value = Envelope> {
    let request = option::of(
        any::<(u64, u64, u64)>().prop_map(|(client, sequence, first)| RequestId {
            client: ClientId(client),
            sequence,
            first_incomplete: first,
        }),
    );
    (request, note(), any::<u64>(), command()).prop_map(|(request, actor, stamp, command)| {
        Envelope {
            request,
            actor,
            stamp: Timestamp(stamp),
            command,
        }
    })
}

pub fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Settings),
        any::<u64>().prop_map(|id| Key::Server(ServerId(id))),
        any::<u64>().prop_map(|id| Key::Node(NodeId(id))),
        service().prop_map(Key::Service),
        service().prop_map(Key::Assignment),
        (service(), any::<u64>()).prop_map(|(name, node)| Key::Instance(name, NodeId(node))),
        any::<u64>().prop_map(|id| Key::Pin(NodeId(id))),
        any::<u64>().prop_map(|id| Key::History(Revision(id))),
        any::<u64>().prop_map(|id| Key::Client(ClientId(id))),
        Just(Key::Automation),
        any_failover::scope().prop_map(Key::Pause),
        (service(), any::<u64>()).prop_map(|(name, epoch)| Key::Receipt(name, Epoch(epoch))),
        crate::copies::key(),
    ]
}
