//! What became of a fault that was tried again and again: what was decided and how often, and how long what took.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use tenure_core::{Completeness, Phase, Receipt};
use tenure_tests::failover::moment::Moment;

use super::load::Load;

/// Of the rounds of one fault. What it came to is printed when it is dropped, as a line, also where a round fails.
pub struct Tally {
    fault: &'static str,
    decided: BTreeMap<String, usize>,
    also: BTreeMap<String, usize>,
    /// In milliseconds, by what took them, in the order in which that was first noted.
    took: Vec<(String, Vec<f64>)>,
}

impl Tally {
    pub fn of(fault: &'static str) -> Tally {
        Tally {
            fault,
            decided: BTreeMap::new(),
            also: BTreeMap::new(),
            took: Vec::new(),
        }
    }

    /// A round ended with a change of primary.
    pub fn moved(&mut self, receipt: &Receipt) {
        let account = &receipt.account;
        let complete = match account.completeness {
            Completeness::First => "first",
            Completeness::Equal => "equal",
            Completeness::Proven { .. } => "proven complete",
            Completeness::Bounded { .. } => "bounded loss",
            Completeness::Unknown => "unknown loss",
        };
        self.decided(format!("{}, {complete}", account.cause));
        for phase in Phase::ALL {
            if let Some(at) = account.timeline.get(&phase) {
                self.took(&phase.to_string(), at.0 as f64);
            }
        }
    }

    /// A round ended with a decision.
    pub fn decided(&mut self, what: impl Display) {
        *self.decided.entry(what.to_string()).or_default() += 1;
    }

    /// What else came of a round.
    pub fn also(&mut self, what: impl Display) {
        *self.also.entry(what.to_string()).or_default() += 1;
    }

    /// The longest time between two commits of a writer since a moment.
    pub fn gap(&mut self, load: &Load, since: Moment) {
        self.took("longest gap", load.longest_gap_ms(since));
    }

    /// The same, of one part of a round.
    pub fn gap_while(&mut self, what: &str, load: &Load, since: Moment) {
        self.took(
            &format!("longest gap while {what}"),
            load.longest_gap_ms(since),
        );
    }

    /// Something lasted from a moment until now.
    pub fn since(&mut self, what: &str, since: Moment) {
        self.took(what, Moment::now().ms_since(since));
    }

    fn took(&mut self, what: &str, ms: f64) {
        let known = self.took.iter_mut().find(|(known, _)| known == what);
        match known {
            Some((_, all)) => all.push(ms),
            None => self.took.push((what.to_owned(), vec![ms])),
        }
    }
}

/// The value that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds: usize = self.decided.values().sum();
        write!(f, "TALLY {}: {rounds} rounds:", self.fault)?;
        for (what, count) in self.decided.iter().chain(&self.also) {
            write!(f, " {count} x {what};")?;
        }
        write!(f, " ms as median / p95 / max:")?;
        for (what, all) in &self.took {
            let mut sorted = all.clone();
            sorted.sort_by(f64::total_cmp);
            let [median, p95, max] = [50, 95, 100].map(|percent| percentile(&sorted, percent));
            write!(f, " {what} {median:.0} / {p95:.0} / {max:.0};")?;
        }
        Ok(())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        println!("{self}");
    }
}

#[test]
fn a_tally_says_how_often_and_how_long() {
    let mut tally = Tally::of("nothing");
    tally.also("seen");
    for ms in 1..=20 {
        tally.decided(if ms < 20 { "held" } else { "moved" });
        tally.took("a gap", f64::from(ms));
    }
    let told = "TALLY nothing: 20 rounds: 19 x held; 1 x moved; 1 x seen; ms as median / p95 / max: a gap 10 / 19 / 20;";
    assert_eq!(tally.to_string(), told);
}
