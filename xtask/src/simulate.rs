//! The random faults of the core, with more seeds than the gate tries, or one seed again, step by step.

use clap::Args;

use crate::stage::{Cargo, Failure, timed};

/// How many seeds are tried when nothing else is said.
const SEEDS: u64 = 10_000;

/// Controllers and agents in the model world, under random faults.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many seeds, 10,000 unless one is named; each is a run in a world of its own, and as many run at a time
    /// as there are cores.
    #[arg(long)]
    seeds: Option<u64>,
    /// New seeds are begun for so many minutes, instead of so many seeds.
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed; otherwise one that was never tried. With no number of seeds it is the only one.
    #[arg(long)]
    seed: Option<u64>,
    /// Instead, every sequence of so many faults in small worlds, and how many states they reach: 2 takes seconds, 3
    /// some minutes.
    #[arg(long, value_name = "FAULTS")]
    exhaustive: Option<u64>,
    /// How many faults a run has.
    #[arg(long)]
    faults: Option<u64>,
    /// Of those, only these, as a failure names them: `3,7,9`.
    #[arg(long)]
    steps: Option<String>,
    /// Shows each step, what happened in it, and what everybody is and believes after it.
    #[arg(long)]
    trace: bool,
    /// The first step that is shown.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last step that is shown.
    #[arg(long)]
    to: Option<u64>,
}

impl Simulate {
    /// Runs the test of random faults, built to run fast.
    ///
    /// # Errors
    /// When a promise is broken; its output has the seed, the shortest list of faults that was found, and the
    /// command that replays it.
    pub fn run(&self) -> Result<(), Failure> {
        timed("simulation", || self.command().stage("simulation"))
    }

    fn command(&self) -> Cargo {
        if let Some(length) = self.exhaustive {
            return test("failover::exhaustive").env("TENURE_EXHAUSTIVE", length.to_string());
        }
        let mut command = test("failover::faults::whatever").env("TENURE_FAULTS_SHRINK", "1");
        let usual = if self.seed.is_some() { 1 } else { SEEDS };
        let seeds = self.seeds.unwrap_or(usual);
        let numbers = [
            ("TENURE_FAULTS_SEED", self.seed),
            ("TENURE_FAULTS_MINUTES", self.minutes),
            (
                "TENURE_FAULTS_SEEDS",
                self.minutes.is_none().then_some(seeds),
            ),
            ("TENURE_FAULTS", self.faults),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                command = command.env(name, value.to_string());
            }
        }
        if let Some(steps) = &self.steps {
            command = command.env("TENURE_FAULTS_STEPS", steps);
        }
        if self.trace {
            let to = self.to.map(|to| to.to_string()).unwrap_or_default();
            command = command.env("TENURE_FAULTS_TRACE", format!("{}..{to}", self.from));
        }
        command
    }
}

/// Tests of the core, built to run fast.
fn test(named: &str) -> Cargo {
    Cargo::new(&["test", "--locked", "--profile", "simulate"])
        .arg("--package")
        .arg("tenure-core")
        .arg("--test")
        .arg("domain")
        .arg(named)
        .arg("--")
        .arg("--nocapture")
}

#[cfg(test)]
mod unit {
    use super::*;

    fn simulate() -> Simulate {
        Simulate {
            seeds: Some(500),
            minutes: None,
            seed: None,
            exhaustive: None,
            faults: None,
            steps: None,
            trace: false,
            from: 0,
            to: None,
        }
    }

    #[test]
    fn what_was_asked_reaches_the_test_through_the_environment() {
        let line = simulate().command().to_string();
        assert!(
            line.starts_with("TENURE_FAULTS_SHRINK=1 TENURE_FAULTS_SEEDS=500 cargo test"),
            "{line}"
        );
        let again = Simulate {
            seed: Some(7),
            seeds: None,
            steps: Some("3,9".to_owned()),
            trace: true,
            to: Some(9),
            ..simulate()
        };
        let line = again.command().to_string();
        for part in [
            "TENURE_FAULTS_SEED=7 ",
            "TENURE_FAULTS_SEEDS=1 ",
            "TENURE_FAULTS_STEPS=3,9 ",
            "TENURE_FAULTS_TRACE=0..9 ",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
