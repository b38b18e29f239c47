//! Samples and any values of what concerns copies of items.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tenure_core::copies::{
    Checked, Checksum, CopiesCommand, CopyState, Item, ItemName, ItemRecord, OneCopy, Placing,
    Rebalance, RebalanceStep, Removing, Reported, Stage, StoreRecord,
};
use tenure_core::{
    Command, CopiesPolicy, Incarnation, Key, Lifecycle, Member, Millis, NodeId, NodeRef, Note,
    Policy, Record, Revision, ServiceName,
};

fn service() -> ServiceName {
    ServiceName::new("git-server").expect("name")
}

fn name(text: &str) -> ItemName {
    ItemName::new(text).expect("a name")
}

fn on(commands: CopiesCommand) -> Command {
    Command::Copies {
        service: service(),
        what: commands,
    }
}

fn member() -> Member {
    Member {
        node: NodeId(300),
        incarnation: Incarnation(2),
    }
}

/// Commands, by their kinds' names.
pub fn commands() -> Vec<(&'static str, Command)> {
    let sum = Checksum::new(&[0xab; 32]).ok();
    let one = || OneCopy {
        item: name("é/1"),
        node: NodeId(300),
    };
    let reported = Reported {
        item: name("repo/1"),
        replaces: 6,
        version: 7,
        checksum: sum,
        size: 1 << 40,
        holders: vec![NodeId(300), NodeId(1)],
    };
    let checked = |found| Checked {
        item: name("repo/1"),
        node: NodeId(300),
        version: 7,
        found,
    };
    let placing = Placing {
        item: name("repo/1"),
        wanted: 0,
        nodes: vec![NodeId(3), NodeId(1)],
    };
    let removing = Removing {
        item: name("repo/1"),
        version: 7,
    };
    let mut all = vec![
        ("Copies.Place", on(CopiesCommand::Place(vec![placing]))),
        ("Copies.Report", on(CopiesCommand::Report(vec![reported]))),
        (
            "Copies.Verify",
            on(CopiesCommand::Verify(vec![checked(sum), checked(None)])),
        ),
        ("Copies.Assign", on(CopiesCommand::Assign(vec![one()]))),
        ("Copies.Drop", on(CopiesCommand::Drop(vec![one(), one()]))),
        ("Copies.Dropped", on(CopiesCommand::Dropped(vec![]))),
        ("Copies.Remove", on(CopiesCommand::Remove(vec![removing]))),
    ];
    all.extend(other_commands());
    all
}

fn other_commands() -> Vec<(&'static str, Command)> {
    let (member, node) = (member(), NodeId(300));
    vec![
        (
            "Copies.Empty",
            on(CopiesCommand::Empty {
                node,
                accept_loss: true,
            }),
        ),
        ("Copies.Lose", on(CopiesCommand::Lose { member })),
        ("Copies.Regain", on(CopiesCommand::Regain { member })),
        (
            "Copies.Renew",
            on(CopiesCommand::Renew {
                member,
                folder: 1 << 63,
            }),
        ),
        (
            "Copies.Rebalance",
            on(CopiesCommand::Rebalance(RebalanceStep::Pause)),
        ),
        (
            "SetLifecycleAcceptingLoss",
            Command::SetLifecycle {
                node: NodeRef::Id(node),
                expected: Revision(9),
                to: Lifecycle::Draining,
                reason: Note::new("it smokes").expect("short"),
                accept_loss: true,
            },
        ),
        (
            "copies with a grace",
            Command::AddService {
                name: service(),
                policy: Policy::Copies(CopiesPolicy {
                    repair_grace_ms: Millis(5_000),
                    transfers_per_node: 4,
                    ..CopiesPolicy::default()
                }),
            },
        ),
    ]
}

fn item(stage: Stage, follows: bool, states: [CopyState; 3]) -> Item {
    let nodes = [NodeId(1), NodeId(2), NodeId(300)];
    Item {
        name: name(&format!("repo/{stage:?}/{follows}")),
        version: 7,
        checksum: Checksum::new(&[0xab; 20]).ok(),
        size: 4_096,
        wanted: if follows { 0 } else { 3 },
        follows,
        stage,
        copies: nodes.into_iter().zip(states).collect(),
    }
}

/// Records of every kind.
pub fn records() -> Vec<Record> {
    use CopyState::{Dropping, InSync, Stale, Syncing};
    let record = |item| {
        Record::Item(Arc::new(ItemRecord {
            service: service(),
            item,
        }))
    };
    vec![
        Record::Store(Arc::new(StoreRecord {
            service: service(),
            node: NodeId(300),
            lost: true,
            folder: 1 << 63,
        })),
        Record::Rebalance(Arc::new(Rebalance {
            service: service(),
            paused: true,
            since: Revision(700),
        })),
        record(item(Stage::Written, true, [InSync; 3])),
        record(item(Stage::Written, false, [InSync, Syncing, Stale])),
        record(item(Stage::Removed, false, [Dropping; 3])),
        record(item(Stage::Vacant, true, [Syncing, Dropping, Syncing])),
    ]
}

pub fn any_name() -> impl Strategy<Value = ItemName> {
    "[^\\p{C}]{1,60}".prop_map(|text| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        ItemName::new(&format!("i{text}")).expect("a name")
    })
}

fn any_sum() -> impl Strategy<Value = Option<Checksum>> {
    option::of(vec(any::<u8>(), 1..=32).prop_map(|bytes| Checksum::new(&bytes).expect("fits")))
}

fn any_reported() -> impl Strategy<Value = Reported> {
    let nodes = vec(any::<u64>().prop_map(NodeId), 0..6);
    (any_name(), any::<(u64, u64, u64)>(), any_sum(), nodes).prop_map(
        |(item, (replaces, version, size), checksum, holders)| Reported {
            item,
            replaces,
            version,
            checksum,
            size,
            holders,
        },
    )
}

/// Any command on copies.
pub fn command() -> impl Strategy<Value = Command> {
    let nodes = vec(any::<u64>().prop_map(NodeId), 0..6);
    let placing = (any_name(), any::<u8>(), nodes).prop_map(|(item, wanted, nodes)| Placing {
        item,
        wanted,
        nodes,
    });
    let checked =
        (any_name(), any::<(u64, u64)>(), any_sum()).prop_map(|(item, (node, version), found)| {
            Checked {
                item,
                node: NodeId(node),
                version,
                found,
            }
        });
    let copies = || {
        let one = (any_name(), any::<u64>()).prop_map(|(item, node)| OneCopy {
            item,
            node: NodeId(node),
        });
        vec(one, 0..4)
    };
    prop_oneof![
        vec(placing, 0..4).prop_map(CopiesCommand::Place),
        vec(any_reported(), 0..4).prop_map(CopiesCommand::Report),
        vec(checked, 0..4).prop_map(CopiesCommand::Verify),
        copies().prop_map(CopiesCommand::Assign),
        copies().prop_map(CopiesCommand::Drop),
        copies().prop_map(CopiesCommand::Dropped),
        any::<u64>().prop_map(|folder| CopiesCommand::Renew {
            member: member(),
            folder
        }),
    ]
    .prop_map(on)
}

/// Any key of what concerns copies.
pub fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        any::<u64>().prop_map(|node| Key::Store(service(), NodeId(node))),
        Just(Key::Rebalance(service())),
        any_name().prop_map(|item| Key::Item(service(), item)),
    ]
}

#[test]
fn an_item_with_states_that_need_not_be_told_is_refused() {
    use prost::Message;
    use tenure_storage::format::v1::copies as msg;
    use tenure_storage::format::{VERSION, decode_record};
    let name = name("a");
    let whole = msg::Item {
        service: service().to_string(),
        name: name.to_string(),
        version: 1,
        nodes: vec![1, 2],
        ..msg::Item::default()
    };
    let broken: [fn(&mut msg::Item); 6] = [
        |item| item.states = vec![0, 0],
        |item| item.states = vec![1],
        |item| item.states = vec![1, 9],
        |item| item.nodes = vec![2, 1],
        |item| item.checksum = vec![1; 33],
        |item| item.stage = 7,
    ];
    let key = Key::Item(service(), name);
    let read = |item: &msg::Item| {
        let bytes = [vec![VERSION], item.encode_to_vec()].concat();
        decode_record(&key, &bytes)
    };
    assert!(read(&whole).is_ok());
    for (at, breaks) in broken.into_iter().enumerate() {
        let mut item = whole.clone();
        breaks(&mut item);
        assert!(read(&item).is_err(), "{at}");
    }
}
