//! What a refusal tells people: what was refused, with the values that disagree.

use tenure_core::NodeId;
use tenure_core::copies::{CopyState, ItemName, Obstacles, Refusal};

fn item() -> ItemName {
    ItemName::new("network/42").unwrap()
}

/// A refusal, and what it has to say.
type Told = (Refusal, &'static [&'static str]);

fn with_values() -> Vec<Told> {
    let (node, obstacles) = (
        NodeId(7),
        Obstacles {
            count: 2,
            first: vec![item()],
        },
    );
    let changed = Refusal::Changed {
        item: item(),
        expected: 3,
        actual: 4,
    };
    let old = Refusal::OldVersion {
        item: item(),
        given: 3,
        actual: 4,
    };
    let few = Refusal::TooFewCopies {
        item: item(),
        have: 1,
        need: 2,
    };
    let many = Refusal::TooMany {
        what: "copies",
        given: 99,
        max: 16,
    };
    let differs = Refusal::ChecksumDiffers {
        item: item(),
        version: 4,
    };
    let length = Refusal::ChecksumLength {
        given: 40,
        expected: 32,
    };
    let would_leave = Refusal::WouldLeaveTooFew { node, obstacles };
    vec![
        (changed, &["expected version 3, is 4", "decide anew"]),
        (old, &["version 3 of network/42", "is 4"]),
        (few, &["reached 1 copies", "must reach 2"]),
        (many, &["99 copies, at most 16"]),
        (differs, &["network/42 at version 4"]),
        (length, &["40 bytes", "32 are expected"]),
        (would_leave, &["without node 7", "2 item(s)", " network/42"]),
    ]
}

fn without_values() -> Vec<Told> {
    let node = NodeId(7);
    let never = Refusal::NotACopy { item: item(), node };
    let already = Refusal::AlreadyACopy { item: item(), node };
    let needed = Refusal::CopyNeeded { item: item(), node };
    vec![
        (Refusal::BadName("it is empty".to_owned()), &["it is empty"]),
        (
            Refusal::NoSuchItem(item()),
            &["network/42", "place it first"],
        ),
        (Refusal::NoSuchNode(node), &["node 7", "stores nothing"]),
        (Refusal::NodeKnown(node), &["node 7", "known already"]),
        (Refusal::NodeTakesNone(node), &["node 7", "no new copies"]),
        (never, &["never given", "network/42"]),
        (already, &["node 7", "already"]),
        (
            Refusal::NothingToCompare(item()),
            &["no checksum of network/42"],
        ),
        (Refusal::BadWanted(17), &["17 copies", "1 to 16"]),
        (needed, &["node 7", "too few fresh copies"]),
    ]
}

#[test]
fn every_refusal_names_what_it_is_about() {
    for (refusal, parts) in with_values().into_iter().chain(without_values()) {
        let said = refusal.to_string();
        for part in parts {
            assert!(said.contains(part), "{refusal:?}: {said}");
        }
    }
}

#[test]
fn every_state_of_a_copy_has_a_word_of_its_own() {
    let states = [
        CopyState::InSync,
        CopyState::Syncing,
        CopyState::Stale,
        CopyState::Leaving,
    ];
    let words = states.map(|state| state.to_string());
    assert_eq!(words, ["in sync", "syncing", "stale", "leaving"]);
}
