//! Commands on pins.

use crate::fixture::*;
use tenure_core::{Command, Key, NodeId, PinKind, RejectCode, Revision, Timestamp};

use Expect::{Changes, Nothing, Rejects};

fn pin(node: u64, expected: Option<Revision>, kind: PinKind, until: Option<u64>) -> Command {
    Command::SetPin {
        node: id(node),
        expected,
        kind,
        until: until.map(Timestamp),
        reason: note(""),
    }
}

fn unpin(node: u64, expected: Revision) -> Command {
    Command::RemovePin {
        node: id(node),
        expected,
    }
}

#[test]
fn pinning() {
    let at = World::small().at(&Key::Pin(NodeId(3)));
    table([
        (
            "set",
            pin(1, None, PinKind::Down, Some(5)),
            Changes("pin of node 1"),
        ),
        (
            "replaced",
            pin(3, Some(at), PinKind::Down, None),
            Changes("pin of node 3"),
        ),
        (
            "prolonged",
            pin(3, Some(at), PinKind::Up, Some(9)),
            Changes("pin of node 3"),
        ),
        ("as it is", pin(3, Some(at), PinKind::Up, None), Nothing),
        (
            "there is one",
            pin(3, None, PinKind::Down, None),
            Rejects(RejectCode::AlreadyExists, "pin of node 3", None),
        ),
        (
            "there is none",
            pin(1, Some(at), PinKind::Down, None),
            Rejects(RejectCode::NotFound, "pin of node 1", None),
        ),
        (
            "stale",
            pin(3, Some(Revision(1)), PinKind::Down, None),
            Rejects(RejectCode::Changed, "pin of node 3", Some((1, at.0))),
        ),
        (
            "removed node",
            pin(5, None, PinKind::Down, None),
            Rejects(RejectCode::NotFound, "node e", None),
        ),
        (
            "unknown node",
            pin(9, None, PinKind::Down, None),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}

#[test]
fn unpinning() {
    let at = World::small().at(&Key::Pin(NodeId(3)));
    table([
        ("taken away", unpin(3, at), Changes("pin of node 3")),
        (
            "stale",
            unpin(3, Revision(1)),
            Rejects(RejectCode::Changed, "pin of node 3", Some((1, at.0))),
        ),
        (
            "there is none",
            unpin(1, at),
            Rejects(RejectCode::NotFound, "pin of node 1", None),
        ),
        (
            "unknown node",
            unpin(9, at),
            Rejects(RejectCode::NotFound, "node 9", None),
        ),
    ]);
}
