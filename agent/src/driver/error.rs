//! Why a driver could not do what it was told, and why its settings were refused.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tenure_core::Millis;

/// Why an action failed.
///
/// Every action may be repeated without harm, so a retry is always safe; [`DriverError::retry_helps`]
/// says whether it can also help before a person has done something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The instance cannot be reached.
    #[error("{endpoint} cannot be reached: {why}")]
    Unreachable {
        /// Where it was sought.
        endpoint: String,
        /// What the system or the instance said.
        why: String,
    },
    /// No answer came in time. It may have been done.
    #[error("{what} was not answered within {within}; it may have been done")]
    TimedOut {
        /// What was asked, and of whom.
        what: String,
        /// For how long it was waited.
        within: Millis,
    },
    /// The instance answered, and did not do it.
    #[error("{what} was refused: {answer}")]
    Refused {
        /// What was asked.
        what: String,
        /// The instance's answer.
        answer: String,
    },
    /// It answered with something that this build cannot read.
    #[error("the answer to {what} cannot be read: {why}")]
    Unreadable {
        /// What was asked.
        what: String,
        /// What was expected, and what came.
        why: String,
    },
    /// It was begun, is under way, and takes longer than one call may. Repeating the action looks again.
    #[error("under way: {what}")]
    UnderWay {
        /// What, and how far it has got.
        what: String,
    },
    /// Something on this machine failed: a file, a program.
    #[error("{what}: {why}")]
    Local {
        /// What was tried.
        what: String,
        /// What the system said.
        why: String,
    },
    /// Not done, because a person has to decide first.
    #[error("held: {0}")]
    Held(String),
    /// This kind of driver does no such thing.
    #[error("a {driver} instance {why}")]
    Unsupported {
        /// The driver's kind.
        driver: &'static str,
        /// What is not done, as the rest of the sentence.
        why: &'static str,
    },
}

impl DriverError {
    /// Whether the same action can succeed later although nobody has done anything about it.
    #[must_use]
    pub fn retry_helps(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Refused { .. }
            | Self::UnderWay { .. }
            | Self::Local { .. } => true,
            Self::Unreadable { .. } | Self::Held(_) | Self::Unsupported { .. } => false,
        }
    }

    pub(crate) fn timed_out(what: impl Into<String>, within: Duration) -> Self {
        Self::TimedOut {
            what: what.into(),
            within: millis(within),
        }
    }

    pub(crate) fn file(what: &str, path: &Path, why: impl fmt::Display) -> Self {
        Self::Local {
            what: format!("{what} {}", path.display()),
            why: why.to_string(),
        }
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Why the settings of an instance's driver were refused: a sentence that names key, value, and what
/// would be right. A retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);
