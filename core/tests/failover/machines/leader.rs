//! What a leader grants and decides, message by message.

use super::controller::{Bench, answering, beat, idle, is_primary, serving, told};
use crate::failover::world::service;
use tenure_core::{
    Command, Epoch, Millis, Moment, NodeId, NodeRef, Note, Position, Presence, Sign, Standing,
    Wanted,
    controller::{Input, Output, Wish},
};

#[test]
fn without_a_fresh_quorum_nothing_is_granted_and_nothing_taken_away() {
    let mut bench = Bench::new();
    let grant = bench.answer(1, beat(7, 1, (0, 0), serving(1)));
    assert_eq!(told(&grant).1, Millis(0), "it was never acknowledged");
    assert!(is_primary(&grant));
    bench.quorum();
    let grant = bench.answer(1, beat(7, 2, (5, 1), serving(1)));
    assert_eq!(told(&grant).1, Millis(1_000));
    // The Raft lease, less its share of drift and a margin: another leader may be elected from then on.
    bench.now = bench.now.after(Millis(133));
    let grant = bench.answer(1, beat(7, 3, (5, 1), serving(1)));
    assert_eq!(told(&grant).1, Millis(1_000));
    bench.now = bench.now.after(Millis(1));
    let grant = bench.answer(1, beat(7, 4, (5, 1), serving(1)));
    assert_eq!(told(&grant).1, Millis(0));
    assert!(
        is_primary(&grant),
        "a leader without a quorum takes nothing away"
    );
}

/// The acknowledgement may be old when it is told of: what counts is when it was asked for.
#[test]
fn an_old_acknowledgement_is_none() {
    let mut bench = Bench::new();
    let asked = bench.now;
    bench.now = bench.now.after(Millis(140));
    bench.tell(Input::Quorum(asked));
    let grant = bench.answer(1, beat(7, 1, (0, 0), serving(1)));
    assert_eq!(told(&grant).1, Millis(0));
}

fn set_primary(bench: &mut Bench, to: u64) {
    bench.commit(Command::SetPrimary {
        service: service(),
        to: NodeRef::Id(NodeId(to)),
        succeeds: Epoch(1),
        accept_loss: false,
        reason: Note::default(),
    });
}

/// Nothing proves that the one before has let go, and this leader does not know who was granted what.
#[test]
fn a_new_leader_waits_for_every_lease_that_it_does_not_know_of() {
    let mut bench = Bench::new();
    bench.tell(Input::Follow);
    set_primary(&mut bench, 2);
    bench.term = 6;
    bench.lead();
    let elected = bench.now;
    let mut sequence = 0;
    loop {
        bench.pass(20);
        sequence += 1;
        let grant = bench.answer(2, beat(7, sequence, (6, sequence), idle()));
        let waited = bench.now.since(elected);
        // Raft lease and lease, with the drift.
        if waited <= Millis(1_140) {
            assert_eq!(told(&grant).0.wanted, Wanted::Standby, "after {waited}");
        }
        if is_primary(&grant) {
            break;
        }
        assert!(waited < Millis(1_300), "{waited}");
    }
}

#[test]
fn one_that_holds_by_the_present_epoch_ends_the_wait() {
    let mut bench = Bench::new();
    bench.tell(Input::Follow);
    set_primary(&mut bench, 2);
    bench.term = 6;
    bench.lead();
    bench.pass(20);
    let grant = bench.answer(2, beat(7, 1, (5, 9), serving(2)));
    assert!(is_primary(&grant), "the leader before has looked to it");
}

/// A leader that granted n1 a lease, and then sees n2 named in the log.
fn renamed() -> (Bench, Moment) {
    let mut bench = Bench::new();
    // So late that no earlier leader's grant is waited for.
    bench.pass(400);
    let grant = bench.answer(1, beat(7, 1, (0, 0), serving(1)));
    assert!(is_primary(&grant));
    let granted = bench.now;
    set_primary(&mut bench, 2);
    bench.pass(100);
    let grant = bench.answer(2, beat(7, 1, (5, 1), idle()));
    assert_eq!(told(&grant).0.wanted, Wanted::Standby, "n1 holds");
    (bench, granted)
}

#[test]
fn the_one_before_says_that_it_has_let_go() {
    let (mut bench, _) = renamed();
    bench.beat(1, beat(7, 2, (5, 1), serving(1)));
    let grant = bench.answer(2, beat(7, 2, (5, 1), idle()));
    assert_eq!(told(&grant).0.wanted, Wanted::Standby);
    bench.beat(1, beat(7, 3, (5, 1), idle()));
    let grant = bench.answer(2, beat(7, 3, (5, 1), idle()));
    assert!(is_primary(&grant));
}

#[test]
fn the_one_before_says_nothing_until_its_lease_is_over() {
    let (mut bench, granted) = renamed();
    for (after, wanted) in [(1_011, false), (1_012, true)] {
        bench.now = granted.after(Millis(after));
        bench.quorum();
        let grant = bench.answer(2, beat(7, after, (5, 1), idle()));
        assert_eq!(is_primary(&grant), wanted, "after {after} ms");
    }
}

fn wish(bench: &mut Bench) -> Vec<Output> {
    let wish = Wish::Failover {
        service: service(),
        to: None,
        accept_loss: false,
        fenced: false,
        reason: Note::default(),
    };
    bench.tell(Input::Ask { ask: 1, wish })
}

/// The ballot that a node is asked to answer.
fn ballot(bench: &mut Bench, node: u64, sequence: u64) -> Option<u64> {
    let grant = bench.answer(node, beat(7, sequence, (5, 1), idle()));
    told(&grant).0.survey
}

/// A bench whose leader hears all three.
fn heard() -> Bench {
    heard_by(Bench::new())
}

fn heard_by(mut bench: Bench) -> Bench {
    bench.pass(20);
    for node in 1..=3 {
        let sign = if node == 1 { serving(1) } else { idle() };
        bench.beat(node, beat(7, 1, (5, 1), sign));
    }
    bench
}

#[test]
fn nobody_is_surveyed_before_the_old_primary_is_fenced() {
    let mut bench = heard();
    wish(&mut bench);
    let grant = bench.answer(1, beat(7, 2, (5, 1), serving(1)));
    assert_eq!(told(&grant).0.wanted, Wanted::Standby);
    assert_eq!(ballot(&mut bench, 2, 2), None);
    bench.pass(500);
    bench.beat(1, beat(7, 3, (5, 1), serving(1)));
    assert_eq!(ballot(&mut bench, 2, 3), None, "it says that it serves");
    bench.beat(1, beat(7, 4, (5, 2), idle()));
    let asked = ballot(&mut bench, 2, 4).unwrap();
    assert_eq!(bench.promotions(), [], "and nobody has answered");
    bench.beat(3, beat(7, 2, (5, 1), answering(asked, 0)));
    bench.beat(2, beat(7, 5, (5, 1), answering(asked, 0)));
    assert_eq!(bench.promotions(), [2]);
}

/// What an earlier leader granted in answer to that very heartbeat may be under way.
#[test]
fn one_that_is_idle_is_believed_once_it_has_heard_of_this_leader() {
    let mut bench = Bench::new();
    bench.pass(20);
    for node in [2, 3] {
        bench.beat(node, beat(7, 1, (5, 1), idle()));
    }
    wish(&mut bench);
    bench.beat(1, beat(7, 1, (4, 99), idle()));
    assert_eq!(ballot(&mut bench, 2, 2), None);
    bench.beat(1, beat(7, 2, (5, 3), idle()));
    assert!(ballot(&mut bench, 2, 3).is_some());
}

#[test]
fn a_process_that_went_is_believed_once_its_agent_has_heard_of_this_leader() {
    let mut bench = Bench::new();
    bench.pass(20);
    for node in [2, 3] {
        bench.beat(node, beat(7, 1, (5, 1), idle()));
    }
    let gone = || {
        let mut sign = idle();
        sign.presence = Presence::Exited;
        sign
    };
    bench.beat(1, beat(7, 1, (4, 99), gone()));
    assert_eq!(ballot(&mut bench, 2, 2), None);
    bench.beat(1, beat(7, 2, (5, 3), gone()));
    assert!(ballot(&mut bench, 2, 3).is_some());
}

#[test]
fn a_pledge_that_still_holds_is_waited_for() {
    let mut bench = heard();
    wish(&mut bench);
    bench.beat(1, beat(7, 2, (5, 2), idle()));
    let asked = ballot(&mut bench, 2, 2).unwrap();
    bench.beat(2, beat(7, 3, (5, 2), answering(asked, 400)));
    bench.beat(3, beat(7, 2, (5, 2), answering(asked, 400)));
    bench.pass(100);
    assert_eq!(bench.promotions(), []);
    bench.beat(2, beat(7, 4, (5, 2), answering(asked, 0)));
    assert_eq!(bench.promotions(), [], "n3 is as good, and has pledged");
    bench.beat(3, beat(7, 3, (5, 2), answering(asked, 0)));
    assert_eq!(bench.promotions(), [2]);
}

/// Where it stood as a replica is not the history that it writes as primary.
#[test]
fn what_a_primary_said_before_it_confirmed_is_no_measure() {
    let mut bench = heard();
    bench.tell(Input::Follow);
    bench.lead();
    bench.pass(20);
    let at = |history: &str, offset| {
        let history = Note::new(history).unwrap();
        Some(Position { history, offset })
    };
    let mut unconfirmed = serving(1);
    unconfirmed.report.role = None;
    unconfirmed.report.position = at("old", 10);
    bench.beat(1, beat(7, 2, (5, 2), unconfirmed));
    for node in [2, 3] {
        bench.beat(node, beat(7, 2, (5, 2), idle()));
    }
    wish(&mut bench);
    bench.beat(1, beat(7, 3, (5, 3), idle()));
    let asked = ballot(&mut bench, 2, 3).unwrap();
    for (node, history, offset) in [(2, "old", 20), (3, "new", 900)] {
        let mut answer = answering(asked, 0);
        answer.surveyed.as_mut().unwrap().position = at(history, offset);
        bench.beat(node, beat(7, 4, (5, 3), answer));
    }
    assert_eq!(bench.promotions(), [], "n2 never had what n1 wrote");
}

/// What is not a primary yet may have less, and would take the place of what the replica has.
#[test]
fn nobody_is_told_to_follow_before_the_primary_has_confirmed_and_lets_it() {
    let mut bench = heard();
    let mut sequence = 1;
    let mut follows = |bench: &mut Bench, sign: Sign| {
        sequence += 1;
        bench.beat(1, beat(7, sequence, (5, 1), sign));
        let grant = bench.answer(3, beat(7, sequence, (5, 1), idle()));
        matches!(told(&grant).0.wanted, Wanted::Replica { .. })
    };
    assert!(follows(&mut bench, serving(1)));
    let mut unconfirmed = serving(1);
    unconfirmed.report.role = None;
    assert!(!follows(&mut bench, unconfirmed));
    let mut closed = serving(1);
    closed.permits = vec![NodeId(2)];
    assert!(!follows(&mut bench, closed));
    assert!(!follows(&mut bench, idle()));
    assert!(follows(&mut bench, serving(1)));
}

#[test]
fn answers_to_another_survey_are_none() {
    let mut bench = heard();
    wish(&mut bench);
    bench.beat(1, beat(7, 2, (5, 2), idle()));
    let asked = ballot(&mut bench, 2, 2).unwrap();
    for node in [2, 3] {
        bench.beat(node, beat(7, 3, (5, 2), answering(asked - 1, 0)));
    }
    assert_eq!(bench.promotions(), []);
}

/// A member may still have an answer to an earlier leader's survey: it must not fit.
#[test]
fn no_two_leaders_ask_under_one_ballot() {
    let mut ballots = Vec::new();
    for term in [5, 6] {
        let mut bench = Bench::new();
        bench.tell(Input::Follow);
        bench.term = term;
        bench.lead();
        bench.pass(20);
        for node in 1..=3 {
            bench.beat(
                node,
                beat(7, 1, (term, 1), if node == 1 { serving(1) } else { idle() }),
            );
        }
        wish(&mut bench);
        bench.beat(1, beat(7, 2, (term, 2), idle()));
        ballots.push(ballot(&mut bench, 2, 2).unwrap());
    }
    assert!(ballots[0].abs_diff(ballots[1]) > 1_000_000, "{ballots:?}");
}

#[test]
fn what_comes_of_an_earlier_session_or_heartbeat_is_late() {
    let mut bench = heard();
    bench.beat(1, beat(9, 1, (5, 2), serving(1)));
    for late in [beat(7, 50, (5, 2), idle()), beat(9, 1, (5, 2), idle())] {
        assert_eq!(bench.beat(1, late), None);
    }
    let grant = bench.answer(1, beat(9, 2, (5, 2), serving(1)));
    assert!(is_primary(&grant));
    // And after three of them, as after one.
    bench.beat(1, beat(11, 1, (5, 2), serving(1)));
    assert_eq!(bench.beat(1, beat(7, 60, (5, 2), idle())), None);
    assert!(bench.beat(1, beat(11, 2, (5, 2), serving(1))).is_some());
}

/// Also where its quorum's acknowledgement has outlived the stall.
#[test]
fn a_leader_that_was_stalled_judges_nobody() {
    for raft_lease in [Millis(140), Millis(5_000)] {
        let mut bench = Bench::with(raft_lease);
        // No earlier leader's grant is waited for any more.
        bench.pass(7_000);
        let mut bench = heard_by(bench);
        bench.now = bench.now.after(Millis(1_500));
        bench.quorum();
        bench.tell(Input::Tick);
        for sequence in 2..=11 {
            assert_eq!(
                ballot(&mut bench, 2, sequence),
                None,
                "it has not listened for a lease"
            );
            bench.pass(90);
        }
        bench.pass(200);
        assert!(ballot(&mut bench, 2, 20).is_some());
    }
}

#[test]
fn a_member_that_nobody_listens_for_is_not_lost() {
    let mut bench = heard();
    for _ in 0..100 {
        bench.now = bench.now.after(Millis(20));
        // A quorum answers, but no fellow server's relay is up.
        bench.tell(Input::Quorum(bench.now));
        bench.tell(Input::Tick);
    }
    assert_eq!(ballot(&mut bench, 2, 2), None);
    assert!(matches!(serving(1).standing, Standing::Primary(_)));
}
