//! Pledges: when a primary outlives its lease, and when a member refuses to be promoted.

use super::member::{Bench, acts, one, primary, replica, running, standby, surveyed};
use tenure_core::{
    ControlLoss, Millis, NodeId,
    agent::{Action, Feat, Input, Kept, KeptRules, Observed, Output},
};

/// Whom it asks, with the name of the request.
fn asked(out: &[Output]) -> Vec<(u64, NodeId)> {
    let asked = out.iter().filter_map(|output| {
        if let Output::AskPledge { request, node, .. } = output {
            Some((*request, *node))
        } else {
            None
        }
    });
    asked.collect()
}

fn answers(bench: &mut Bench, request: u64, from: u64, pledged: bool) {
    let from = NodeId(from);
    bench.tell(Input::PledgeAnswered {
        request,
        from,
        pledged,
    });
}

/// A primary that has heard of no leader for half its lease, and asks.
fn asking() -> (Bench, u64) {
    let mut bench = Bench::new();
    bench.promoted(1);
    let answers = bench.beats();
    bench.granted(answers, primary(1));
    assert_eq!(asked(&bench.pass(490)), []);
    let asked = asked(&bench.pass(20));
    let request = asked[0].0;
    assert_eq!(asked, [(request, NodeId(2)), (request, NodeId(3))]);
    (bench, request)
}

#[test]
fn it_outlives_its_lease_while_everybody_pledges() {
    let (mut bench, request) = asking();
    answers(&mut bench, request, 2, true);
    answers(&mut bench, request, 3, true);
    bench.pass(700);
    assert_eq!(bench.believes(), Some(1), "its lease is over by now");
}

#[test]
fn one_pledge_that_is_missing_is_enough_to_stop_it() {
    for missing in [2, 3] {
        let (mut bench, request) = asking();
        answers(&mut bench, request, 5 - missing, true);
        answers(&mut bench, request, 5 - missing, true);
        bench.pass(700);
        assert_eq!(bench.believes(), None, "{missing}");
    }
}

#[test]
fn one_refusal_is_enough_to_stop_it() {
    let (mut bench, request) = asking();
    answers(&mut bench, request, 2, true);
    answers(&mut bench, request, 3, false);
    answers(&mut bench, request, 3, true);
    bench.pass(700);
    assert_eq!(bench.believes(), None);
}

#[test]
fn pledges_count_from_when_they_were_asked_for() {
    let (mut bench, request) = asking();
    let sent = bench.now;
    bench.now = sent.after(Millis(60));
    answers(&mut bench, request, 2, true);
    answers(&mut bench, request, 3, true);
    bench.now = sent.after(Millis(970));
    assert_eq!(bench.believes(), Some(1));
    bench.now = sent.after(Millis(1_000));
    assert_eq!(bench.believes(), None);
}

/// A round trip that is longer than a heartbeat keeps nobody from going on.
#[test]
fn answers_to_an_earlier_request_count_from_when_it_was_sent() {
    let (mut bench, first) = asking();
    let second = asked(&bench.pass(110))[0].0;
    assert_ne!(first, second);
    answers(&mut bench, second, 3, true);
    answers(&mut bench, first, 2, true);
    bench.pass(800);
    assert_eq!(bench.believes(), Some(1), "its lease is over by now");
    bench.pass(100);
    assert_eq!(bench.believes(), None, "a lease after the first question");
}

/// Whoever refuses is asked again a heartbeat later, and not at the speed of the network.
#[test]
fn a_refusal_is_not_answered_with_another_question() {
    let (mut bench, request) = asking();
    answers(&mut bench, request, 2, false);
    let out = bench.pass(80);
    assert_eq!(asked(&out), []);
    assert_eq!(asked(&bench.pass(40)).len(), 2);
}

#[test]
fn without_an_agent_to_ask_nobody_pledges() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let answers = bench.beats();
    let mut alone = primary(1);
    if let tenure_core::Wanted::Primary { members, .. } = &mut alone.wanted {
        members.get_mut(&NodeId(3)).unwrap().agent = None;
    }
    bench.granted(answers, alone);
    let out = bench.pass(1_010);
    assert_eq!(asked(&out), []);
    assert_eq!(bench.believes(), None);
}

#[test]
fn a_surveyed_member_pledges_nothing_more() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, replica(1));
    let (action, _) = acts(&bench.out).pop().unwrap();
    bench.acted(action, Ok(Feat::Follows(None)));
    assert!(bench.pledges(1));
    let answers = bench.beats();
    let out = bench.granted(answers, surveyed(1, 9));
    let (action, what) = one(&out);
    assert_eq!(what, Action::Detach);
    bench.acted(action, Ok(Feat::At(None)));
    assert!(!bench.pledges(1), "it has said how far it has got");
    let said = bench.sign().surveyed.clone().unwrap();
    assert_eq!(said.ballot, 9);
    assert!(
        said.pledged > Millis(900),
        "what it had pledged before still holds"
    );
    // The leader stands by the primary again.
    let answers = bench.beats();
    bench.granted(answers, replica(1));
    assert!(bench.pledges(1));
}

/// An answer to one survey is none to another.
#[test]
fn each_survey_is_answered_afresh() {
    let mut bench = Bench::new();
    for ballot in [9, 11] {
        let answers = bench.beats();
        let out = bench.granted(answers, surveyed(1, ballot));
        let (action, what) = one(&out);
        assert_eq!(what, Action::Detach);
        bench.acted(action, Ok(Feat::At(None)));
        assert_eq!(bench.sign().surveyed.as_ref().unwrap().ballot, ballot);
    }
}

#[test]
fn a_pledge_is_kept_for_longer_than_it_was_asked_for() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, standby(1));
    assert!(bench.pledges(1));
    let pledged = bench.now;
    let promotes = |bench: &Bench| {
        let mut begun = acts(&bench.out).into_iter();
        begun.any(|(_, what)| matches!(what, Action::Promote { .. }))
    };
    let answers = bench.beats();
    bench.granted(answers, primary(2));
    while !promotes(&bench) {
        bench.now = bench.now.after(Millis(1));
        bench.tell(Input::Tick);
        if bench.now == bench.beaten_at {
            let answers = bench.beat().sequence;
            bench.granted(answers, primary(2));
        }
        assert!(bench.now.since(pledged) < Millis(1_200));
    }
    // By the cautious clock: with ten thousandths, and the rounding.
    let waited = bench.now.since(pledged);
    assert!(waited >= Millis(1_012), "{waited}");
}

#[test]
fn a_pledge_outlives_the_agent() {
    let mut bench = Bench::new();
    let answers = bench.beats();
    bench.granted(answers, standby(1));
    assert!(bench.pledges(1));
    let mut next = Bench::with(Some(bench.kept()));
    next.now = bench.now;
    let answers = next.beats();
    let out = next.granted(answers, primary(2));
    assert_eq!(acts(&out), []);
}

/// It asks whomever its predecessor would have asked, by the rules that a leader gave to that one.
#[test]
fn an_agent_that_is_started_anew_goes_on_by_pledges() {
    let mut bench = Bench::new();
    bench.promoted(1);
    let kept = bench.kept();
    for (control_loss, goes_on) in [(ControlLoss::Pledge, true), (ControlLoss::Fence, false)] {
        let rules = kept.rules.map(|rules| KeptRules {
            control_loss,
            ..rules
        });
        assert!(rules.is_some());
        let mut next = Bench::blind(Some(Kept {
            rules,
            ..kept.clone()
        }));
        next.now = bench.now;
        let asked = asked(&next.pass(550));
        let whom: Vec<NodeId> = asked.iter().map(|(_, node)| *node).take(2).collect();
        for (request, node) in asked {
            answers(&mut next, request, node.0, true);
        }
        next.pass(600);
        let both = [NodeId(2), NodeId(3)];
        assert_eq!(whom, if goes_on { both.to_vec() } else { vec![] });
        assert_eq!(next.believes(), goes_on.then_some(1));
    }
}

/// Who could be promoted is kept only by one that holds, and only when all of them can be asked.
#[test]
fn an_agent_that_holds_nothing_keeps_nobody_to_ask() {
    let mut bench = Bench::new();
    bench.promoted(1);
    assert_eq!(bench.kept().electors.len(), 1);
    let answers = bench.beats();
    let mut alone = primary(1);
    if let tenure_core::Wanted::Primary { members, .. } = &mut alone.wanted {
        members.get_mut(&NodeId(3)).unwrap().agent = None;
    }
    bench.granted(answers, alone);
    assert_eq!(bench.kept().electors.len(), 0);
    let answers = bench.beats();
    bench.granted(answers, primary(1));
    assert_eq!(bench.kept().electors.len(), 1);
    let answers = bench.beats();
    bench.granted(answers, standby(1));
    assert_eq!(bench.kept().electors.len(), 0);
}

/// A machine that was just booted does not know what it pledged before.
#[test]
fn after_a_boot_it_refuses_promotion_for_as_long_as_a_pledge_can_last() {
    let mut bench = Bench::with(None);
    for _ in 0..10 {
        let answers = bench.beats();
        let out = bench.granted(answers, primary(2));
        assert_eq!(acts(&out), []);
    }
    bench.pass(150);
    let answers = bench.beats();
    let out = bench.granted(answers, primary(2));
    assert!(matches!(one(&out).1, Action::Promote { .. }));
}

#[test]
fn whoever_knows_too_little_pledges_nothing() {
    let mut bench = Bench::new();
    assert!(!bench.pledges(1), "it was never told of the service");
    let answers = bench.beats();
    bench.granted(answers, standby(2));
    assert!(!bench.pledges(1), "it knows of a later epoch");
    assert!(bench.pledges(2));
    bench.see(running(1, Observed::Following { linked: false }));
    bench.pass(1_100);
    bench.promoted(3);
    assert!(!bench.pledges(3), "it is primary itself");
}
