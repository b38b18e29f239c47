//! What people are told: every sentence says what it is about, and no two things are called the same.

use crate::fixture::*;
use std::{collections::BTreeSet, fmt::Display};
use tenure_core::{
    Attributes, Command, ControlLoss, Digest, Endpoint, Filter, Health, Key, Millis, NodeId,
    NodeName, Note, Phase, Record, RecordKind, Revision, Role, Scope, ServerStatus, ServiceName,
    State, Zone, agent::Observed,
};

/// The words for each of some things, of which no two are alike.
fn words<T: Display>(things: &[T]) -> Vec<String> {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    let distinct: BTreeSet<&String> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "{words:?}");
    assert!(words.iter().all(|word| !word.is_empty()), "{words:?}");
    words
}

#[test]
fn each_has_a_word_of_its_own() {
    assert_eq!(
        words(&[Role::Primary, Role::Replica, Role::Peer]),
        ["primary", "replica", "peer"]
    );
    let health = [
        Health::Unknown,
        Health::Starting,
        Health::Healthy,
        Health::Degraded,
        Health::Failing,
    ];
    let said = ["unknown", "starting", "healthy", "degraded", "failing"];
    assert_eq!(words(&health), said);
    assert_eq!(
        words(&[ControlLoss::Pledge, ControlLoss::Fence]),
        ["pledge", "fence"]
    );
    assert_eq!(
        words(&[ServerStatus::Admitted, ServerStatus::Retired]),
        ["admitted", "retired"]
    );
    let phases = ["detected", "fenced", "surveyed", "committed", "confirmed"];
    assert_eq!(words(&Phase::ALL), phases);
    assert_eq!(member(7, 3).to_string(), "node 7 (incarnation 3)");
    assert_eq!(Digest::default().to_string().len(), 16);
    assert_ne!(Observed::Nothing, Observed::Peer);
}

#[test]
fn a_text_that_is_refused_says_why() {
    let note = |text: &str| Note::new(text).unwrap_err().to_string();
    assert!(note(&"x".repeat(5_000)).contains("5000 bytes"));
    assert_eq!(note("a\nb"), "a control character stands at byte 1");
    let endpoint = Endpoint::new("nowhere").unwrap_err().to_string();
    assert!(
        endpoint.contains("\"nowhere\" is not HOST:PORT"),
        "{endpoint}"
    );
    let attributes = |pairs: Vec<(String, &str)>| {
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key, value.to_owned()));
        Attributes::new(pairs.collect()).unwrap_err().to_string()
    };
    let many = (0..100).map(|at| (at.to_string(), "x")).collect();
    assert!(attributes(many).contains("there are 100 attributes"));
    let empty = attributes(vec![(String::new(), "x")]);
    assert_eq!(empty, "an attribute has an empty key");
}

#[test]
fn a_name_that_is_refused_says_why() {
    for (text, why) in [
        ("", "must not be empty"),
        (&"a".repeat(64), "this one has 64"),
        ("a_b", "'_' at byte 1"),
        ("-a", "begin or end with '-'"),
    ] {
        let said = ServiceName::new(text).unwrap_err().to_string();
        assert!(said.contains(why), "{text:?}: {said}");
        assert!(text.parse::<NodeName>().is_err());
        assert!(Zone::try_from(text.to_owned()).is_err());
    }
    let name: NodeName = "db-1".parse().unwrap();
    assert_eq!(String::from(name), "db-1");
}

/// One of every kind of record that can be listed, and more of those that have many.
fn full() -> State {
    let mut world = World::small();
    world.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
    for scope in [
        Scope::Cluster,
        Scope::Service(service("sql")),
        Scope::Node(NodeId(1)),
    ] {
        world.must(Command::SetPause {
            scope,
            expected: None,
            until: None,
            reason: note(""),
        });
    }
    world.state
}

#[test]
fn a_list_is_the_same_in_pages_of_any_size() {
    let state = full();
    let filter = Filter {
        kinds: BTreeSet::new(),
        services: BTreeSet::new(),
    };
    let whole = state.page(&filter, None, usize::MAX);
    let kinds: BTreeSet<_> = whole.iter().map(Record::key).collect();
    assert_eq!(kinds.len(), whole.len());
    for size in 1..=4 {
        let (mut paged, mut after): (Vec<Record>, Option<Key>) = (Vec::new(), None);
        loop {
            let page = state.page(&filter, after.as_ref(), size);
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.key());
            paged.extend(page);
        }
        assert_eq!(paged, whole, "pages of {size}");
    }
    assert_eq!(RecordKind::of(&Key::History(Revision(1))), None);
    assert_eq!(state.servers().len(), 3);
    assert_eq!(Millis(5).to_string(), "5 ms");
}
