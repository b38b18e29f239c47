//! The gate: what must pass before a commit, cheapest first.

use crate::hygiene;
use crate::namespaces;
use crate::stage::{Cargo, Failure, root, timed};
use crate::tools::{self, Need};

/// Runs every stage and stops at the first that fails. The tests come last, so that the
/// last lines of a run that passed are the test runner's own summary.
///
/// # Errors
/// The first stage that failed, with the command to repeat it.
pub fn test() -> Result<(), Failure> {
    tools::ensure(Need::Tests)?;
    timed("format", || {
        Cargo::new(&["fmt", "--all", "--check"])
            .stage("format")
            .map_err(|failure| Failure {
                repeat: format!("{} (cargo xtask fix repairs it)", failure.repeat),
                ..failure
            })
    })?;
    timed("hygiene", || hygiene::check(&root()))?;
    timed("lints", || lints().stage("lints"))?;
    timed("doc tests", || doc_tests().stage("doc tests"))?;
    let permitted = namespaces::permitted();
    if let Err(why) = &permitted {
        println!("==> less is checked: no network namespaces, for nothing is cut off: {why}");
    }
    tests(nextest_is_there(), permitted.is_ok()).stage("tests")
}

/// Formats every crate.
///
/// # Errors
/// When a file cannot be parsed.
pub fn fix() -> Result<(), Failure> {
    Cargo::new(&["fmt", "--all"]).stage("format")
}

/// True when the faster test runner is installed; without it everything still runs.
pub fn nextest_is_there() -> bool {
    Cargo::new(&["nextest", "--version"]).succeeds()
}

fn lints() -> Cargo {
    Cargo::new(&["clippy", "--workspace", "--all-targets", "--locked"])
        .arg("--")
        .arg("-D")
        .arg("warnings")
}

fn doc_tests() -> Cargo {
    Cargo::new(&["test", "--doc", "--workspace", "--locked", "--quiet"])
}

/// Where there are no namespaces, what needs them counts as skipped; without nextest it says so itself.
fn tests(nextest: bool, namespaces: bool) -> Cargo {
    if !nextest {
        return Cargo::new(&["test", "--workspace", "--locked", "--tests"]);
    }
    let all = Cargo::new(&["nextest", "run", "--workspace", "--locked"]);
    if namespaces {
        return all;
    }
    all.arg("--filterset")
        .arg(format!("not ({})", namespaces::FILTER))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn every_stage_refuses_a_stale_lock_file() {
        let tests = [tests(true, true), tests(true, false), tests(false, true)];
        for command in [lints(), doc_tests()].into_iter().chain(tests) {
            assert!(command.to_string().contains(" --locked"), "{command}");
        }
    }

    #[test]
    fn what_needs_namespaces_is_left_out_where_there_are_none() {
        assert!(!tests(true, true).to_string().contains("namespaces"));
        assert!(
            tests(true, false)
                .to_string()
                .contains("binary(namespaces)")
        );
    }

    #[test]
    fn a_warning_fails_the_gate() {
        assert!(lints().to_string().ends_with("-- -D warnings"));
    }
}
