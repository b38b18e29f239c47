//! A switchover, message by message.

use super::controller::{Bench, answering, beat, idle, position, serving, told};
use crate::failover::world::service;
use tenure_core::{
    Command, Completeness, Epoch, Millis, NodeId, NodeRef, Note, Role, Sign, Standing, Surveyed,
    Wanted,
    controller::{HoldCode, Input, Output, Wish},
};

/// A leader that is asked to move the primary from n1 to n2.
struct Move {
    bench: Bench,
    sequence: u64,
}

impl Move {
    fn new() -> Self {
        let mut of = Self {
            bench: Bench::new(),
            sequence: 0,
        };
        of.bench.pass(20);
        of.from(Standing::Primary(Epoch(1)), 90);
        of.to(90, None);
        of.bench.tell(Input::Ask {
            ask: 1,
            wish: Wish::Switchover {
                service: service(),
                to: Some(NodeRef::Id(NodeId(2))),
                reason: Note::default(),
            },
        });
        of
    }

    /// The old primary's word; says whether it is wanted to serve, and to hold writes back.
    fn from(&mut self, standing: Standing, offset: u64) -> (bool, bool) {
        self.sequence += 1;
        let mut sign = serving(1);
        sign.standing = standing;
        sign.report.position = position(offset);
        let grant = self.bench.answer(1, beat(7, self.sequence, (5, 1), sign));
        let directive = told(&grant).0;
        let serves = matches!(directive.wanted, Wanted::Primary { .. });
        (serves, directive.quiesce.is_some())
    }

    /// The candidate's word, in answer to a ballot; says what it is asked next.
    fn to(&mut self, offset: u64, ballot: Option<u64>) -> Option<u64> {
        self.sequence += 1;
        let mut sign = following(offset);
        sign.surveyed = ballot.map(|ballot| Surveyed {
            position: position(offset),
            ..answering(ballot, 0).surveyed.expect("it answers")
        });
        let grant = self.bench.answer(2, beat(7, self.sequence, (5, 1), sign));
        told(&grant).0.survey
    }
}

fn following(offset: u64) -> Sign {
    let mut sign = idle();
    sign.linked = true;
    sign.report.role = Some((Role::Replica, Epoch(1)));
    sign.report.position = position(offset);
    sign
}

const HOLDS: Standing = Standing::Primary(Epoch(1));
const HELD_BACK: Standing = Standing::Quiesced(Epoch(1));
const FENCED: Standing = Standing::Idle(Epoch(1));

#[test]
fn the_steps_of_a_switchover_wait_for_one_another() {
    let mut of = Move::new();
    assert_eq!(
        of.from(HOLDS, 95),
        (true, true),
        "it is to hold writes back"
    );
    assert_eq!(of.to(95, None), None);
    of.from(HELD_BACK, 100);
    let first = of.to(98, None).unwrap();
    let second = of.to(98, Some(first)).unwrap();
    assert!(second > first, "it is asked again");
    assert_eq!(
        of.from(HELD_BACK, 100),
        (true, true),
        "it is not fenced yet"
    );
    of.to(100, Some(second));
    assert_eq!(
        of.from(HELD_BACK, 100),
        (false, false),
        "it is to be fenced"
    );
    assert_eq!(of.bench.promotions(), []);
    // By then it had got further, whatever it had said.
    of.from(FENCED, 120);
    let third = of.to(110, None).unwrap();
    let fourth = of.to(110, Some(third)).unwrap();
    assert_eq!(
        of.bench.promotions(),
        [],
        "it lacks what came before the fence"
    );
    of.to(120, Some(fourth));
    assert_eq!(of.bench.promotions(), [2]);
    let Some((_, Command::Promote { account, .. })) = of.bench.proposed.pop() else {
        panic!("the last proposal is the promotion");
    };
    assert_eq!(account.completeness, Completeness::Equal);
}

#[test]
fn what_the_old_primary_said_before_it_was_told_counts_for_nothing() {
    let mut of = Move::new();
    of.bench.now = of.bench.now.after(Millis(10));
    of.from(HELD_BACK, 100);
    let asked = of.to(100, None).unwrap();
    of.to(100, Some(asked));
    assert_eq!(of.bench.promotions(), []);
    assert_eq!(of.from(HELD_BACK, 100), (false, false));
}

#[test]
fn one_that_does_not_end_in_time_is_taken_back() {
    let mut of = Move::new();
    of.from(HELD_BACK, 100);
    of.bench.pass(900);
    of.from(HELD_BACK, 100);
    of.to(90, None);
    let mut answers = Vec::new();
    for _ in 0..10 {
        of.bench.now = of.bench.now.after(Millis(20));
        of.bench.quorum();
        answers.extend(of.bench.tell(Input::Tick));
    }
    let answer = answers.iter().find_map(|output| {
        if let Output::Answer { answer, .. } = output {
            Some(answer.clone().unwrap_err())
        } else {
            None
        }
    });
    let hold = answer.expect("whoever asked is told");
    assert_eq!(hold.code, HoldCode::Aborted);
    assert!(hold.why.contains("n2 did not catch up within"), "{hold}");
    assert_eq!(of.from(HELD_BACK, 100), (true, false), "it goes on");
}
