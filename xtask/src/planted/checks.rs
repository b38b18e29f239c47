//! The checks of the core, run against one planted bug: which of them find it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::weave::VARIABLE;

/// After which a check that has not ended counts as having found that it hangs.
const PATIENCE: Duration = Duration::from_secs(300);
/// The test that tries random faults; it is told its seeds through the environment.
const FAULTS: &str = "failover::faults::";

/// The programs that hold all checks of the core.
#[derive(Debug)]
pub struct Checks {
    folder: PathBuf,
    unit: PathBuf,
    domain: PathBuf,
    copies: PathBuf,
}

/// What the checks said of one bug.
#[derive(Debug, Default)]
pub struct Found {
    /// How many tests of each kind failed.
    pub by: BTreeMap<&'static str, usize>,
    /// One of them.
    pub example: Option<String>,
    /// Of random faults: how many seeds it took; none when no seed found it.
    pub seeds: Option<u64>,
    /// How many faults of that seed's are enough.
    pub faults: Option<usize>,
    /// How long those seeds took.
    pub took: Duration,
}

impl Found {
    /// Whether anything found it.
    #[must_use]
    pub fn is_found(&self) -> bool {
        !self.by.is_empty() || self.seeds.is_some()
    }
}

impl Checks {
    /// Builds the copy in `folder`, with a target folder of its own.
    ///
    /// # Errors
    /// When it cannot be built: a bug is no program.
    pub fn build(folder: &Path) -> Result<Self, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--no-run", "--offline", "--package", "tenure-core"])
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env_remove("CARGO_MANIFEST_DIR")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!(
                "the core with its planted bugs is not built:\n{said}"
            ));
        }
        let program = |of: &str| {
            executable(&said, of)
                .map(|path| folder.join(path))
                .ok_or_else(|| format!("cargo did not say where the tests of {of} are:\n{said}"))
        };
        Ok(Self {
            folder: folder.to_owned(),
            unit: program("src/lib.rs")?,
            domain: program("tests/main.rs")?,
            copies: program("tests/copies/main.rs")?,
        })
    }

    /// Runs everything against one bug; number 0 is none.
    ///
    /// # Errors
    /// When a check cannot be started.
    pub fn run(&self, number: usize, seeds: u64) -> Result<Found, String> {
        let mut found = Found::default();
        let programs = [
            (&self.unit, Some("unit"), None),
            (&self.domain, None, Some(FAULTS)),
            (&self.copies, Some("copies"), None),
        ];
        for (program, of, skip) in programs {
            let mut command = self.command(program, number);
            if let Some(skip) = skip {
                command.args(["--skip", skip]);
            }
            let (passed, said) = self.said(&mut command)?;
            for name in failed(&said) {
                let kind = of.unwrap_or_else(|| kind(name));
                *found.by.entry(kind).or_default() += 1;
                found.example.get_or_insert_with(|| name.to_owned());
            }
            if !passed && failed(&said).next().is_none() {
                *found.by.entry("ended or hung").or_default() += 1;
            }
        }
        let mut command = self.command(&self.domain, number);
        command
            .arg(FAULTS)
            .arg("--nocapture")
            .env("TENURE_FAULTS_SHRINK", "1")
            .env("TENURE_FAULTS_SEED", "1")
            .env("TENURE_FAULTS_SEEDS", seeds.to_string());
        let began = Instant::now();
        let (passed, said) = self.said(&mut command)?;
        found.took = began.elapsed();
        if !passed {
            found.seeds = Some(seed(&said).unwrap_or(seeds));
            found.faults = faults(&said);
        }
        Ok(found)
    }

    fn command(&self, program: &Path, number: usize) -> Command {
        let mut command = Command::new(program);
        command
            .arg("--test-threads=1")
            .current_dir(self.folder.join("core"))
            .env(VARIABLE, number.to_string());
        command
    }

    /// Runs a program; whether it succeeded in time, and all that it said.
    fn said(&self, command: &mut Command) -> Result<(bool, String), String> {
        let path = self.folder.join("said.txt");
        let unwritable = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = File::create(&path).map_err(unwritable)?;
        let both = file.try_clone().map_err(unwritable)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(both)
            .spawn()
            .map_err(|error| format!("{command:?} cannot be started: {error}"))?;
        let began = Instant::now();
        let passed = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if began.elapsed() < PATIENCE => sleep(Duration::from_millis(10)),
                Ok(None) | Err(_) => {
                    let ended = child.kill().and_then(|()| child.wait());
                    ended.map_err(|error| format!("{command:?} cannot be ended: {error}"))?;
                    break false;
                }
            }
        };
        let said = fs::read(&path).map_err(unwritable)?;
        Ok((passed, String::from_utf8_lossy(&said).into_owned()))
    }
}

/// Where cargo says that the tests of a crate root are.
fn executable(said: &str, of: &str) -> Option<String> {
    let line = said
        .lines()
        .find(|line| line.contains("Executable") && line.contains(of))?;
    let (_, path) = line.rsplit_once('(')?;
    Some(path.trim_end_matches(')').to_owned())
}

/// The names of the tests that failed.
fn failed(said: &str) -> impl Iterator<Item = &str> {
    let name = |line: &'_ str| -> Option<usize> {
        let rest = line.strip_prefix("test ")?;
        rest.ends_with(" ... FAILED")
            .then(|| rest.len() - " ... FAILED".len())
    };
    said.lines()
        .filter_map(move |line| line.get(5..5 + name(line)?))
}

/// What kind of check a test is, by its module.
fn kind(name: &str) -> &'static str {
    let kinds = [
        ("exhaustive::", "exhaustive"),
        ("failover::exhaustive::", "small worlds"),
        ("walk::", "walk"),
        ("failover::scenarios::", "scenarios"),
        ("failover::machines::", "machines"),
        ("failover::transcripts::", "transcripts"),
    ];
    let kind = kinds.iter().find(|(module, _)| name.starts_with(module));
    kind.map_or("tables", |(_, kind)| *kind)
}

/// The seed that random faults failed with.
fn seed(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("\nseed ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// How many faults are left of those of that seed.
fn faults(said: &str) -> Option<usize> {
    let (_, rest) = said.split_once(" --steps ")?;
    Some(rest.split_whitespace().next()?.split(',').count())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_tests_say_is_understood() {
        let said =
            "test a::b ... ok\ntest c::d ... FAILED\n\nseed 17, step 3\n x --steps 2,3 --trace";
        assert_eq!(failed(said).collect::<Vec<_>>(), ["c::d"]);
        assert_eq!((seed(said), faults(said)), (Some(17), Some(2)));
        assert_eq!(kind("failover::scenarios::x"), "scenarios");
        assert_eq!(kind("promotions::x"), "tables");
        let said = "  Executable unittests src/lib.rs (/t/debug/deps/core-1)\n";
        let path = executable(said, "src/lib.rs");
        assert_eq!(path.as_deref(), Some("/t/debug/deps/core-1"));
        assert_eq!(executable(said, "tests/main.rs"), None);
    }
}
