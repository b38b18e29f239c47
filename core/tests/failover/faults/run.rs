//! One run: a plan carried out in the world of its seed, with everything checked after each step.

use super::{
    kinds::{befall, heal},
    plan::Plan,
    setting::{drift, heals_within, is_named_by_hand, items_heal_within, setting, stays_cut},
    tally::Tally,
    timed,
};
use crate::failover::world::World;
use std::{
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tenure_core::{LossPolicy, Millis};

/// What a run found broken.
#[derive(Debug, Clone)]
pub struct Finding {
    /// After which step of the plan; 0 is before the first, and one more than the last is after the end.
    pub step: u64,
    pub what: String,
    /// Everything that helps to see how it came about.
    pub picture: String,
}

/// Which steps are shown, one by one.
pub type Trace = Option<RangeInclusive<u64>>;

/// Carries a plan out.
pub fn run(plan: &Plan, trace: &Trace, noting: bool, tally: &mut Tally) -> Result<(), Finding> {
    let mut world = World::new(&setting(plan.seed));
    world.noting = noting || trace.is_some();
    let mut at = 0;
    let whole = {
        let mut act = || steps(&mut world, plan, trace, &mut at);
        catch_unwind(AssertUnwindSafe(&mut act))
    };
    let what = match whole {
        Ok(()) => world.checks.broken.first().cloned(),
        Err(panic) => Some(words(&*panic)),
    };
    let Some(what) = what else {
        tally.take(&world);
        return Ok(());
    };
    let picture = catch_unwind(AssertUnwindSafe(|| world.describe()));
    Err(Finding {
        step: at,
        what,
        picture: picture.unwrap_or_default(),
    })
}

/// The first line of what a panic says.
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let first = text.unwrap_or_default().lines().next();
    first.unwrap_or_default().chars().take(600).collect()
}

fn steps(world: &mut World, plan: &Plan, trace: &Trace, at: &mut u64) {
    world.dice = plan.dice(0);
    drift(world);
    if is_named_by_hand(plan.seed) {
        timed::named_as_it_begins(world);
    }
    let began = world.comes(heals_within(world), World::is_whole);
    assert!(began, "it never began to serve");
    world.writing = true;
    let mut shown = world.notes.len();
    for step in &plan.steps {
        *at = step.number;
        world.dice = plan.dice(step.number);
        befall(world, step);
        world.count(step.kind().1);
        world.run(step.span);
        if trace.as_ref().is_some_and(|steps| steps.contains(at)) {
            println!("==> {step}");
            world.notes[shown..].iter().for_each(|it| println!("{it}"));
            println!("{}", world.picture());
        }
        shown = world.notes.len();
        if !world.checks.broken.is_empty() {
            return;
        }
    }
    *at += 1;
    world.dice = plan.dice(u64::MAX);
    heal(world);
    comes_to_rest(world);
    if stays_cut(plan.seed) {
        timed::outlives_a_cut_that_stays(world);
    }
    if trace.is_some() {
        println!("==> the end");
        world.notes[shown..].iter().for_each(|it| println!("{it}"));
        println!("{}", world.picture());
    }
}

/// After the faults everything is whole again in time, unless nothing proves that nothing was lost: then an
/// operator has to say that it may be.
fn comes_to_rest(world: &mut World) {
    let within = heals_within(world);
    let whole = world.comes(within, World::is_whole);
    let strict = world.is_strict();
    if !whole {
        let any = world.loss() == LossPolicy::Available;
        assert!(!any, "any loss is allowed, and not whole within {within}");
        let says = world.comes(Millis(5_000), |world| {
            let held = world.held().map(|held| held.to_string());
            held.is_some_and(|held| held.contains("completeness"))
        });
        assert!(says, "not whole within {within}: {:?}", world.held());
        world.count("held at the end");
        world.set_loss(LossPolicy::Available);
        let whole = world.comes(within, World::is_whole);
        assert!(whole, "not whole within {within} though loss was accepted");
    }
    world.items.at_rest = true;
    let within = items_heal_within(world);
    let whole_items = world.comes(within, World::items_are_whole);
    assert!(whole_items, "items are not whole within {within}");
    world.run(Millis(300));
    if whole && strict && !world.checks.clocks_broken && !world.checks.forgiven {
        let lost = world.lost();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}
