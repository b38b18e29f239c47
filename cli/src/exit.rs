//! How a command ends: its exit code, and the one sentence that says why it failed.

use serde::Serialize;
use std::process::ExitCode;

/// Exit codes, as monitoring plug-ins have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: all is well, or what was asked for was done.
    Ok,
    /// 1: somebody should look; the cluster said no; something differs.
    Warning,
    /// 2: somebody must act.
    Critical,
    /// 3: nothing is known: nobody answered, the outcome is open, or the question made no sense.
    Unknown,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What kind of failure it was: stable words, for programs that read `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The arguments or a file that they name cannot be right. Nothing was asked of the cluster.
    Invalid,
    /// The cluster committed the command and changed nothing.
    Rejected,
    /// A server refused before anything was committed.
    Refused,
    /// The leader decided not to act. Nothing happened.
    Held,
    /// What was named does not exist.
    NotFound,
    /// No server answered, or none leads with a quorum.
    Unreachable,
    /// The deadline passed first. Nothing happened.
    Deadline,
    /// It may have happened, or may yet happen.
    OutcomeUnknown,
    /// A server process could not start or had to stop.
    Server,
    /// An agent could not start or had to stop.
    Agent,
    /// The machine here failed: a file, a process, the terminal.
    Local,
}

impl Why {
    fn exit(self) -> Exit {
        match self {
            Self::Rejected | Self::Refused | Self::Held | Self::NotFound => Exit::Warning,
            Self::Server | Self::Agent => Exit::Critical,
            Self::Invalid
            | Self::Unreachable
            | Self::Deadline
            | Self::OutcomeUnknown
            | Self::Local => Exit::Unknown,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// The kind.
    pub why: Why,
    /// One sentence for people.
    pub sentence: String,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure with the exit code that its kind has.
    pub fn new(why: Why, sentence: impl ToString) -> Self {
        Self {
            why,
            sentence: sentence.to_string(),
            exit: why.exit(),
        }
    }

    /// The arguments or a file that they name cannot be right.
    pub fn invalid(sentence: impl ToString) -> Self {
        Self::new(Why::Invalid, sentence)
    }

    /// What was named does not exist.
    pub fn not_found(sentence: impl ToString) -> Self {
        Self::new(Why::NotFound, sentence)
    }

    /// The machine here failed.
    pub fn local(sentence: impl ToString) -> Self {
        Self::new(Why::Local, sentence)
    }

    /// The same failure with another exit code.
    pub fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let table = [
            (Why::Invalid, 3),
            (Why::Rejected, 1),
            (Why::Refused, 1),
            (Why::Held, 1),
            (Why::NotFound, 1),
            (Why::Unreachable, 3),
            (Why::Deadline, 3),
            (Why::OutcomeUnknown, 3),
            (Why::Server, 2),
            (Why::Agent, 2),
            (Why::Local, 3),
        ];
        for (why, code) in table {
            assert_eq!(Failure::new(why, "x").exit.code(), code, "{why:?}");
        }
    }
}
