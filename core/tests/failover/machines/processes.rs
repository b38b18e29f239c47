//! Processes that go, come back, or are found otherwise than they were left.

use super::member::{Bench, acts, one, primary, replica, running, standby};
use tenure_core::{
    Directive, Millis, Position, Presence, Role, Standing, Wanted,
    agent::{Action, Feat, Observation, Observed},
};

fn gone() -> Observation {
    Observation {
        presence: Presence::Exited,
        ..Observation::nothing()
    }
}

#[test]
fn a_process_that_goes_is_told_of_at_once() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let before = bench.beat().sequence;
    bench.see(gone());
    assert_eq!(bench.beat().sequence, before + 1);
    let sign = bench.sign();
    assert_eq!(sign.presence, Presence::Exited);
    assert!(matches!(sign.standing, Standing::Idle(_)));
    assert_eq!(bench.believes(), None);
}

/// What it may have lost it must not pass for the whole: where nothing may be lost it does not go on.
#[test]
fn a_primary_that_was_started_anew_does_not_go_on() {
    let mut bench = Bench::new();
    bench.promoted(1);
    bench.see(running(2, Observed::Following { linked: false }));
    assert_eq!(bench.sign().presence, Presence::Exited);
    let answers = bench.beats();
    let out = bench.granted(answers, primary(1));
    assert_eq!(acts(&out), []);
    assert_eq!(bench.believes(), None);
}

#[test]
fn it_counts_again_once_it_is_linked() {
    let mut bench = Bench::new();
    bench.promoted(1);
    bench.see(running(2, Observed::Following { linked: false }));
    assert!(!bench.sign().whole);
    let answers = bench.beats();
    let out = bench.granted(answers, replica(2));
    let (action, what) = one(&out);
    assert!(matches!(what, Action::Follow { .. }), "{what:?}");
    bench.acted(action, Ok(Feat::Follows(None)));
    bench.see(running(2, Observed::Following { linked: true }));
    bench.beats();
    assert!(bench.sign().whole && bench.sign().linked);
}

/// The leader granted it to what was there before, and could not know.
#[test]
fn what_was_granted_before_a_process_was_started_anew_is_void() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, standby(1));
    let answers = bench.beats();
    let late = bench.grant(answers, primary(2));
    bench.see(running(2, Observed::Following { linked: false }));
    let out = bench.tell(tenure_core::agent::Input::Granted(late));
    assert_eq!(acts(&out), []);
}

/// Its driver may still be about to carry out what was meant for the process before.
#[test]
fn a_promotion_that_was_given_up_is_fenced_off() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    let out = bench.granted(answers, primary(1));
    let (promotes, _) = one(&out);
    let out = bench.see(running(2, Observed::Following { linked: false }));
    let (_, what) = one(&out);
    assert!(matches!(what, Action::Fence { orderly: false }), "{what:?}");
    let out = bench.acted(promotes, Ok(Feat::Done));
    assert_eq!(acts(&out), []);
    assert!(!bench.sign().whole, "it was another process that was whole");
    assert_eq!(bench.sign().report.role, None);
}

#[test]
fn a_fence_is_not_kept_waiting_by_what_is_under_way() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, primary(1));
    let out = bench.pass(1_000);
    let fences = acts(&out);
    let fence = fences
        .iter()
        .find(|(_, what)| matches!(what, Action::Fence { .. }));
    assert!(fence.is_some(), "{fences:?}");
}

#[test]
fn a_fence_that_fails_is_tried_again_until_it_is_done() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let mut tries = 0;
    for _ in 0..1_500 {
        let out = bench.pass(1);
        for (action, what) in acts(&out) {
            assert!(matches!(what, Action::Fence { .. }), "{what:?}");
            tries += 1;
            bench.acted(action, Err("no answer".to_owned()));
        }
    }
    assert!((5..20).contains(&tries), "{tries}");
    assert_eq!(bench.believes(), None);
    let holds = bench.sign().standing;
    assert!(
        matches!(holds, Standing::Primary(_)),
        "it may still take writes: {holds:?}"
    );
}

/// An earlier agent was killed between having begun to promote it and having done so.
#[test]
fn what_an_earlier_agent_had_only_begun_is_done_once_more() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, primary(1));
    for role in [Observed::Following { linked: false }, Observed::Fenced] {
        let mut next = Bench::blind(Some(bench.kept()));
        next.now = bench.now;
        next.tell(tenure_core::agent::Input::Tick);
        let answers = next.beats();
        next.granted(answers, primary(1));
        next.see(running(1, role));
        let (_, what) = one(&next.out);
        let promotes = matches!(what, Action::Promote { .. });
        assert!(promotes, "{role:?}: {what:?}");
    }
}

/// The primary of `before`, under an agent that was started anew.
fn taken_over(before: &Bench) -> Bench {
    let mut next = Bench::blind(Some(before.kept()));
    next.now = before.now;
    next.see(running(1, Observed::Writable));
    next
}

/// The first of epoch 1, by other terms than [`primary`] has.
fn by_other_terms() -> Directive {
    let mut other = primary(1);
    if let Wanted::Primary { write_acks, .. } = &mut other.wanted {
        *write_acks = 2;
    }
    other
}

/// What it is told by a grant of this: the promotion, and how many have to have a write.
fn promotes(bench: &mut Bench, directive: Directive) -> Option<(u64, u32)> {
    let answers = bench.beats();
    let acts = acts(&bench.granted(answers, directive));
    acts.into_iter().find_map(|(action, what)| match what {
        Action::Promote { write_acks, .. } => Some((action, write_acks)),
        Action::Follow { .. }
        | Action::Fence { .. }
        | Action::Detach
        | Action::Measure
        | Action::Quiesce { .. }
        | Action::Resume
        | Action::Permit { .. }
        | Action::Probe { .. } => None,
    })
}

#[test]
fn a_primary_that_an_earlier_agent_promoted_is_left_alone_by_the_same_terms() {
    let mut bench = Bench::new();
    bench.promoted(1);
    assert_eq!(promotes(&mut taken_over(&bench), primary(1)), None);
}

/// The policy changed while there was no agent.
#[test]
fn a_primary_that_an_earlier_agent_promoted_is_told_of_other_terms() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let mut next = taken_over(&bench);
    let (action, write_acks) = promotes(&mut next, by_other_terms()).expect("it is told");
    assert_eq!(write_acks, 2);
    assert_eq!(next.believes(), Some(1), "it serves meanwhile");
    next.acted(action, Ok(Feat::Done));
    assert_eq!(promotes(&mut next, by_other_terms()), None);
}

/// The policy changed, and changed back before it was known whether the primary had heard of it.
#[test]
fn a_primary_that_may_have_been_told_of_other_terms_is_told_of_the_first_again() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let (action, _) = promotes(&mut bench, by_other_terms()).expect("it is told");
    let again = promotes(&mut taken_over(&bench), primary(1));
    assert_eq!(again.map(|(_, write_acks)| write_acks), Some(1));
    let answers = bench.beat().sequence;
    bench.acted(action, Err("it may have been done".to_owned()));
    let out = bench.granted(answers, primary(1));
    assert_eq!(acts(&out), [], "not at once");
    bench.now = bench.now.after(Millis(100));
    let (_, what) = one(&bench.tell(tenure_core::agent::Input::Tick));
    assert!(
        matches!(what, Action::Promote { write_acks: 1, .. }),
        "{what:?}"
    );
}

/// Where a new primary is, it is not where it was as a replica.
#[test]
fn a_new_primary_does_not_speak_of_its_old_position() {
    let mut bench = Bench::new();
    let old = Position {
        history: tenure_core::Note::new("old").unwrap(),
        offset: 7,
    };
    bench.see(Observation {
        position: Some(old),
        ..running(1, Observed::Following { linked: false })
    });
    let answers = bench.beats();
    let out = bench.granted(answers, primary(1));
    let (promotes, _) = one(&out);
    assert!(bench.sign().report.position.is_some());
    bench.acted(promotes, Ok(Feat::Done));
    let report = &bench.sign().report;
    assert_eq!(report.role.map(|(role, _)| role), Some(Role::Primary));
    assert_eq!(report.position, None);
}

/// An instance that takes writes that nobody wants of it.
#[test]
fn whatever_takes_writes_without_being_wanted_to_is_fenced() {
    let mut bench = Bench::new();
    let out = bench.see(running(1, Observed::Writable));
    assert_eq!(acts(&out), [], "no leader ever spoke of it");
    let answers = bench.beats();
    let out = bench.granted(answers, standby(1));
    assert!(matches!(one(&out).1, Action::Fence { orderly: false }));
}

/// A set of replicas is adopted while its primary serves: whoever writes to it is not to notice.
#[test]
fn the_first_primary_that_serves_already_is_promoted_as_it_is() {
    let mut bench = Bench::new();
    bench.see(running(1, Observed::Writable));
    let answers = bench.beats();
    let (_, what) = one(&bench.granted(answers, primary(1)));
    assert!(matches!(what, Action::Promote { .. }), "{what:?}");

    // A heartbeat is under way that says that it holds nothing: only the grant after it counts.
    let mut bench = Bench::new();
    bench.see(running(1, Observed::Writable));
    let answers = bench.beats();
    bench.beats();
    assert_eq!(acts(&bench.granted(answers, primary(1))), []);
    let answers = bench.beats();
    let (_, what) = one(&bench.granted(answers, primary(1)));
    assert!(matches!(what, Action::Promote { .. }), "{what:?}");
}

#[test]
fn one_that_serves_already_is_fenced_when_nobody_confirms_that_it_may() {
    let mut bench = Bench::new();
    bench.see(running(1, Observed::Writable));
    let answers = bench.beats();
    let sent = bench.beaten_at;
    bench.beats();
    assert_eq!(acts(&bench.granted(answers, primary(1))), []);
    let left = sent.after(Millis(1_000)).since(bench.now).0;
    assert_eq!(acts(&bench.pass(left - 1)), [], "its lease would still run");
    let fenced = acts(&bench.pass(1)).into_iter().next();
    let fenced = fenced.map(|(_, what)| what);
    assert_eq!(fenced, Some(Action::Fence { orderly: false }));

    // Another is the first primary, or there was one before.
    for directive in [replica(1), standby(1), primary(2)] {
        let mut bench = Bench::new();
        bench.see(running(1, Observed::Writable));
        let answers = bench.beats();
        let (_, what) = one(&bench.granted(answers, directive));
        assert_eq!(what, Action::Fence { orderly: false });
    }
}

/// What has to be acknowledged by how many is the store's to see to, so it is told when the policy changes.
#[test]
fn a_primary_is_told_of_other_terms_while_it_serves() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let answers = bench.beats();
    assert_eq!(acts(&bench.granted(answers, primary(1))), [], "the same");
    let mut other = primary(1);
    if let Wanted::Primary { write_acks, .. } = &mut other.wanted {
        *write_acks = 2;
    }
    let answers = bench.beats();
    let (action, what) = one(&bench.granted(answers, other.clone()));
    assert!(
        matches!(what, Action::Promote { write_acks: 2, .. }),
        "{what:?}"
    );
    assert_eq!(bench.believes(), Some(1), "it serves meanwhile");
    bench.acted(action, Ok(Feat::Done));
    let answers = bench.beats();
    assert_eq!(acts(&bench.granted(answers, other)), [], "it is done");
    assert_eq!(bench.believes(), Some(1));
}
