//! Commands on what is remembered of servers.

use crate::fixture::*;
use tenure_core::{Command, Key, Record, RejectCode, ServerId, ServerStatus, limits::SERVERS_MAX};

use Expect::{Changes, Nothing, Rejects};

fn bind(server: u64, store: u128) -> Command {
    Command::BindServer {
        id: ServerId(server),
        store,
    }
}

fn retire(server: u64) -> Command {
    Command::RetireServer {
        id: ServerId(server),
    }
}

#[test]
fn servers_come_are_bound_and_go_for_good() {
    table([
        ("admitted", admit(4, 4), Changes("server 4")),
        ("moved", admit(1, 9), Changes("server 1")),
        ("as it is", admit(1, 1), Nothing),
        (
            "came back",
            admit(2, 2),
            Rejects(RejectCode::ServerIdUsed, "server 2", None),
        ),
        ("bound", bind(3, 9), Changes("server 3")),
        ("bound as before", bind(1, 7), Nothing),
        (
            "another folder",
            bind(1, 8),
            Rejects(RejectCode::StoreMismatch, "server 1", None),
        ),
        (
            "bound after removal",
            bind(2, 8),
            Rejects(RejectCode::ServerIdUsed, "server 2", None),
        ),
        (
            "bound before admission",
            bind(4, 8),
            Rejects(RejectCode::NotFound, "server 4", None),
        ),
        ("retired", retire(1), Changes("server 1")),
        ("retired before", retire(2), Nothing),
        (
            "never there",
            retire(4),
            Rejects(RejectCode::NotFound, "server 4", None),
        ),
    ]);
}

#[test]
fn a_server_that_moves_keeps_its_folder() {
    let mut world = World::small();
    world.must(admit(1, 9));
    let Some(Record::Server(server)) = world.state.get(&Key::Server(ServerId(1))) else {
        panic!("server 1 is there");
    };
    assert_eq!(server.store, Some(7));
    assert_eq!(server.raft, endpoint(7_009));
    assert_eq!(server.status, ServerStatus::Admitted);
}

#[test]
fn ids_of_servers_are_bounded() {
    let mut world = World::empty();
    let most = SERVERS_MAX as u64;
    let batch = (1..=most).map(|id| admit(id, 1)).collect();
    world.must(Command::Batch(batch));
    let reject = world.must_reject(admit(most + 1, 1));
    assert_eq!(
        (reject.code, reject.subject.as_str()),
        (RejectCode::LimitReached, "servers")
    );
    assert_eq!((reject.expected, reject.actual), (Some(most), Some(most)));
}
