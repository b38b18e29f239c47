//! Exactly once: a retried request is answered, not applied again.

use crate::fixture::*;
use tenure_core::{
    ClientId, Command, Created, NodeId, Outcome, Reject, RejectCode, RequestId,
    limits::{CLIENT_TEXT_BYTES_MAX, CLIENT_WINDOW_MAX},
};

fn request(client: ClientId, sequence: u64, first_incomplete: u64) -> Option<RequestId> {
    Some(RequestId {
        client,
        sequence,
        first_incomplete,
    })
}

fn rejected(outcome: Outcome) -> Reject {
    match outcome {
        Outcome::Rejected(reject) => reject,
        other @ (Outcome::Done(_) | Outcome::Answered { .. }) => {
            panic!("was carried out: {other:?}")
        }
    }
}

/// Applies one request twice: the same answer, and nothing but the applied index moves.
fn twice(world: &mut World, id: Option<RequestId>, command: &Command) -> Outcome {
    let first = world.apply_as(id, command.clone()).outcome;
    let mut before = world.state.clone();
    let again = world.apply_as(id, command.clone());
    assert_eq!(again.outcome, first, "{command:?}");
    assert_eq!((again.events, again.hidden), (vec![], vec![]));
    before.resume_at(world.state.applied(), before.revision());
    assert_eq!(world.state, before, "{command:?}");
    first
}

#[test]
fn the_same_request_gives_the_same_answer_and_changes_nothing() {
    let mut world = World::small();
    let client = world.client();
    let done = twice(&mut world, request(client, 1, 1), &add_node("f"));
    let created = done.into_result().unwrap().created;
    assert_eq!(created, Some(Created::Node(NodeId(6))));
    let reject = rejected(twice(&mut world, request(client, 2, 1), &add_node("f")));
    assert_eq!(reject.code, RejectCode::AlreadyExists);
    let done = twice(&mut world, request(client, 3, 1), &set_primary("sql", 2, 1));
    assert!(done.into_result().is_ok());
}

#[test]
fn a_rejected_request_stays_rejected_though_it_would_be_accepted_now() {
    let mut world = World::small();
    let client = world.client();
    let id = request(client, 1, 1);
    let first = world.apply_as(id, join(4, 1)).outcome;
    assert_eq!(rejected(first.clone()).code, RejectCode::WrongIncarnation);
    world.must(join(4, 0));
    assert_eq!(world.apply_as(id, join(4, 1)).outcome, first);
}

#[test]
fn requests_are_told_apart_by_client() {
    let mut world = World::small();
    let (one, other) = (world.client(), world.client());
    let first = world.apply_as(request(one, 1, 1), add_node("f")).outcome;
    assert!(first.into_result().is_ok());
    let second = world.apply_as(request(other, 1, 1), add_node("f")).outcome;
    assert_eq!(rejected(second).code, RejectCode::AlreadyExists);
}

#[test]
fn a_settled_request_is_not_answered_again() {
    let mut world = World::small();
    let client = world.client();
    for sequence in 1..=3 {
        let id = request(client, sequence, 1);
        world
            .apply_as(id, add_node(&format!("f{sequence}")))
            .outcome
            .into_result()
            .unwrap();
    }
    let next = world.apply_as(request(client, 4, 3), join(4, 0)).outcome;
    assert!(next.into_result().is_ok());
    let kept: Vec<u64> = world.state.clients()[&client]
        .answers
        .keys()
        .copied()
        .collect();
    assert_eq!(kept, [3, 4]);
    for sequence in [0, 1, 2] {
        let late = world.apply_as(request(client, sequence, 1), add_node("late"));
        let reject = rejected(late.outcome);
        assert_eq!(reject.code, RejectCode::RequestSettled);
        assert_eq!((reject.expected, reject.actual), (Some(3), Some(sequence)));
    }
    assert_eq!(world.state.find_node(&named("late")), None);
    let third = twice(&mut world, request(client, 3, 1), &add_node("f3"));
    assert!(third.into_result().is_ok(), "answered, not applied");
}

#[test]
fn a_client_that_settles_the_request_it_makes_is_refused_before_anything_happens() {
    let mut world = World::small();
    let client = world.client();
    let reject = rejected(world.apply_as(request(client, 4, 5), add_node("f")).outcome);
    assert_eq!(reject.code, RejectCode::Invalid);
    assert_eq!((reject.expected, reject.actual), (Some(5), Some(4)));
    assert_eq!(world.state.find_node(&named("f")), None);
    assert_eq!(world.state.clients()[&client].first_incomplete, 1);
}

#[test]
fn an_unknown_client_is_told_so() {
    let mut world = World::small();
    let reject = rejected(
        world
            .apply_as(request(ClientId(1), 1, 1), add_node("f"))
            .outcome,
    );
    assert_eq!(reject.code, RejectCode::UnknownClient);
    assert_eq!(world.state.find_node(&named("f")), None);
}

/// A full window is told, and neither kept as the answer nor taken for activity: once the client has
/// settled something, the same request goes through.
#[test]
fn the_window_of_a_client_is_bounded() {
    let mut world = World::empty();
    let client = world.client();
    let most = CLIENT_WINDOW_MAX as u64;
    for sequence in 2..=most {
        let applied = world.apply_as(request(client, sequence, 1), join(9, 0));
        assert_eq!(rejected(applied.outcome).code, RejectCode::NotFound);
    }
    let over = world.apply_as(request(client, most + 1, 1), add_node("f"));
    assert_eq!(rejected(over.outcome).code, RejectCode::RequestWindowFull);
    assert_eq!(world.state.find_node(&named("f")), None);
    let known = world.apply_as(request(client, most, 1), join(9, 0));
    assert_eq!(rejected(known.outcome).code, RejectCode::NotFound);
    // Later requests never shut out the oldest one, without which the window cannot move on.
    let oldest = world.apply_as(request(client, 1, 1), join(9, 0));
    assert_eq!(rejected(oldest.outcome).code, RejectCode::NotFound);
    let settled = world.apply_as(request(client, most + 1, 3), add_node("f"));
    assert!(settled.outcome.into_result().is_ok());
    assert_eq!(
        world.state.clients()[&client].answers.len(),
        CLIENT_WINDOW_MAX - 1
    );
}

/// Rejects that say much fill a client's record before they are many.
#[test]
fn the_text_kept_for_a_client_is_bounded() {
    let mut world = World::empty();
    let client = world.client();
    let long = "n".repeat(63);
    world.must(add_node(&long));
    for i in 0..8 {
        let name = format!("{i}{}", "s".repeat(62));
        world.must(add_service(&name, bounded()));
        world.must(add_instance(&name, 1, 100));
    }
    let verbose = remove_node(1, world.at_node(1));
    let one = world.must_reject(verbose.clone());
    let bytes = one.subject.as_str().len() + one.detail.as_str().len();
    let mut sequence = 0;
    let full = loop {
        sequence += 1;
        let outcome = world
            .apply_as(request(client, sequence, 1), verbose.clone())
            .outcome;
        let reject = rejected(outcome);
        if reject.code != RejectCode::NodeHasInstances {
            break reject;
        }
    };
    assert_eq!(full.code, RejectCode::RequestWindowFull);
    let kept = world.state.clients()[&client].answers.len();
    assert!(
        kept * bytes <= CLIENT_TEXT_BYTES_MAX && kept < CLIENT_WINDOW_MAX,
        "{kept}"
    );
    assert!(
        (kept + 2) * bytes > CLIENT_TEXT_BYTES_MAX - 2_048,
        "{kept} of {bytes}"
    );
    let settled = world.apply_as(request(client, sequence, 2), add_node("f"));
    assert!(settled.outcome.into_result().is_ok());
}

/// Sequence numbers need not come in order: requests under way overtake each other.
#[test]
fn requests_may_overtake_each_other() {
    let mut world = World::small();
    let client = world.client();
    for sequence in [3, 1, 2] {
        let id = request(client, sequence, 1);
        let done = twice(&mut world, id, &add_node(&format!("f{sequence}")));
        assert!(done.into_result().is_ok(), "{sequence}");
    }
    let kept = world.state.clients()[&client].answers.len();
    assert_eq!(kept, 3);
}
