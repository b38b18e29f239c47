//! The first primary of a service, which may serve already: what it says before it was promoted frees nobody.

use super::controller::{Bench, answering, beat, idle, is_primary, serving, told};
use crate::failover::world::{Setup, service};
use tenure_core::{
    Command, Epoch, LossPolicy, Millis, NodeId, NodeRef, Note, Sign, Standing, Wanted,
    controller::{Input, Wish},
};

fn wish(to: u64) -> Wish {
    Wish::Failover {
        service: service(),
        to: Some(NodeRef::Id(NodeId(to))),
        accept_loss: true,
        fenced: false,
        reason: Note::default(),
    }
}

/// It has not heard of an epoch.
fn untold() -> Sign {
    let mut sign = idle();
    sign.standing = Standing::Idle(Epoch(0));
    sign
}

/// A leader that has named n1 as the first primary, and granted it that.
fn adopting() -> Bench {
    let setup = Setup::new(1, LossPolicy::Available).unassigned();
    let mut bench = Bench::of(&setup, Millis(140));
    bench.lead();
    bench.pass(400);
    for node in 1..=3 {
        bench.beat(node, beat(7, 1, (5, 1), untold()));
    }
    bench.tell(Input::Ask {
        ask: 1,
        wish: wish(1),
    });
    let (proposal, command) = bench.proposed.pop().expect("it is proposed");
    let outcome = Some(bench.state.commit(command));
    bench.tell(Input::Outcome { proposal, outcome });
    let grant = bench.answer(1, beat(7, 2, (5, 1), untold()));
    assert!(is_primary(&grant), "{grant:?}");
    bench
}

/// Asks for n2 in its place, and lets time pass while n1 says `sign`; after how long n2 is promoted.
fn replaced_after(mut bench: Bench, sign: &Sign) -> Millis {
    let granted = bench.now;
    let before = bench.promotions().len();
    bench.tell(Input::Ask {
        ask: 2,
        wish: wish(2),
    });
    for sequence in (10..400).step_by(2) {
        bench.pass(20);
        bench.beat(1, beat(7, sequence, (5, sequence), sign.clone()));
        for node in 2..=3 {
            let grant = bench.answer(node, beat(7, sequence, (5, sequence), untold()));
            let mut answer = untold();
            if let Some(ballot) = told(&grant).0.survey {
                answer = answering(ballot, 0);
            }
            bench.beat(node, beat(7, sequence + 1, (5, sequence), answer));
        }
        if bench.promotions().len() > before {
            return bench.now.since(granted);
        }
    }
    panic!("n2 was never promoted");
}

#[test]
fn its_idle_word_before_it_was_promoted_proves_no_fence() {
    let after = replaced_after(adopting(), &untold());
    assert!(after >= Millis(1_000), "its lease ran: {after}");
}

#[test]
fn its_idle_word_after_it_has_served_is_a_fence() {
    let mut bench = adopting();
    bench.beat(1, beat(7, 3, (5, 2), serving(1)));
    let proposed = std::mem::take(&mut bench.proposed);
    let completes = |command: &Command| matches!(command, Command::CompleteReceipt { .. });
    assert!(proposed.iter().any(|(_, command)| completes(command)));
    for (proposal, command) in proposed {
        let outcome = Some(bench.state.commit(command));
        bench.tell(Input::Outcome { proposal, outcome });
    }
    let grant = bench.answer(1, beat(7, 4, (5, 3), serving(1)));
    assert!(matches!(told(&grant).0.wanted, Wanted::Primary { .. }));
    let mut sign = idle();
    sign.standing = Standing::Idle(Epoch(1));
    let after = replaced_after(bench, &sign);
    assert!(after < Millis(1_000), "it has let go: {after}");
}
