//! Registrations of clients.

use crate::fixture::*;
use tenure_core::{
    ClientId, Command, Created, Key, LogIndex, Outcome, RejectCode, RequestId, Revision,
};

fn request(client: ClientId, sequence: u64) -> Option<RequestId> {
    Some(RequestId {
        client,
        sequence,
        first_incomplete: 1,
    })
}

#[test]
fn a_registration_is_named_by_its_entry_and_seen_by_no_watcher() {
    let mut world = World::small();
    let revision = world.state.revision();
    let applied = world.apply(Command::OpenClient);
    let id = ClientId(world.state.applied().0);
    let done = applied.outcome.into_result().unwrap();
    assert_eq!(done.created, Some(Created::Client(id)));
    assert_eq!(done.revision, revision);
    assert_eq!(applied.events, []);
    assert_eq!(applied.hidden, [Key::Client(id)]);

    let applied = world.apply(Command::CloseClient { client: id });
    assert_eq!(
        (applied.events, applied.hidden),
        (vec![], vec![Key::Client(id)])
    );
    assert!(world.state.clients().is_empty());
    let applied = world.apply(Command::CloseClient { client: id });
    assert!(applied.outcome.into_result().is_ok(), "closed before");
    assert_eq!(applied.hidden, []);
}

#[test]
fn over_the_bound_the_least_recently_active_is_dropped() {
    let mut world = World::small();
    world.must(Command::SetSettings {
        expected: Revision(0),
        history_max: 1_000,
        clients_max: 16,
    });
    let clients: Vec<ClientId> = (0..16).map(|_| world.client()).collect();
    for client in &clients[..3] {
        let applied = world.apply_as(request(*client, 1), add_node("a"));
        assert!(
            applied.outcome.into_result().is_err(),
            "activity all the same"
        );
    }
    let applied = world.apply(Command::OpenClient);
    let newest = ClientId(world.state.applied().0);
    assert_eq!(
        applied.hidden,
        [Key::Client(clients[3]), Key::Client(newest)]
    );
    let kept: Vec<ClientId> = world.state.clients().keys().copied().collect();
    assert_eq!(kept.len(), 16);
    assert!(kept.contains(&clients[0]) && !kept.contains(&clients[3]));

    let applied = world.apply_as(request(clients[3], 2), add_node("z"));
    let Outcome::Rejected(reject) = applied.outcome else {
        panic!("a client that was dropped cannot be judged");
    };
    assert_eq!(reject.code, RejectCode::UnknownClient);
    assert_eq!(world.state.find_node(&named("z")), None);
}

#[test]
fn a_client_may_end_itself_by_a_request() {
    let mut world = World::small();
    let client = world.client();
    let applied = world.apply_as(request(client, 1), Command::CloseClient { client });
    assert_eq!(applied.hidden, [Key::Client(client)], "named once");
    assert!(applied.outcome.into_result().is_ok());
    let applied = world.apply_as(request(client, 1), Command::CloseClient { client });
    let code = applied.outcome.into_result().map_err(|reject| reject.code);
    assert_eq!(code, Err(RejectCode::UnknownClient));
}

#[test]
fn activity_is_noted_by_entry() {
    let mut world = World::small();
    let client = world.client();
    let opened = world.state.applied();
    assert_eq!(world.state.clients()[&client].last_active, opened);
    world.apply(add_node("f")).outcome.into_result().unwrap();
    world
        .apply_as(request(client, 1), add_node("g"))
        .outcome
        .into_result()
        .unwrap();
    let active = world.state.clients()[&client].last_active;
    assert_eq!(active, LogIndex(opened.0 + 2));
}
