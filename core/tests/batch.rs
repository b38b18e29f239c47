//! Batches: several commands, all or none.

use crate::fixture::*;
use tenure_core::{
    ClientId, Command, Epoch, Key, Kind, Lifecycle, NodeId, Policy, RejectCode, Revision,
    limits::BATCH_COMMANDS_MAX,
};

use Expect::{Changes, Nothing, Rejects};

#[test]
fn a_batch_is_all_or_nothing() {
    let whole = vec![
        add_node("f"),
        add_service("new", Policy::default_for(Kind::Primary)),
        add_instance("new", 6, 100),
        set_primary("new", 6, 0),
    ];
    let mut broken = whole.clone();
    broken.push(add_node("f"));
    let over = vec![admit(1, 1); BATCH_COMMANDS_MAX + 1];
    let most = BATCH_COMMANDS_MAX as u64;
    table([
        (
            "each rests on the one before",
            Command::Batch(whole),
            Changes("node 6, service new, assignment of new, instance of new on node 6"),
        ),
        ("empty", Command::Batch(vec![]), Nothing),
        ("as it is", Command::Batch(vec![admit(1, 1)]), Nothing),
        (
            "the last is rejected",
            Command::Batch(broken),
            Rejects(RejectCode::AlreadyExists, "node f", None),
        ),
        (
            "too long",
            Command::Batch(over),
            Rejects(
                RejectCode::LimitReached,
                "the batch",
                Some((most, most + 1)),
            ),
        ),
        (
            "nested",
            Command::Batch(vec![Command::Batch(vec![])]),
            Rejects(RejectCode::NotInBatch, "command 0", None),
        ),
        (
            "with a registration",
            Command::Batch(vec![add_node("f"), Command::OpenClient]),
            Rejects(RejectCode::NotInBatch, "command 1", None),
        ),
        (
            "with the end of one",
            Command::Batch(vec![Command::CloseClient {
                client: ClientId(1),
            }]),
            Rejects(RejectCode::NotInBatch, "command 0", None),
        ),
    ]);
}

#[test]
fn a_reject_says_which_command_of_the_batch_it_was() {
    let mut world = World::small();
    let reject = world.must_reject(Command::Batch(vec![add_node("f"), add_node("a")]));
    assert_eq!(
        reject.to_string(),
        "node a exists already: (command 1 of the batch) it is node 1"
    );
    let reject = world.must_reject(Command::Batch(vec![join(1, 0)]));
    assert_eq!(reject.detail.as_str(), "(command 0 of the batch)");
}

#[test]
fn what_a_batch_undoes_itself_is_no_change() {
    let mut world = World::small();
    let batch = Command::Batch(vec![
        Command::SetPin {
            node: id(1),
            expected: None,
            kind: tenure_core::PinKind::Up,
            until: None,
            reason: note(""),
        },
        Command::RemovePin {
            node: id(1),
            expected: Revision(world.state.applied().0 + 1),
        },
    ]);
    let before = world.state.revision();
    let applied = world.apply(batch);
    assert_eq!(applied.events, []);
    assert_eq!(applied.hidden, []);
    assert_eq!(world.state.revision(), before);
}

/// A name that was taken over within the batch must belong to its old owner again afterwards.
#[test]
fn a_rolled_back_batch_gives_a_name_back() {
    let mut world = World::empty();
    world.must(add_node("a"));
    let batch = vec![
        remove_node(1, world.at_node(1)),
        add_node("a"),
        remove_node(2, Revision(world.state.applied().0 + 1)),
        add_node("a"),
        add_node("a"),
    ];
    let reject = world.must_reject(Command::Batch(batch));
    assert_eq!(reject.code, RejectCode::AlreadyExists);
    let found = world.state.find_node(&named("a"));
    assert_eq!(found.map(|node| node.id), Some(NodeId(1)));
}

#[test]
fn a_batch_may_hand_over_and_begin_maintenance() {
    let mut world = World::small();
    let steps = |world: &World| {
        vec![
            set_primary("sql", 2, 1),
            set_lifecycle(1, world.at_node(1), Lifecycle::Maintenance),
        ]
    };
    let reject = world.must_reject(Command::Batch(steps(&world)));
    assert_eq!(reject.code, RejectCode::NodeHoldsPrimary, "of safe, still");
    let at = world.at_assignment("safe");
    world.must(set_in_sync("safe", 1, at, &[1, 2]));
    let mut all = vec![set_primary("safe", 2, 1)];
    all.extend(steps(&world));
    world.must(Command::Batch(all));
    let safe = world.state.assignment(&service("safe")).unwrap();
    assert_eq!((safe.primary, safe.epoch), (Some(member(2, 1)), Epoch(2)));
}

#[test]
fn the_history_tells_of_a_batch_in_one_entry() {
    let mut world = World::small();
    let before = world.state.history().len();
    world.must(Command::Batch(vec![
        add_node("f"),
        add_node("g"),
        add_node("h"),
    ]));
    assert_eq!(world.state.history().len(), before + 1);
    let newest = world.state.history().last_key_value().unwrap().1;
    assert_eq!(
        newest.what.as_str(),
        "node f was added, and 2 more in one batch"
    );
    let key = Key::History(newest.revision);
    assert!(!key.is_visible());
    world.must(Command::Batch(vec![report(
        "sql",
        member(1, 1),
        None,
        healthy(),
    )]));
    assert_eq!(
        world.state.history().len(),
        before + 1,
        "reports drown nothing"
    );
}
