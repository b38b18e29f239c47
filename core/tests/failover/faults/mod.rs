//! Random faults, one seed a run: whatever happens, nobody serves beside another, nothing that was
//! acknowledged is lost, and when the faults end everything is whole again.
//!
//! `TENURE_FAULTS_SEEDS` sets the number of runs, `TENURE_FAULTS_SEED` the first of them,
//! `TENURE_FAULTS` how many faults each has.

mod kinds;

use super::world::{Setup, World, policy};
use kinds::{drift, fault, heal};
use std::collections::BTreeMap;
use tenure_core::{Automation, ControlLoss, LossPolicy, Millis, PrimaryPolicy};

/// What came of the runs. What never happened was not tried.
#[derive(Default)]
struct Tally {
    happened: BTreeMap<String, u64>,
    acked: usize,
}

impl Tally {
    fn add(&mut self, what: impl Into<String>, times: u64) {
        *self.happened.entry(what.into()).or_default() += times;
    }

    fn of(&self, what: &str) -> u64 {
        self.happened.get(what).copied().unwrap_or_default()
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn setup(seed: u64) -> Setup {
    let mut setup = match seed % 5 {
        0 => {
            let of_five = PrimaryPolicy {
                replicas: 4,
                write_acks: 2,
                ..policy(LossPolicy::Never)
            };
            Setup::of(seed, 5, of_five)
        }
        1 => Setup::new(seed, LossPolicy::Available),
        _ => Setup::new(seed, LossPolicy::Never),
    };
    if seed.is_multiple_of(7) {
        setup.automation = Automation {
            control_loss: ControlLoss::Fence,
            ..Automation::default()
        };
    }
    setup
}

fn one(seed: u64, faults: u64, tally: &mut Tally) {
    let mut world = World::new(&setup(seed));
    drift(&mut world);
    world.run_until(Millis(5_000), World::is_whole);
    world.writing = true;
    for _ in 0..faults {
        let kind = fault(&mut world);
        tally.add(kind, 1);
        let span = 20 + world.dice.below(1_500);
        world.run(Millis(span));
        sound(&world, seed);
    }
    heal(&mut world);
    let whole = world.comes(Millis(30_000), World::is_whole);
    if !whole {
        accept(&mut world, seed);
        tally.add("held at the end", 1);
    }
    world.run(Millis(300));
    sound(&world, seed);
    let strict = world.is_strict();
    if whole && strict {
        let lost = world.lost();
        assert!(
            lost.is_empty(),
            "seed {seed}: {lost:?}\n{}",
            world.describe()
        );
    }
    for receipt in world.state.receipts(&world.services[0]) {
        let (cause, fence) = (receipt.account.cause, receipt.account.fence);
        let fence = format!("{fence:?}");
        tally.add(format!("{cause}"), 1);
        tally.add(fence.split(' ').next().unwrap_or_default(), 1);
    }
    tally.add("changes of primary", world.epoch() - 1);
    tally.add("terms of office", world.checks.terms_of_office);
    tally.acked += world.acked().len();
}

/// Too many processes were started anew: nothing proves that nothing was lost, and an operator has to
/// say that it may be.
fn accept(world: &mut World, seed: u64) {
    assert!(
        world.is_strict(),
        "seed {seed}: loss is allowed\n{}",
        world.describe()
    );
    let says = world.comes(Millis(2_000), |world| {
        let held = world.held().map(|held| held.to_string());
        held.is_some_and(|held| held.contains("completeness"))
    });
    assert!(says, "seed {seed}\n{}", world.describe());
    world.set_loss(LossPolicy::Available);
    world.run_until(Millis(30_000), World::is_whole);
}

fn sound(world: &World, seed: u64) {
    let sound = world.checks.broken.is_empty();
    assert!(sound, "seed {seed}\n{}", world.describe());
}

#[test]
fn whatever_happens_nobody_serves_beside_another_and_nothing_is_lost() {
    let first = number("TENURE_FAULTS_SEED", 1);
    let seeds = number("TENURE_FAULTS_SEEDS", 40);
    let faults = number("TENURE_FAULTS", 16);
    let mut tally = Tally::default();
    for seed in first..first + seeds {
        one(seed, faults, &mut tally);
    }
    for (what, times) in &tally.happened {
        println!("{times:8} {what}");
    }
    println!("{seeds} seeds, {} writes acknowledged", tally.acked);
    assert!(tally.acked > 0);
    if seeds < 40 || faults < 16 {
        return;
    }
    let held = tally.of("held at the end");
    assert!(held < seeds / 2, "most of the runs ended held: {held}");
    let must = [
        "instance exited",
        "node lost",
        "stuck",
        "Exited",
        "Confirmed",
        "LeaseOver",
    ];
    let never: Vec<_> = must.iter().filter(|what| tally.of(what) == 0).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}
