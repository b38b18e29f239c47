//! Planted safety bugs: each is put into a copy of the core, and the checks have to find it. One that
//! nothing finds is a check that is missing.

pub mod bug;
pub mod checks;
pub mod weave;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::stage::{Failure, root};
use bug::Bug;
use checks::{Checks, Found};

/// Bugs put into a copy of the core, and which check finds each.
#[derive(Debug, Args)]
pub struct Planted {
    /// Random faults are tried with as many seeds at most.
    #[arg(long, default_value_t = 400)]
    seeds: u64,
    /// A folder for the copy and its build, kept for the next time; otherwise a temporary one.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Only these bugs; all when none is named.
    names: Vec<String>,
}

impl Planted {
    /// Builds the copy with every bug behind a switch, shows that nothing is found while none is active,
    /// and then which check finds each.
    ///
    /// # Errors
    /// When a bug does not apply any more, when the core fails without one, and when nothing finds one.
    pub fn run(&self) -> Result<(), Failure> {
        self.all().map_err(|what| Failure {
            what,
            repeat: "cargo xtask planted".to_owned(),
        })
    }

    fn all(&self) -> Result<(), String> {
        let bugs = bug::read_all(&root().join("core/tests/planted"))?;
        self.are_known(&bugs)?;
        let temporary = tempfile::tempdir()
            .map_err(|error| format!("there is no temporary folder: {error}"))?;
        let folder = self.folder.as_deref().unwrap_or(temporary.path());
        weave::copy(&root(), folder, &bugs)?;
        let began = Instant::now();
        println!("==> planted: builds {} bugs", bugs.len());
        let checks = Checks::build(folder)?;
        println!("    in {:.1} s", began.elapsed().as_secs_f64());
        let sound = checks.run(0, self.seeds)?;
        if sound.is_found() {
            return Err(format!(
                "the core fails its checks without a bug: {sound:?}; repair that first"
            ));
        }
        let mut missed = Vec::new();
        println!("{}", heading());
        for (number, bug) in (1..).zip(&bugs) {
            if !self.names.is_empty() && !self.names.contains(&bug.name) {
                continue;
            }
            let found = checks.run(number, self.seeds)?;
            println!("{}", row(bug, &found));
            if !found.is_found() {
                missed.push(format!("{} ({})", bug.name, bug.breaks));
            }
        }
        if missed.is_empty() {
            return Ok(());
        }
        Err(format!(
            "nothing finds {} of them, so a check is missing for each:\n  {}",
            missed.len(),
            missed.join("\n  ")
        ))
    }

    fn are_known(&self, bugs: &[Bug]) -> Result<(), String> {
        let known = |name: &&String| !bugs.iter().any(|bug| bug.name == **name);
        match self.names.iter().find(known) {
            None => Ok(()),
            Some(name) => Err(format!(
                "there is no planted bug {name}; each is a file of core/tests/planted"
            )),
        }
    }
}

fn heading() -> String {
    format!(
        "{:32} {:>6} {:>7} {:>7}  {}",
        "bug", "seeds", "faults", "seconds", "other checks that find it"
    )
}

fn row(bug: &Bug, found: &Found) -> String {
    let seeds = found
        .seeds
        .map_or("-".to_owned(), |seeds| seeds.to_string());
    let by: Vec<String> = found
        .by
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let took = found.took.as_secs_f64();
    let faults = found.faults.map_or("-".to_owned(), |it| it.to_string());
    format!(
        "{:32} {seeds:>6} {faults:>7} {took:>7.2}  {}",
        bug.name,
        by.join(", ")
    )
}
