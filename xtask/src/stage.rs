//! One stage of a check: a command that is shown, timed, and can be repeated by hand.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why a stage did not pass, and how to run just that again.
#[derive(Debug)]
pub struct Failure {
    /// What failed, as a sentence; may have several lines.
    pub what: String,
    /// The command that repeats it, to be pasted; empty when repeating makes no sense.
    pub repeat: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FAILED: {}", self.what)?;
        if self.repeat.is_empty() {
            return Ok(());
        }
        write!(f, "\nto repeat: {}", self.repeat)
    }
}

/// The root folder of the repository.
pub fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let folder = PathBuf::from(manifest);
    folder.parent().map(Path::to_path_buf).unwrap_or(folder)
}

/// A cargo command line: its arguments, and the variables set for it.
#[derive(Debug, Clone, Default)]
pub struct Cargo {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Cargo {
    /// `cargo` with these arguments.
    pub fn new(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            variables: Vec::new(),
        }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it in the root of the repository with this terminal for its output, and prints
    /// `name` before it.
    ///
    /// # Errors
    /// When cargo cannot be started or ends with anything but success.
    pub fn stage(&self, name: &str) -> Result<(), Failure> {
        println!("==> {name}: {self}");
        let status = self.command().status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failure(format!("{name} ({status})"))),
            Err(error) => Err(self.failure(format!("{name}: cargo cannot be started: {error}"))),
        }
    }

    /// Runs it, prints `name` before it, and gives back what it told of itself.
    ///
    /// # Errors
    /// As for [`Cargo::stage`]; what it told is in the sentence.
    pub fn said(&self, name: &str) -> Result<String, Failure> {
        println!("==> {name}: {self}");
        let output = self.command().output();
        let output = output
            .map_err(|error| self.failure(format!("{name}: cargo cannot be started: {error}")))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(self.failure(format!("{name} ({}):\n{said}", output.status)))
    }

    /// Runs it in silence; true when it could be started and succeeded.
    pub fn succeeds(&self) -> bool {
        self.command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn failure(&self, what: String) -> Failure {
        Failure {
            what,
            repeat: self.to_string(),
        }
    }

    fn command(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(&self.arguments)
            .current_dir(root())
            .stdin(Stdio::null());
        // What cargo told us about this package is not true of the packages that it builds now.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_about_this_package) {
                command.env_remove(&name);
            }
        }
        command.envs(self.variables.iter().map(|(n, v)| (n, v)));
        command
    }
}

impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        write!(f, "cargo")?;
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// Runs a check that lives in this program, as a stage with its duration.
///
/// # Errors
/// Those of the check.
pub fn timed(name: &str, check: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let start = Instant::now();
    let result = check();
    let seconds = start.elapsed().as_secs_f64();
    let word = if result.is_ok() { "passed" } else { "failed" };
    println!("<== {name} {word} in {seconds:.1} s\n");
    result
}

fn is_about_this_package(name: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_pasted() {
        let command = Cargo::new(&["test", "-E", "test(a b)"]).env("SEED", "it's");
        assert_eq!(
            command.to_string(),
            r"SEED='it'\''s' cargo test -E 'test(a b)'"
        );
    }

    #[test]
    fn a_failure_says_what_and_how_to_repeat_it() {
        let failure = Failure {
            what: "lints".to_owned(),
            repeat: "cargo clippy".to_owned(),
        };
        assert_eq!(
            failure.to_string(),
            "FAILED: lints\nto repeat: cargo clippy"
        );
    }
}
