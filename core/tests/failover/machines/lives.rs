//! A node that was started anew is another member: what it said in its earlier life counts for nothing.

use super::controller::{Bench, answering, beat, idle, serving, told};
use crate::failover::world::service;
use tenure_core::{
    Command, Incarnation, NodeId, NodeRef, Note,
    controller::{Input, Wish},
};

/// A leader that hears all three, and has asked n2 and n3 how far they have got; with the ballot.
fn surveyed() -> (Bench, u64) {
    let mut bench = Bench::new();
    bench.pass(20);
    for node in 1..=3 {
        let sign = if node == 1 { serving(1) } else { idle() };
        bench.beat(node, beat(7, 1, (5, 1), sign));
    }
    let wish = Wish::Failover {
        service: service(),
        to: None,
        accept_loss: false,
        fenced: false,
        reason: Note::default(),
    };
    bench.tell(Input::Ask { ask: 1, wish });
    bench.beat(1, beat(7, 2, (5, 2), idle()));
    let grant = bench.answer(2, beat(7, 2, (5, 2), idle()));
    let ballot = told(&grant).0.survey.expect("it is asked");
    (bench, ballot)
}

fn begins_anew(bench: &mut Bench, node: u64) {
    bench.commit(Command::JoinNode {
        node: NodeRef::Id(NodeId(node)),
        last: Incarnation(1),
    });
    bench.tell(Input::Applied);
}

#[test]
fn an_answer_of_an_earlier_life_proves_nothing() {
    let (mut bench, ballot) = surveyed();
    bench.beat(2, beat(7, 3, (5, 2), answering(ballot, 0)));
    begins_anew(&mut bench, 2);
    bench.beat(3, beat(7, 2, (5, 2), answering(ballot, 0)));
    assert_eq!(bench.promotions(), [], "n2 may have lost what it had");
}

#[test]
fn a_heartbeat_of_an_earlier_life_is_late() {
    let (mut bench, ballot) = surveyed();
    begins_anew(&mut bench, 2);
    let late = beat(7, 3, (5, 2), answering(ballot, 0));
    assert_eq!(bench.beat(2, late), None);
    bench.beat(3, beat(7, 2, (5, 2), answering(ballot, 0)));
    assert_eq!(bench.promotions(), []);
}
