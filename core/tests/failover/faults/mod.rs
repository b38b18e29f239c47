//! Random faults, one seed a run: whatever happens, nobody serves beside another, nothing that was
//! acknowledged is lost, watchers miss nothing unsaid, and when the faults end everything is whole again.
//!
//! `cargo xtask simulate` sets what is read from the environment here:
//!
//! | variable | what |
//! |---|---|
//! | `TENURE_FAULTS_SEED`, `TENURE_FAULTS_SEEDS` | the first seed, and how many |
//! | `TENURE_FAULTS_MINUTES` | how long new seeds are begun, instead of how many |
//! | `TENURE_FAULTS` | how many faults a run has |
//! | `TENURE_FAULTS_STEPS` | of those, only these (`3,7,9`) |
//! | `TENURE_FAULTS_TRACE` | shows the steps from one to another (`3..9`) |
//! | `TENURE_FAULTS_SHRINK` | makes the list of faults of a failure shorter |
//! | `TENURE_FAULTS_THREADS` | how many seeds run at a time; otherwise as many as there are cores |

pub mod at_once;
mod big;
mod kinds;
mod plan;
mod run;
mod setting;
mod shrink;
mod tally;
mod timed;

use plan::Plan;
pub use run::words;
use run::{Finding, Trace, run};
use setting::setting;
use std::{
    cell::Cell,
    panic,
    sync::Once,
    time::{Duration, Instant},
};
use tally::Tally;

/// Seeds that the gate always tries.
const FIXED: u64 = 200;
/// Seeds that the gate has never tried before.
const FRESH: u64 = 20;
const FAULTS: u64 = 20;
/// From so many runs on everything that happens sometimes must have happened.
const ENOUGH: u64 = 200;

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn number(name: &str) -> Option<u64> {
    let number = |text: String| text.parse().expect("a number");
    text(name).map(number)
}

fn plan(seed: u64) -> Plan {
    let faults = number("TENURE_FAULTS").unwrap_or(FAULTS);
    let nodes = setting(seed).zones.len() as u64;
    let plan = Plan::new(seed, faults, nodes);
    match text("TENURE_FAULTS_STEPS") {
        None => plan,
        Some(kept) => {
            let kept: Vec<u64> = kept.split(',').filter_map(|it| it.parse().ok()).collect();
            plan.only(&kept)
        }
    }
}

fn trace() -> Trace {
    let text = text("TENURE_FAULTS_TRACE")?;
    let (from, to) = text.split_once("..").expect("FROM..TO");
    let number = |text: &str, default| text.parse().unwrap_or(default);
    Some(number(from, 0)..=number(to, u64::MAX))
}

/// Panics are findings here, and are told of once, at the end. No other test of the process may fall silent.
pub fn keep_quiet<T>(run: impl FnOnce() -> T) -> T {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let done = run();
    QUIET.set(false);
    done
}

/// What a failure says: what was found, and the command that replays it.
fn report(plan: &Plan, finding: &Finding) -> String {
    let (plan, finding) = match text("TENURE_FAULTS_SHRINK") {
        Some(_) => shrunk(plan, finding),
        None => (plan.clone(), finding.clone()),
    };
    let numbers: Vec<String> = plan.numbers().iter().map(u64::to_string).collect();
    let faults = number("TENURE_FAULTS").unwrap_or(FAULTS);
    // Once more, with notes.
    let again = run(&plan, &None, true, &mut Tally::default());
    let picture = again.err().unwrap_or(finding.clone()).picture;
    format!(
        "{picture}\nseed {}, step {}: {}\n{} faults:\n  {}\nto replay: cargo xtask simulate --seed {} \
         --faults {faults} --steps {} --trace\n",
        plan.seed,
        finding.step,
        finding.what,
        numbers.len(),
        plan.steps
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n  "),
        plan.seed,
        numbers.join(","),
    )
}

fn shrunk(plan: &Plan, finding: &Finding) -> (Plan, Finding) {
    let tries = |kept: &[u64]| run(&plan.only(kept), &None, false, &mut Tally::default());
    let kept = shrink::shortest(&plan.numbers(), |kept| tries(kept).is_err());
    let found = tries(&kept).err();
    (plan.only(&kept), found.unwrap_or_else(|| finding.clone()))
}

/// The seeds of a run: some that are always the same and some that are new, unless told otherwise.
fn seeds() -> Box<dyn Iterator<Item = u64> + Send> {
    let minutes = number("TENURE_FAULTS_MINUTES");
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    match (number("TENURE_FAULTS_SEED"), number("TENURE_FAULTS_SEEDS")) {
        (first, None) if until.is_some() => {
            let first = first.unwrap_or_else(fresh);
            let in_time = move |_: &u64| until.is_some_and(|until| Instant::now() < until);
            Box::new((first..).take_while(in_time))
        }
        (None, None) => {
            let first = fresh();
            Box::new((1..=FIXED).chain(first..first + FRESH))
        }
        (first, many) => {
            let first = first.unwrap_or_else(fresh);
            Box::new(first..first + many.unwrap_or(1))
        }
    }
}

fn fresh() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("it is after 1970").as_millis() as u64
}

/// One seed, and how it went.
fn one(seed: u64) -> Result<Tally, Box<(Plan, Finding)>> {
    let plan = plan(seed);
    let mut tally = Tally::default();
    tally.faults += plan.steps.len() as u64;
    match run(&plan, &trace(), false, &mut tally) {
        Ok(()) => Ok(tally),
        Err(finding) => Err(Box::new((plan, finding))),
    }
}

/// Runs every seed; begins none after one that found something, and reports the first of those that did.
fn all() -> Result<Tally, String> {
    // What is shown of two seeds must not be mixed.
    let threads = if trace().is_some() {
        1
    } else {
        at_once::threads()
    };
    let (tally, found) = at_once::all(seeds(), threads, &|seed| keep_quiet(|| one(seed)));
    match found {
        None => Ok(tally),
        Some(found) => Err(keep_quiet(|| report(&found.0, &found.1))),
    }
}

#[test]
fn whatever_happens_nobody_serves_beside_another_and_nothing_is_lost() {
    let began = Instant::now();
    let tally = match all() {
        Ok(tally) => tally,
        Err(report) => panic!("{report}"),
    };
    for (what, times) in &tally.happened {
        println!("{times:9} {what}");
    }
    println!("{}", tally.figures(began.elapsed()));
    if tally.runs >= ENOUGH {
        let missing = tally.missing();
        assert!(
            missing.is_empty(),
            "never happened, so not tried: {missing:?}"
        );
    }
}
