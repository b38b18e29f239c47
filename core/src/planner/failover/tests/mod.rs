//! The tables of the one function that decides.

mod holds;

use super::*;
use crate::{Epoch, Incarnation, Member, Revision, ServiceName};

fn word<T, E: std::fmt::Debug>(new: impl FnOnce(&str) -> Result<T, E>, text: &str) -> T {
    new(text).expect("the tests' names are names")
}

/// On node `n`, healthy, at 100 of history `h`, like any other.
fn candidate(node: u64) -> Candidate {
    Candidate {
        node: NodeId(node),
        name: word(NodeName::new, &format!("n{node}")),
        zone: None,
        preference: 100,
        load: 0,
        position: Some(at("h", 100)),
        answered: true,
        whole: true,
        unfit: None,
    }
}

fn at(history: &str, offset: u64) -> Position {
    Position {
        history: word(Note::new, history),
        offset,
    }
}

fn set(of: &[u64]) -> BTreeSet<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

/// The primary was on node 1, with these in sync besides, and these syncing.
fn assignment(in_sync: &[u64], syncing: &[u64]) -> Assignment {
    let primary = Member {
        node: NodeId(1),
        incarnation: Incarnation(1),
    };
    let name = word(ServiceName::new, "db");
    Assignment {
        primary: Some(primary),
        epoch: Epoch(1),
        in_sync: set(in_sync).into_iter().chain([NodeId(1)]).collect(),
        syncing: set(syncing),
        ..Assignment::vacant(name, Revision(1))
    }
}

/// What is decided on: of 2, 3 and 4, which all are in sync, one must have each write, and nothing may be lost.
struct Told {
    assignment: Assignment,
    loss: LossPolicy,
    write_acks: u32,
    history: Option<&'static str>,
    last: Option<Position>,
    avoid: Option<&'static str>,
    only: Option<u64>,
    lossless: bool,
    candidates: Vec<Candidate>,
}

fn told() -> Told {
    Told {
        assignment: assignment(&[2, 3, 4], &[]),
        loss: LossPolicy::Never,
        write_acks: 1,
        history: Some("h"),
        last: Some(at("h", 100)),
        avoid: None,
        only: None,
        lossless: false,
        candidates: [2, 3, 4].map(candidate).into(),
    }
}

impl Told {
    fn of(&mut self, node: u64) -> &mut Candidate {
        let mut all = self.candidates.iter_mut();
        let found = all.find(|it| it.node == NodeId(node));
        found.expect("it is one of them")
    }

    fn choose(&self) -> Result<Choice, Hold> {
        let policy = PrimaryPolicy {
            loss: self.loss,
            write_acks: self.write_acks,
            replicas: 3,
            ..PrimaryPolicy::default()
        };
        choose(&Case {
            assignment: &self.assignment,
            policy,
            history: self.history.map(|text| word(Note::new, text)),
            last: self.last.clone(),
            avoid: self.avoid.map(|zone| word(Zone::new, zone)),
            only: self.only.map(NodeId),
            lossless: self.lossless,
            candidates: self.candidates.clone(),
        })
    }
}

type Change = fn(&mut Told);

fn changed(change: Change) -> Told {
    let mut told = told();
    change(&mut told);
    told
}

fn zones(told: &mut Told, of: [&str; 3]) {
    for (candidate, zone) in told.candidates.iter_mut().zip(of) {
        candidate.zone = Some(word(Zone::new, zone));
    }
}

/// Each row differs from the ones before in what comes earlier in the order, and that decides.
#[test]
fn the_order_is_data_then_fitness_zone_preference_load_and_name() {
    let rows: [(&str, u64, Change); 10] = [
        ("all alike: the name", 2, |_| ()),
        ("the load before the name", 3, |it| {
            (it.of(2).load, it.of(3).load, it.of(4).load) = (9, 1, 5);
        }),
        ("the preference before the load", 4, |it| {
            (it.of(2).load, it.of(4).load) = (1, 99);
            it.of(4).preference = 101;
        }),
        ("another zone before the preference", 3, |it| {
            zones(it, ["a", "b", "a"]);
            (it.avoid, it.of(4).preference) = (Some("a"), 900);
        }),
        ("no zone is avoided where none was lost", 4, |it| {
            zones(it, ["a", "b", "a"]);
            it.of(4).preference = 900;
        }),
        ("fitness before the zone", 2, |it| {
            zones(it, ["a", "b", "a"]);
            it.avoid = Some("a");
            it.of(3).unfit = Some("its node is pinned down: fan".to_owned());
        }),
        ("data before the zone", 4, |it| {
            zones(it, ["b", "b", "a"]);
            (it.avoid, it.of(4).position) = (Some("a"), Some(at("h", 101)));
        }),
        ("data before the preference", 3, |it| {
            (it.of(2).preference, it.of(4).preference) = (900, 900);
            it.of(3).position = Some(at("h", 101));
        }),
        (
            "of those that are equal, one that proves something",
            3,
            |it| {
                it.assignment = assignment(&[3], &[]);
                it.of(2).whole = false;
            },
        ),
        ("the one that was named", 4, |it| it.only = Some(4)),
    ];
    for (label, wanted, change) in rows {
        let choice = changed(change).choose();
        let choice = choice.unwrap_or_else(|hold| panic!("{label}: {hold}"));
        assert_eq!(choice.to, NodeId(wanted), "{label}");
        let proven = matches!(choice.completeness, Completeness::Proven { .. });
        assert!(proven, "{label}: {}", choice.completeness);
    }
}

/// Where nothing is proven, too.
#[test]
fn data_come_first_where_loss_is_allowed() {
    let told = changed(|it| {
        (it.loss, it.assignment) = (LossPolicy::Available, assignment(&[5], &[2, 3, 4]));
        zones(it, ["a", "b", "b"]);
        it.avoid = Some("a");
        (it.of(3).preference, it.of(4).load) = (900, 0);
        (it.of(2).position, it.of(2).load) = (Some(at("h", 101)), 99);
    });
    let choice = told.choose().unwrap();
    assert_eq!(choice.to, NodeId(2));
    assert!(!choice.completeness.is_lossless());
}

#[test]
fn whoever_has_as_much_is_in_sync_with_it() {
    let choice = changed(|it| {
        it.of(3).position = Some(at("h", 99));
        it.of(4).unfit = Some("it is failing".to_owned());
    });
    let choice = choice.choose().unwrap();
    assert_eq!((choice.to, choice.equals), (NodeId(2), set(&[2, 4])));
    let heard = set(&[2, 3, 4]);
    assert_eq!(choice.completeness, Completeness::Proven { heard });
}

/// The receipt says of each why it was passed over, in the order of preference.
#[test]
fn everybody_is_told_why() {
    let told = changed(|it| {
        it.loss = LossPolicy::Available;
        it.candidates.extend([5, 6, 7, 8].map(candidate));
        it.of(2).position = Some(at("h", 101));
        it.of(2).unfit = Some("it is failing".to_owned());
        it.of(4).position = Some(at("h", 93));
        it.of(5).answered = false;
        it.of(6).position = Some(at("g", 500));
        it.of(7).whole = false;
        it.of(8).position = None;
    });
    let choice = told.choose().unwrap();
    let said: Vec<(u64, &str)> = choice
        .considered
        .iter()
        .map(|it| (it.node.0, it.verdict.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (2, "it is failing"),
            (3, "chosen"),
            (7, "was started anew, and has not caught up since"),
            (4, "7 behind"),
            (6, "has nothing of this history"),
            (8, "has nothing of this history"),
            (5, "did not say how far it has got"),
        ]
    );
    let named = changed(|it| {
        (it.only, it.loss) = (Some(3), LossPolicy::Available);
        it.of(2).position = Some(at("h", 104));
    });
    let choice = named.choose().unwrap();
    let said: Vec<&str> = choice
        .considered
        .iter()
        .map(|it| it.verdict.as_str())
        .collect();
    let ahead = "4 ahead, and another one was named";
    assert_eq!(said, [ahead, "chosen", "equally complete, less preferred"]);
}

/// What each policy makes of the same: n2 alone was heard from, and lacks 7 of what was last known.
#[test]
fn policies_that_allow_loss_say_how_much() {
    let heard_from_one: Change = |it| {
        it.of(3).answered = false;
        it.of(4).answered = false;
        it.of(2).position = Some(at("h", 93));
    };
    type Row = (LossPolicy, Change, Option<Completeness>);
    let rows: [Row; 9] = [
        (LossPolicy::Never, |_| (), None),
        (LossPolicy::Bounded(6), |_| (), None),
        (
            LossPolicy::Bounded(7),
            |_| (),
            Some(Completeness::Bounded { lacks: 7 }),
        ),
        (
            LossPolicy::Available,
            |_| (),
            Some(Completeness::Bounded { lacks: 7 }),
        ),
        (LossPolicy::Bounded(7), |it| it.last = None, None),
        (
            LossPolicy::Available,
            |it| it.last = None,
            Some(Completeness::Unknown),
        ),
        (LossPolicy::Bounded(7), |it| it.lossless = true, None),
        (LossPolicy::Available, |it| it.lossless = true, None),
        // A bound in another history is none.
        (
            LossPolicy::Available,
            |it| (it.last, it.history) = (Some(at("g", 100)), Some("g")),
            Some(Completeness::Unknown),
        ),
    ];
    for (loss, change, wanted) in rows {
        let mut told = changed(heard_from_one);
        told.loss = loss;
        change(&mut told);
        let decided = told.choose();
        assert_eq!(
            decided.as_ref().err().map(|hold| hold.code),
            match wanted {
                Some(_) => None,
                None => Some(HoldCode::NotProven),
            }
        );
        assert_eq!(
            decided.ok().map(|choice| choice.completeness),
            wanted,
            "{loss}"
        );
    }
}

/// One that was started anew is one voice less, also where it is ahead: what it is ahead by nobody has
/// acknowledged, if those heard from prove that they have everything.
#[test]
fn who_was_started_anew_proves_nothing_and_hinders_nothing() {
    let told = changed(|it| {
        it.write_acks = 2;
        it.of(2).whole = false;
        it.of(2).position = Some(at("h", 107));
    });
    let choice = told.choose().unwrap();
    assert_eq!(choice.to, NodeId(3));
    let heard = set(&[3, 4]);
    assert_eq!(choice.completeness, Completeness::Proven { heard });
    let alone = changed(|it| {
        it.assignment = assignment(&[2], &[]);
        it.candidates.truncate(1);
        it.of(2).whole = false;
    });
    let hold = alone.choose().unwrap_err();
    assert!(hold.why.contains("missing: n2 (started anew"), "{hold}");
}

#[test]
fn offsets_of_other_histories_do_not_compare() {
    let stale = changed(|it| it.of(4).position = Some(at("g", 900)));
    let choice = stale.choose().unwrap();
    assert_eq!((choice.to, choice.equals), (NodeId(2), set(&[2, 3])));
    // Where the old primary's is not known, those that agree are compared.
    let agreed = changed(|it| {
        it.history = None;
        it.of(3).position = Some(at("h", 103));
    });
    assert_eq!(agreed.choose().unwrap().to, NodeId(3));
    // Where nobody has any of what the old primary wrote, nothing was acknowledged in it.
    let unheard = changed(|it| it.history = Some("later"));
    let choice = unheard.choose().unwrap();
    assert!(choice.completeness.is_lossless(), "{}", choice.completeness);
}

/// Of several histories, where loss is allowed, that of who was in sync and has gone furthest.
#[test]
fn under_available_the_best_history_is_followed() {
    let told = |change: Change| {
        let mut told = changed(|it| (it.history, it.last) = (None, None));
        told.loss = LossPolicy::Available;
        change(&mut told);
        told.choose().unwrap().to
    };
    let further = told(|it| it.of(4).position = Some(at("g", 101)));
    assert_eq!(further, NodeId(4));
    let in_sync = told(|it| {
        it.assignment = assignment(&[3], &[2, 4]);
        it.of(2).position = Some(at("g", 900));
        it.of(4).position = Some(at("g", 900));
    });
    assert_eq!(in_sync, NodeId(3));
    let anew = told(|it| {
        it.assignment = assignment(&[3], &[2, 4]);
        it.of(3).whole = false;
        it.of(3).position = Some(at("h", 0));
        it.of(4).position = Some(at("g", 900));
    });
    assert_eq!(anew, NodeId(4));
}
