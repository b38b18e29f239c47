//! What writers and nodes may say, and every way in which they are refused.

use super::{REFUSE, ledger, name, nodes, put, sum, wrote, zone};
use std::collections::BTreeMap;
use tenure_core::NodeId;
use tenure_core::copies::{
    Checked, Checksum, CopyState, ITEMS_PER_REQUEST_MAX, ItemName, Ledger, Reader, Refusal,
    Reported, TooFew, check,
};

fn report(ledger: &mut Ledger, one: Reported) -> Result<(u8, u8), Refusal> {
    let mut answers = ledger.report(&[one]).unwrap();
    answers
        .remove(0)
        .map(|accepted| (accepted.usable, accepted.missing))
}

fn state(ledger: &Ledger, item: &str, node: u64) -> Option<CopyState> {
    let item = ledger.item(ledger.find(&name(item))?)?;
    let copy = item.copies.iter().find(|(at, _)| *at == NodeId(node))?;
    Some(copy.1)
}

#[test]
fn a_copy_that_missed_a_write_is_stale_until_it_caught_up() {
    let mut ledger = ledger(4, 4);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    assert_eq!(
        report(&mut ledger, wrote("a", 1, &nodes([1, 3]))),
        Ok((2, 1))
    );
    assert_eq!(state(&ledger, "a", 2), Some(CopyState::Stale));
    assert_eq!(ledger.summary().missing_bytes, 1_000);
    // The same report again says who caught up.
    assert_eq!(
        report(&mut ledger, wrote("a", 1, &nodes([1, 3]))),
        Ok((2, 1))
    );
    assert_eq!(report(&mut ledger, wrote("a", 1, &nodes([2]))), Ok((3, 0)));
    assert_eq!(state(&ledger, "a", 2), Some(CopyState::InSync));
    assert!(check(&ledger).is_empty(), "{:?}", check(&ledger));
}

/// What a report of item `a`, at version 2 on nodes 1 to 3, cannot say.
fn contradictions() -> Vec<(Reported, Refusal)> {
    let a = || name("a");
    vec![
        (
            wrote("b", 0, &nodes([1, 2])),
            Refusal::NoSuchItem(name("b")),
        ),
        (
            wrote("a", 2, &nodes([1, 9])),
            Refusal::NoSuchNode(NodeId(9)),
        ),
        (
            wrote("a", 2, &nodes([1, 4])),
            Refusal::NotACopy {
                item: a(),
                node: NodeId(4),
            },
        ),
        (
            wrote("a", 2, &nodes([1])),
            Refusal::TooFewCopies {
                item: a(),
                have: 1,
                need: 2,
            },
        ),
        (
            wrote("a", 2, &nodes([1, 1, 1])),
            Refusal::TooFewCopies {
                item: a(),
                have: 1,
                need: 2,
            },
        ),
        (
            wrote("a", 0, &nodes([1, 2])),
            Refusal::OldVersion {
                item: a(),
                given: 1,
                actual: 2,
            },
        ),
        (
            wrote("a", 5, &nodes([1, 2])),
            Refusal::Changed {
                item: a(),
                expected: 5,
                actual: 2,
            },
        ),
    ]
}

/// What cannot be so whatever the item is at.
fn misfits() -> Vec<(Reported, Refusal)> {
    let a = || name("a");
    vec![
        (
            Reported {
                checksum: Some(sum(7)),
                ..wrote("a", 1, &nodes([1]))
            },
            Refusal::ChecksumDiffers {
                item: a(),
                version: 2,
            },
        ),
        (
            Reported {
                checksum: Checksum::new(b"four").ok(),
                ..wrote("a", 2, &nodes([1, 2]))
            },
            Refusal::ChecksumLength {
                given: 4,
                expected: 8,
            },
        ),
        (
            Reported {
                checksum: None,
                ..wrote("a", 2, &nodes([1, 2]))
            },
            Refusal::ChecksumLength {
                given: 0,
                expected: 8,
            },
        ),
        (
            Reported {
                holders: vec![NodeId(1); 33],
                ..wrote("a", 2, &[])
            },
            Refusal::TooMany {
                what: "copies of one item",
                given: 33,
                max: 32,
            },
        ),
    ]
}

#[test]
fn what_contradicts_the_ledger_is_refused_and_changes_nothing() {
    let mut ledger = ledger(5, 5);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    assert!(report(&mut ledger, wrote("a", 1, &nodes([1, 2, 3]))).is_ok());
    let before = ledger.list(None, 10);
    for (reported, refusal) in contradictions().into_iter().chain(misfits()) {
        let said = format!("{reported:?}");
        assert_eq!(report(&mut ledger, reported), Err(refusal), "{said}");
    }
    assert_eq!(ledger.list(None, 10), before);
}

#[test]
fn a_holder_that_is_lost_does_not_count_for_the_minimum() {
    let mut ledger = ledger(3, 3);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    ledger.lose(NodeId(3)).unwrap();
    let (item, have, need) = (name("a"), 1, 2);
    let refused = Refusal::TooFewCopies { item, have, need };
    assert_eq!(
        report(&mut ledger, wrote("a", 1, &nodes([1, 3]))),
        Err(refused)
    );
    assert_eq!(
        report(&mut ledger, wrote("a", 1, &nodes([1, 2]))),
        Ok((2, 1))
    );
    ledger.regain(NodeId(3)).unwrap();
    assert_eq!(state(&ledger, "a", 3), Some(CopyState::Stale));
}

#[test]
fn requests_names_and_checksums_are_bounded() {
    let mut ledger = ledger(3, 3);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    let many = ITEMS_PER_REQUEST_MAX + 1;
    let too_many = |what| Refusal::TooMany {
        what,
        given: many,
        max: ITEMS_PER_REQUEST_MAX,
    };
    let reports = vec![wrote("a", 1, &nodes([1, 2])); many];
    assert_eq!(ledger.report(&reports), Err(too_many("reports")));
    let loads = BTreeMap::new();
    let reader = Reader {
        zone: None,
        loads: &loads,
    };
    assert_eq!(
        ledger.locate(&vec![name("a"); many], reader),
        Err(too_many("items"))
    );
    assert_eq!(ledger.list(None, usize::MAX).len(), 1);
    for text in [String::new(), "x".repeat(256), "a\nb".to_owned()] {
        assert!(
            matches!(ItemName::new(&text), Err(Refusal::BadName(_))),
            "{text:?}"
        );
    }
    for length in [0, 33, 300] {
        let refused = Refusal::ChecksumLength {
            given: length,
            expected: 32,
        };
        assert_eq!(Checksum::new(&vec![7; length]), Err(refused));
    }
    assert_eq!(Checksum::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
    let longest = "ß".repeat(127);
    put(&mut ledger, &longest, &nodes([1, 2, 3]));
    assert_eq!(ledger.list(Some(&name("a")), 9)[0].name.as_str(), longest);
}

#[test]
fn placing_is_checked_and_may_be_repeated() {
    let mut ledger = ledger(4, 4);
    ledger.lose(NodeId(4)).unwrap();
    let (a, given) = (name("a"), 4);
    let node = |node| NodeId(node);
    let table = [
        (3, nodes([1, 2, 4]), Refusal::NodeTakesNone(node(4))),
        (3, nodes([1, 2, 7]), Refusal::NoSuchNode(node(7))),
        (
            3,
            nodes([1, 1]),
            Refusal::AlreadyACopy {
                item: a.clone(),
                node: node(1),
            },
        ),
        (
            3,
            nodes([1]),
            Refusal::TooFewCopies {
                item: a.clone(),
                have: 1,
                need: 2,
            },
        ),
        (17, nodes([1, 2, 3]), Refusal::BadWanted(17)),
    ];
    for (wanted, on, refusal) in table {
        assert_eq!(ledger.place(&a, wanted, &on), Err(refusal));
    }
    let what = "nodes for one item";
    let refusal = Refusal::TooMany {
        what,
        given,
        max: 3,
    };
    assert_eq!(ledger.place(&a, 3, &nodes([1, 2, 3, 4])), Err(refusal));
    let id = ledger.place(&a, 3, &nodes([1, 2])).unwrap();
    assert_eq!(ledger.place(&a, 3, &nodes([2, 3])), Ok(id));
    assert_eq!(state(&ledger, "a", 3), None);
    let summary = ledger.summary();
    assert_eq!(
        (summary.items, summary.unwritten, summary.under_replicated),
        (1, 1, 0)
    );
    let changed = Refusal::Changed {
        item: a.clone(),
        expected: 1,
        actual: 0,
    };
    assert_eq!(ledger.remove_item(&a, 1), Err(changed));
    assert_eq!(ledger.remove_item(&a, 0), Ok(()));
    assert_eq!(ledger.find(&a), None);
}

#[test]
fn verification_marks_what_differs() {
    let mut ledger = ledger(3, 3);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    let read = |node, version, checksum| Checked {
        item: name("a"),
        node: NodeId(node),
        version,
        found: Some(checksum),
    };
    let batch = [
        read(1, 1, sum(1)),
        read(2, 1, sum(8)),
        read(3, 7, sum(1)),
        read(3, 1, Checksum::new(b"four").unwrap()),
        read(9, 1, sum(1)),
    ];
    let answers = ledger.verify(&batch).unwrap();
    let expected = vec![
        Ok(true),
        Ok(false),
        Err(Refusal::OldVersion {
            item: name("a"),
            given: 7,
            actual: 1,
        }),
        Err(Refusal::ChecksumLength {
            given: 4,
            expected: 8,
        }),
        Err(Refusal::NoSuchNode(NodeId(9))),
    ];
    assert_eq!(answers, expected);
    assert_eq!(state(&ledger, "a", 2), Some(CopyState::Stale));
    assert_eq!(ledger.summary().under_replicated, 1);
}

#[test]
fn the_last_copy_that_might_be_saved_is_kept_although_it_is_stale() {
    let mut ledger = ledger(3, 3);
    put(&mut ledger, "a", &nodes([1, 2, 3]));
    assert!(report(&mut ledger, wrote("a", 1, &nodes([1, 2]))).is_ok());
    ledger.lose(NodeId(1)).unwrap();
    assert_eq!(ledger.drop_copy(&name("a"), NodeId(3)), Ok(()));
    ledger.dropped(&name("a"), NodeId(3)).unwrap();
    ledger.assign(&name("a"), NodeId(3)).unwrap();
    ledger.lose(NodeId(2)).unwrap();
    let needed = Refusal::CopyNeeded {
        item: name("a"),
        node: NodeId(3),
    };
    assert_eq!(ledger.drop_copy(&name("a"), NodeId(3)), Err(needed));
    let refused = ledger.remove_node(NodeId(3), REFUSE);
    assert!(matches!(refused, Err(Refusal::WouldLeaveTooFew { .. })));
}

#[test]
fn readers_are_sent_to_their_zone_then_to_the_less_busy() {
    let mut ledger = ledger(4, 2);
    put(&mut ledger, "a", &nodes([1, 2, 3, 4]));
    ledger.drain(NodeId(3), TooFew::AcceptLoss).unwrap();
    let loads = BTreeMap::from([(NodeId(2), 900), (NodeId(4), 100)]);
    let here = zone(0);
    let reader = Reader {
        zone: here.as_ref(),
        loads: &loads,
    };
    let located = |ledger: &Ledger| {
        let mut answers = ledger.locate(&[name("a")], reader).unwrap();
        answers.remove(0).unwrap()
    };
    assert_eq!(located(&ledger).fresh, nodes([4, 2, 1, 3]));
    ledger.lose(NodeId(4)).unwrap();
    assert_eq!(located(&ledger).fresh, nodes([2, 1, 3]));
    assert_eq!(located(&ledger).writable, nodes([1, 2, 3]));
}

#[test]
fn a_drain_or_removal_that_leaves_too_few_is_refused_with_the_items() {
    let mut ledger = ledger(4, 4);
    for item in ["d", "b", "a", "c"] {
        put(&mut ledger, item, &nodes([1, 2, 3]));
    }
    ledger.drain(NodeId(1), REFUSE).unwrap();
    assert_eq!(state(&ledger, "a", 1), Some(CopyState::Leaving));
    let first = vec![name("a"), name("b"), name("c")];
    let in_the_way = |refused| match refused {
        Err(Refusal::WouldLeaveTooFew { obstacles, .. }) => (obstacles.count, obstacles.first),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        in_the_way(ledger.drain(NodeId(2), REFUSE)),
        (4, first.clone())
    );
    assert_eq!(
        in_the_way(ledger.remove_node(NodeId(1), REFUSE)),
        (4, first)
    );
    ledger.assign(&name("a"), NodeId(4)).unwrap();
    let needed = Refusal::CopyNeeded {
        item: name("a"),
        node: NodeId(1),
    };
    assert_eq!(ledger.drop_copy(&name("a"), NodeId(1)), Err(needed));
    assert_eq!(report(&mut ledger, wrote("a", 0, &nodes([4]))), Ok((4, 0)));
    assert_eq!(ledger.drop_copy(&name("a"), NodeId(1)), Ok(()));
    assert!(!ledger.is_evacuated(NodeId(1)));
    assert_eq!(in_the_way(ledger.remove_node(NodeId(1), REFUSE)).0, 3);
    ledger.remove_node(NodeId(1), TooFew::AcceptLoss).unwrap();
    assert_eq!(ledger.summary().by_usable, BTreeMap::from([(2, 3), (3, 1)]));
    assert!(check(&ledger).is_empty(), "{:?}", check(&ledger));
}
