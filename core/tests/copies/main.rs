//! Tests of the ledger of copies: every refusal, repair by examples, random sequences of everything that can happen, and
//! how evenly and how quietly copies are placed.
//!
//! | variable | what it sets |
//! |---|---|
//! | `TENURE_COPIES_SEEDS`, `TENURE_COPIES_SEED` | how many random sequences, and the first one's seed |
//! | `TENURE_COPIES_PLACED` | items placed to measure balance and movement (20,000 in the gate's short form; 1,000,000 in release for the long one) |
//! | `TENURE_COPIES_ITEMS`, `TENURE_COPIES_NODES` | items (100) and nodes (100) in the figures of memory and speed: run them in release |
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "lengths come from the environment, figures look at the clock and at the process's memory and print what they saw; a test fails by unwrapping"
)]

mod acts;
mod balance;
mod choices;
#[path = "../walk/dice.rs"]
mod dice;
mod figures;
mod repairs;
mod walk;
mod words;
mod writes;

use tenure_core::copies::{Checksum, Ledger, Reported};
use tenure_core::copies::{ItemName, TooFew};
use tenure_core::{CopiesPolicy, NodeId, Zone};

const REFUSE: TooFew = TooFew::Refuse { name: 3 };

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    let number = text.map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number"))
    });
    number.unwrap_or(otherwise)
}

fn zone(of: u64) -> Option<Zone> {
    Some(Zone::new(&format!("zone-{of}")).unwrap())
}

/// A ledger with nodes 1 to `nodes` of equal weight, spread over so many zones.
fn ledger(nodes: u64, zones: u64) -> Ledger {
    let mut ledger = Ledger::new(CopiesPolicy::default());
    for node in 1..=nodes {
        ledger
            .add_node(NodeId(node), zone(node % zones), 100)
            .unwrap();
    }
    ledger
}

fn name(text: &str) -> ItemName {
    ItemName::new(text).unwrap()
}

fn sum(of: u64) -> Checksum {
    Checksum::new(&of.to_be_bytes()).unwrap()
}

fn nodes<const N: usize>(of: [u64; N]) -> Vec<NodeId> {
    of.into_iter().map(NodeId).collect()
}

/// A report of the write after version `replaces`.
fn wrote(item: &str, replaces: u64, holders: &[NodeId]) -> Reported {
    Reported {
        item: name(item),
        replaces,
        version: replaces + 1,
        checksum: Some(sum(replaces + 1)),
        size: 1_000,
        holders: holders.to_vec(),
    }
}

/// Places an item on these nodes and writes it once to all of them.
fn put(ledger: &mut Ledger, item: &str, on: &[NodeId]) {
    let wanted = u8::try_from(on.len()).unwrap();
    ledger.place(&name(item), wanted, on).unwrap();
    let answers = ledger.report(&[wrote(item, 0, on)]).unwrap();
    assert!(answers[0].is_ok(), "{answers:?}");
}
