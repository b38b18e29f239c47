//! Which lines and branches of the core its tests reach, by file, and which they do not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::stage::{Cargo, Failure, root, timed};
use crate::tools::{self, LLVM, Need};

/// Below the root; nothing else is built there, since everything in it is built to be counted.
const TARGET: &str = "target/coverage";

/// Lines and branches of the core that its tests reach.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Fails when fewer percent of the lines are reached.
    #[arg(long, default_value_t = 95)]
    least: u32,
    /// Names the lines that are not reached, file by file.
    #[arg(long)]
    lines: bool,
}

/// What is known of one file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Counted {
    file: String,
    lines: usize,
    missed: Vec<usize>,
    branches: usize,
    untaken: Vec<usize>,
}

impl Coverage {
    /// Builds the tests of the core so that they count, runs them all, and prints the table.
    ///
    /// # Errors
    /// When the tools of LLVM are missing or of another version than the compiler's, when a test fails, and when fewer
    /// lines are reached than asked for.
    pub fn run(&self) -> Result<(), Failure> {
        tools::ensure(Need::Coverage)?;
        is_of_the_compiler()?;
        let folder = tempfile::tempdir().map_err(|error| failure(error.to_string()))?;
        let raw = folder.path().join("%m-%p.profraw").display().to_string();
        // What runs while it is built counts too, and would leave its figures in the root.
        let counting = test().env("LLVM_PROFILE_FILE", raw);
        let programs = programs(&counting.clone().arg("--no-run").said("build")?);
        let run = counting;
        timed("tests", || run.stage("tests"))?;
        let files = counted(&lcov(folder.path(), &programs)?);
        self.print(&files);
        let (lines, missed) = sum(&files, |it| (it.lines, it.missed.len()));
        let reached = lines.saturating_sub(missed) * 100;
        if lines == 0 || reached < self.least as usize * lines {
            return Err(failure(format!(
                "{missed} of {lines} lines are not reached, which is less than {} percent of them",
                self.least
            )));
        }
        Ok(())
    }

    fn print(&self, files: &[Counted]) {
        println!(
            "{:34} {:>6} {:>8} {:>9} {:>8}",
            "file", "lines", "reached", "branches", "taken"
        );
        let row = |name: &str, (lines, missed): (usize, usize), (branches, untaken)| {
            let (reached, taken) = (percent(lines, missed), percent(branches, untaken));
            println!("{name:34} {lines:>6} {reached:>8} {branches:>9} {taken:>8}");
        };
        for it in files {
            let lines = (it.lines, it.missed.len());
            row(&it.file, lines, (it.branches, it.untaken.len()));
            if self.lines && !it.missed.is_empty() {
                println!("    lines not reached: {}", ranges(&it.missed));
            }
            if self.lines && !it.untaken.is_empty() {
                println!("    branches not taken in: {}", ranges(&it.untaken));
            }
        }
        let lines = sum(files, |it| (it.lines, it.missed.len()));
        let branches = sum(files, |it| (it.branches, it.untaken.len()));
        row("all", lines, branches);
    }
}

fn failure(what: impl Into<String>) -> Failure {
    Failure {
        what: what.into(),
        repeat: "cargo xtask coverage".to_owned(),
    }
}

/// The tests of the core, built to count what they reach. Counting branches is an option that the compiler calls
/// unstable, so it is allowed for this build alone.
fn test() -> Cargo {
    Cargo::new(&["test", "--locked", "--package", "tenure-core"])
        .arg("--target-dir")
        .arg(TARGET)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-C instrument-coverage -Z coverage-options=branch",
        )
}

/// Profiles are read by the LLVM that wrote them.
fn is_of_the_compiler() -> Result<(), Failure> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|error| failure(format!("rustc cannot be started: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    match version {
        Some(version) if version.split('.').next() == Some(LLVM) => Ok(()),
        other => Err(failure(format!(
            "the compiler has LLVM {}, and the tools that are used here are of LLVM {LLVM}: name the right ones in \
             xtask/src/tools.rs",
            other.unwrap_or("of no version")
        ))),
    }
}

/// The programs that cargo says it built.
fn programs(said: &str) -> Vec<PathBuf> {
    let built = said.lines().filter(|line| line.contains("Executable"));
    let paths = built.filter_map(|line| line.rsplit_once('(')?.1.strip_suffix(')'));
    paths.map(|path| root().join(path)).collect()
}

/// What the programs counted, in the format of lcov.
fn lcov(folder: &Path, programs: &[PathBuf]) -> Result<String, Failure> {
    let written = std::fs::read_dir(folder).map_err(|error| failure(error.to_string()))?;
    let raw: Vec<PathBuf> = written.flatten().map(|entry| entry.path()).collect();
    let merged = folder.join("all.profdata");
    let mut merge = Command::new(format!("llvm-profdata-{LLVM}"));
    merge
        .args(["merge", "-sparse", "-o"])
        .arg(&merged)
        .args(&raw);
    told(&mut merge)?;
    let mut export = Command::new(format!("llvm-cov-{LLVM}"));
    export.args(["export", "-format=lcov", "-instr-profile"]);
    export.arg(&merged);
    for program in programs {
        export.arg("-object").arg(program);
    }
    told(&mut export)
}

fn told(command: &mut Command) -> Result<String, Failure> {
    let output = command.current_dir(root()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failure(format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failure(format!("{command:?}: {said}")))
}

/// The sources of the core, by what lcov says of them.
fn counted(lcov: &str) -> Vec<Counted> {
    let mut files = Vec::new();
    let mut at = Counted::default();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
    for line in lcov.lines() {
        let (what, rest) = line.split_once(':').unwrap_or((line, ""));
        let mut fields = rest.split(',');
        match what {
            "SF" => rest.clone_into(&mut at.file),
            "DA" => {
                let (line, times) = (number(fields.next()), number(fields.next()));
                at.lines += 1;
                at.missed.extend(line.filter(|_| times == Some(0)));
            }
            "BRDA" => {
                let line = number(fields.next());
                at.branches += 1;
                let taken = number(fields.nth(2)).is_some_and(|times| times > 0);
                at.untaken.extend(line.filter(|_| !taken));
            }
            "end_of_record" => files.push(std::mem::take(&mut at)),
            _ => {}
        }
    }
    let ours = |mut it: Counted| {
        let (_, file) = it.file.split_once("/core/src/")?;
        it.file = file.to_owned();
        let tests = it.file.contains("/tests/") || it.file.ends_with("tests.rs");
        (!tests).then_some(it)
    };
    let mut files: Vec<Counted> = files.into_iter().filter_map(ours).collect();
    files.sort_by(|a, b| a.file.cmp(&b.file));
    files
}

fn sum(files: &[Counted], of: impl Fn(&Counted) -> (usize, usize)) -> (usize, usize) {
    let add = |(a, b): (usize, usize), (c, d)| (a + c, b + d);
    files.iter().map(of).fold((0, 0), add)
}

/// With one decimal, cut off.
fn percent(all: usize, missed: usize) -> String {
    if all == 0 {
        return "-".to_owned();
    }
    let permille = all.saturating_sub(missed) * 1_000 / all;
    format!("{}.{} %", permille / 10, permille % 10)
}

/// `3-5, 9`.
fn ranges(lines: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *line <= *last + 1 => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_lcov_says_is_counted_for_the_sources_of_the_core() {
        let said = "SF:/x/core/src/a.rs\nFN:1,f\nDA:1,3\nDA:2,0\nDA:3,0\nBRDA:1,0,0,3\nBRDA:1,0,1,-\nLF:3\n\
                    end_of_record\nSF:/x/core/tests/b.rs\nDA:1,0\nend_of_record\n\
                    SF:/x/core/src/p/tests/mod.rs\nDA:1,0\nend_of_record\n";
        let files = counted(said);
        let expected = Counted {
            file: "a.rs".to_owned(),
            lines: 3,
            missed: vec![2, 3],
            branches: 2,
            untaken: vec![1],
        };
        assert_eq!(files, [expected]);
        assert_eq!(sum(&files, |it| (it.lines, it.missed.len())), (3, 2));
    }

    #[test]
    fn lines_are_named_in_short() {
        assert_eq!(ranges(&[3, 4, 5, 9, 9, 11]), "3-5, 9, 11");
        assert_eq!(percent(3, 2), "33.3 %");
        assert_eq!(percent(0, 0), "-");
    }

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let said = "  Executable unittests src/lib.rs (target/coverage/debug/deps/core-1)\n  Finished x (y)\n";
        assert_eq!(
            programs(said),
            [root().join("target/coverage/debug/deps/core-1")]
        );
    }
}
