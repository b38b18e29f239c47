//! Every decoder under garbled bytes for as long as asked, where the gate tries a few hundred cases of each.

use std::time::{Duration, Instant};

use clap::Args;

use crate::stage::{Cargo, Failure, timed};

/// The crates that read from a disk, a network or a person.
const PACKAGES: &[&str] = &[
    "tenure-proto",
    "tenure-storage",
    "tenure-server",
    "tenure-agent",
    "tenure",
];

/// Garbled bytes for every decoder.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// Rounds are begun for so many minutes; there is always one.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many cases each test tries in a round.
    #[arg(long, default_value_t = 5_000)]
    cases: u32,
}

impl Fuzz {
    /// Runs the tests whose names have `garbage` in them, in rounds, each with new cases.
    ///
    /// # Errors
    /// When a decoder panics, takes memory that its bytes are not worth, or understands what does not come back as
    /// it was; the output has the shortest case that was found.
    pub fn run(&self) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(60 * self.minutes);
        let mut round = 0;
        loop {
            round += 1;
            timed(&format!("garbage, round {round}"), || {
                self.command().stage("garbage")
            })?;
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn command(&self) -> Cargo {
        let test = Cargo::new(&["test", "--locked", "--quiet"])
            .env("PROPTEST_CASES", self.cases.to_string());
        let named = |test: Cargo, package: &&str| test.arg("--package").arg(*package);
        PACKAGES.iter().fold(test, named).arg("garbage")
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn every_decoder_is_among_those_that_are_tried() {
        let fuzz = Fuzz {
            minutes: 0,
            cases: 7,
        };
        let line = fuzz.command().to_string();
        assert!(line.starts_with("PROPTEST_CASES=7 cargo test"), "{line}");
        assert!(line.ends_with("--package tenure garbage"), "{line}");
        for package in PACKAGES {
            let folder = match *package {
                "tenure" => "cli",
                package => package.trim_start_matches("tenure-"),
            };
            let folder = crate::stage::root().join(folder);
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            assert!(manifest.contains("tenure-garble"), "{package}");
        }
    }
}
