//! What a grant allows a member, and what voids it.

use super::member::{Bench, acts, one, primary, replica, running, standby};
use tenure_core::{
    Epoch, Millis, Standing,
    agent::{Action, Feat, Observed, Output},
};

#[test]
fn a_lease_counts_from_when_the_heartbeat_was_sent() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let sent = bench.now;
    bench.pass(60);
    let begun = bench.granted(answers, primary(1));
    let (action, _) = one(&begun);
    bench.acted(action, Ok(Feat::Done));
    bench.now = sent.after(Millis(999));
    assert_eq!(bench.believes(), Some(1));
    bench.now = sent.after(Millis(1_000));
    assert_eq!(bench.believes(), None);
    let fenced = bench.pass(1);
    assert!(matches!(one(&fenced).1, Action::Fence { orderly: false }));
}

#[test]
fn a_late_answer_does_not_shorten_an_earlier_lease() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let first = bench.beats();
    let second = bench.beats();
    let sent = bench.now;
    bench.granted(second, primary(1));
    bench.granted(first, primary(1));
    bench.now = sent.after(Millis(999));
    assert_eq!(bench.believes(), Some(1));
}

#[test]
fn a_grant_that_answers_what_was_never_sent_allows_nothing() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    for unknown in [answers + 1, answers + 1_000] {
        let out = bench.granted(unknown, primary(1));
        assert_eq!(acts(&out), []);
    }
    assert_eq!(bench.believes(), None);
}

#[test]
fn a_grant_to_another_life_or_session_is_void() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let mut of_session = bench.grant(answers, primary(1));
    of_session.session += 1;
    let mut of_life = bench.grant(answers, primary(1));
    of_life.member.incarnation.0 += 1;
    for grant in [of_session, of_life] {
        let out = bench.tell(tenure_core::agent::Input::Granted(grant));
        assert_eq!(acts(&out), []);
    }
}

/// A deposed leader's grants arrive late, or are made late: they are of an earlier term.
#[test]
fn a_grant_of_an_earlier_term_or_number_is_void() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let earlier = bench.grant(answers, primary(1));
    bench.granted(answers, standby(1));
    let out = bench.tell(tenure_core::agent::Input::Granted(earlier));
    assert_eq!(acts(&out), [], "an earlier number");
    bench.term = 2;
    bench.granted(answers, standby(1));
    let answers = bench.beat().sequence;
    bench.term = 1;
    let out = bench.granted(answers, primary(1));
    assert_eq!(acts(&out), [], "an earlier term, with a later number");
    bench.term = 2;
    let out = bench.granted(answers, primary(1));
    assert!(matches!(one(&out).1, Action::Promote { .. }));
}

#[test]
fn a_directive_of_an_earlier_epoch_is_void() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, standby(3));
    let answers = bench.beats();
    for epoch in [1, 2] {
        let out = bench.granted(answers, primary(epoch));
        assert_eq!(acts(&out), [], "{epoch}");
    }
    let out = bench.granted(answers, primary(3));
    let (_, what) = one(&out);
    assert!(
        matches!(
            what,
            Action::Promote {
                epoch: Epoch(3),
                ..
            }
        ),
        "{what:?}"
    );
}

/// The leader may have heard of it already, and have turned to another.
#[test]
fn what_was_granted_before_the_member_let_go_is_void() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let holding = bench.beats();
    let fenced = bench.granted(holding, standby(1));
    let (action, what) = one(&fenced);
    assert!(matches!(what, Action::Fence { .. }), "{what:?}");
    let late = bench.grant(holding, primary(1));
    bench.acted(action, Ok(Feat::At(None)));
    bench.see(running(1, Observed::Fenced));
    assert!(matches!(bench.sign().standing, Standing::Idle(_)));
    let out = bench.tell(tenure_core::agent::Input::Granted(late));
    assert_eq!(acts(&out), []);
    assert_eq!(bench.believes(), None);
    let idle = bench.beats();
    let out = bench.granted(idle, primary(1));
    assert!(
        matches!(one(&out).1, Action::Promote { .. }),
        "in answer to a later one"
    );
}

/// The same, of a lease that it has not made use of yet, for its driver is busy.
#[test]
fn a_lease_that_was_not_taken_up_ends_with_the_next_idle_heartbeat() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let follow = bench.granted(answers, replica(1));
    let (follows, what) = one(&follow);
    assert!(matches!(what, Action::Follow { .. }), "{what:?}");
    let answers = bench.beats();
    let out = bench.granted(answers, primary(2));
    assert_eq!(acts(&out), [], "it still follows");
    let idle = bench.beats();
    let out = bench.acted(follows, Ok(Feat::Follows(None)));
    assert_eq!(acts(&out), [], "the leader may have heard that it is idle");
    let out = bench.granted(idle, primary(2));
    assert!(matches!(one(&out).1, Action::Promote { .. }));
}

#[test]
fn a_grant_without_a_lease_takes_nothing_away_and_gives_nothing() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let answers = bench.beats();
    let sent = bench.now;
    bench.granted(answers, primary(1));
    bench.pass(300);
    let answers = bench.beat().sequence;
    let mut grant = bench.grant(answers, primary(1));
    grant.lease = Millis(0);
    bench.tell(tenure_core::agent::Input::Granted(grant));
    bench.now = sent.after(Millis(999));
    assert_eq!(bench.believes(), Some(1));
    bench.now = sent.after(Millis(1_001));
    assert_eq!(bench.believes(), None);
}

/// What is promised is on disk before it is acted on.
#[test]
fn it_is_kept_that_it_holds_before_it_does() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let out = bench.granted(answers, primary(4));
    let place = |which: fn(&Output) -> bool| out.iter().position(which);
    let kept = place(|it| matches!(it, Output::Keep(_)));
    let acted = place(|it| matches!(it, Output::Act { .. }));
    assert!(kept < acted && kept.is_some(), "{out:?}");
    let kept = bench.kept().services.into_values().next().unwrap();
    assert_eq!((kept.holds, kept.held), (Some(Epoch(4)), Some(Epoch(4))));
    assert!(kept.leased_until > bench.now);
}

#[test]
fn a_new_leader_is_answered_at_once() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, standby(1));
    let before = bench.beat().sequence;
    bench.granted(answers, standby(1));
    assert_eq!(bench.beat().sequence, before);
    bench.term = 2;
    bench.granted(answers, standby(1));
    assert_eq!(bench.beat().sequence, before + 1);
    assert_eq!(bench.beat().heard.0, 2);
}
