//! Servers, clients and agents in simulated time, with more seeds than the gate tries, or one seed again.

use clap::Args;

use crate::stage::{Cargo, Failure, timed};

/// The whole system in simulated time, under random faults.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct SimulateSystem {
    /// Passed on, for instance `--seeds 500 --seed 1000 --seconds 60`, `--seed 7 --trace`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl SimulateSystem {
    /// Runs the program of `tests/system`, built to run fast.
    ///
    /// # Errors
    /// When a promise is broken; its output has the seed and the command that repeats it.
    pub fn run(&self) -> Result<(), Failure> {
        timed("simulated system", || {
            self.command().stage("simulated system")
        })
    }

    fn command(&self) -> Cargo {
        let run = Cargo::new(&["run", "--quiet", "--locked", "--profile", "simulate"])
            .arg("--package")
            .arg("tenure-system")
            .arg("--");
        self.arguments.iter().cloned().fold(run, Cargo::arg)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_was_asked_reaches_the_program() {
        let arguments = vec!["--seed".to_owned(), "7".to_owned()];
        let line = SimulateSystem { arguments }.command().to_string();
        assert!(
            line.ends_with("--profile simulate --package tenure-system -- --seed 7"),
            "{line}"
        );
    }
}
