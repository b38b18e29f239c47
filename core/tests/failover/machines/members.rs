//! Who may acknowledge, by a leader's reckoning, under a steady load: whoever speaks is always a little
//! behind what the primary said last.

use super::controller::{Bench, beat, idle, position, serving};
use crate::failover::world::service;
use std::collections::BTreeSet;
use tenure_core::{Command, Epoch, NodeId, Outcome, Role, Sign, controller::Input};

fn nodes(of: &[u64]) -> BTreeSet<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

/// A leader that hears all, and what it says of the members.
struct Reckoning {
    bench: Bench,
    sequence: u64,
    /// The latest grant that they have taken in.
    heard: u64,
}

impl Reckoning {
    fn new(in_sync: &[u64], syncing: &[u64]) -> Self {
        let mut bench = Bench::new();
        bench.commit(Command::SetMembers {
            service: service(),
            epoch: Epoch(1),
            expected: bench.state.assignment().modified,
            in_sync: nodes(in_sync),
            syncing: nodes(syncing),
        });
        bench.pass(20);
        Self {
            bench,
            sequence: 0,
            heard: u64::MAX,
        }
    }

    /// The primary's word, with whom it lets acknowledge.
    fn primary(&mut self, offset: u64, permits: &[u64]) {
        let mut sign = serving(1);
        sign.report.position = position(offset);
        sign.permits = permits.iter().copied().map(NodeId).collect();
        self.says(1, sign);
    }

    fn replica(&mut self, node: u64, offset: u64) {
        self.says(node, following(offset));
    }

    fn says(&mut self, node: u64, sign: Sign) {
        self.sequence += 1;
        let heard = (5, self.heard);
        self.bench.beat(node, beat(7, self.sequence, heard, sign));
    }

    /// What was proposed since it was last asked, carried out.
    fn stated(&mut self) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
        let mut stated = None;
        for (proposal, command) in std::mem::take(&mut self.bench.proposed) {
            if let Command::SetMembers {
                in_sync, syncing, ..
            } = &command
            {
                stated = Some((in_sync.clone(), syncing.clone()));
            }
            let outcome = Some(self.bench.state.commit(command));
            assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
            self.bench.tell(Input::Outcome { proposal, outcome });
        }
        stated
    }
}

fn following(offset: u64) -> Sign {
    let mut sign = idle();
    sign.linked = true;
    sign.report.role = Some((Role::Replica, Epoch(1)));
    sign.report.position = position(offset);
    sign
}

#[test]
fn a_replica_counts_once_it_has_what_the_primary_had_when_it_began_to_follow() {
    let mut of = Reckoning::new(&[1, 2], &[3]);
    for at in [100, 200, 300] {
        of.primary(at, &[2, 3]);
        of.replica(2, at);
        of.replica(3, at - 1);
        if let Some(stated) = of.stated() {
            assert_eq!(stated, (nodes(&[1, 2, 3]), nodes(&[])));
            return assert!(at > 100);
        }
    }
    panic!("it was always a little behind, and never counted");
}

#[test]
fn a_replica_that_stands_still_does_not_count() {
    let mut of = Reckoning::new(&[1, 2], &[3]);
    for at in [100, 200, 300] {
        of.replica(2, at);
        of.replica(3, 99);
        of.primary(at, &[2, 3]);
        assert_eq!(of.stated(), None);
    }
}

/// Who was left out meanwhile may have acknowledged what the one that syncs lacks.
#[test]
fn what_it_has_to_reach_is_looked_at_anew_when_the_members_change() {
    let mut of = Reckoning::new(&[1, 2], &[3]);
    of.replica(3, 50);
    of.primary(100, &[2, 3]);
    assert_eq!(of.stated(), None);
    let expected = of.bench.state.assignment().modified;
    of.bench.commit(Command::SetMembers {
        service: service(),
        epoch: Epoch(1),
        expected,
        in_sync: nodes(&[1]),
        syncing: nodes(&[2, 3]),
    });
    of.primary(150, &[2, 3]);
    of.replica(3, 120);
    assert_eq!(of.stated(), None, "it has reached 100, not 150");
    of.replica(3, 150);
    assert_eq!(of.stated(), Some((nodes(&[1, 3]), nodes(&[2]))));
}

/// What was acknowledged by an earlier reckoning is in no word from before the present one.
#[test]
fn a_word_from_before_the_members_were_stated_is_nothing_to_reach() {
    let mut of = Reckoning::new(&[1, 2], &[3]);
    of.heard = 0;
    for at in [100, 200] {
        of.primary(at, &[2, 3]);
        of.replica(3, at);
    }
    assert_eq!(of.stated(), None);
    of.heard = u64::MAX;
    of.primary(300, &[2, 3]);
    of.replica(3, 300);
    assert_eq!(of.stated(), Some((nodes(&[1, 2, 3]), nodes(&[]))));
}

/// One that is no member any more, and not detached yet, acknowledges what nobody who counts has.
#[test]
fn a_word_counts_only_when_nobody_but_members_may_acknowledge() {
    let mut of = Reckoning::new(&[1], &[3]);
    for (at, permits) in [(100, &[2, 3][..]), (200, &[2, 3]), (300, &[])] {
        of.primary(at, permits);
        of.replica(3, at);
        // n2 is let in again as soon as it is heard; here it is not.
        assert_eq!(of.stated(), None);
    }
    of.primary(400, &[3]);
    of.replica(3, 400);
    assert_eq!(of.stated(), Some((nodes(&[1, 3]), nodes(&[]))));
}

/// Five seconds without n3.
fn without_n3(of: &mut Reckoning) {
    let mut at = 100;
    for _ in 0..60 {
        of.bench.pass(100);
        of.replica(2, at - 1);
        of.primary(at, &[2, 3]);
        at += 10;
    }
}

#[test]
fn one_that_is_lost_is_left_out_once_the_others_have_what_it_may_have_acknowledged() {
    let mut of = Reckoning::new(&[1, 2, 3], &[]);
    without_n3(&mut of);
    assert_eq!(of.stated(), None, "the primary still lets it acknowledge");
    of.primary(1_000, &[2]);
    of.replica(2, 999);
    assert_eq!(of.stated(), None, "n2 may lack what n3 has acknowledged");
    of.primary(1_100, &[2]);
    of.replica(2, 1_050);
    assert_eq!(
        of.stated(),
        Some((nodes(&[1, 2]), nodes(&[]))),
        "n2 has what there was by then"
    );
}

#[test]
fn one_that_is_lost_stays_while_too_few_would_be_left() {
    let mut of = Reckoning::new(&[1, 3], &[2]);
    without_n3(&mut of);
    // n2 is not in sync before it has caught up.
    let first = of.stated();
    assert!(first.is_none_or(|(in_sync, _)| in_sync.contains(&NodeId(3))));
    let mut alone = Reckoning::new(&[1, 3], &[]);
    for _ in 0..60 {
        alone.bench.pass(100);
        alone.primary(100, &[3]);
    }
    assert_eq!(alone.stated(), None);
}

/// A member that was started anew has to get as far as a word of the primary that was sent after the
/// member was heard to follow again: what it had acknowledged before is in that.
#[test]
fn one_that_was_started_anew_is_held_against_a_later_word() {
    let mut of = Reckoning::new(&[1, 2], &[3]);
    // Until further notice nobody has taken in any grant.
    of.heard = 0;
    let mut anew = following(40);
    (anew.whole, anew.linked) = (false, false);
    of.says(3, anew);
    of.primary(90, &[2, 3]);
    // Linked again, with less than it had acknowledged; the primary's word is older than that.
    of.replica(3, 95);
    of.primary(94, &[2, 3]);
    of.replica(3, 96);
    assert_eq!(of.stated(), None);
    of.heard = u64::MAX;
    of.primary(100, &[2, 3]);
    of.replica(3, 99);
    assert_eq!(of.stated(), None);
    of.replica(3, 100);
    assert_eq!(of.stated(), Some((nodes(&[1, 2, 3]), nodes(&[]))));
}
