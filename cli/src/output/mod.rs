//! What is printed: tables for people, JSON for programs. Nothing else in this crate writes to the
//! terminal, so that nothing from the cluster reaches it unescaped.

pub mod amount;
mod bar;
mod escape;
mod screen;
pub mod shape;
mod table;

pub use bar::Bar;
pub use escape::escape;
pub use screen::{Line, Look, Screen};
pub use table::Grid;

use crate::exit::{Exit, Failure, Why};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Out {
    /// JSON instead of tables.
    pub json: bool,
    /// Columns of the terminal; None when nobody's terminal is written to.
    pub width: Option<u16>,
}

/// An error as `--json` prints it, on stderr.
#[derive(Serialize)]
struct ErrorShape<'a> {
    error: Why,
    message: &'a str,
    exit: u8,
}

impl Out {
    /// Prints to this process's stdout.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            width: terminal_width(),
        }
    }

    /// Prints one answer: `shape` as JSON, or `text` for people.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn show<T: Serialize>(
        self,
        shape: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json {
            escape::json(&serde_json::to_string_pretty(shape).map_err(Failure::local)?)
        } else {
            text()
        };
        write_line(text.trim_end_matches('\n'))
    }

    /// Prints one line of many: `shape` as one line of JSON, or `text` for people.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn line<T: Serialize>(
        self,
        shape: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json {
            escape::json(&serde_json::to_string(shape).map_err(Failure::local)?)
        } else {
            text()
        };
        write_line(&text)
    }

    /// A table as wide as the terminal allows.
    pub fn grid(self, header: &[&str]) -> Grid {
        Grid::new(header, self.width)
    }

    /// Prints why a command failed, on stderr.
    pub fn failure(self, failure: &Failure) {
        let Failure {
            why,
            sentence,
            exit,
        } = failure;
        let text = if self.json {
            let shape = ErrorShape {
                error: *why,
                message: sentence,
                exit: exit.code(),
            };
            serde_json::to_string(&shape)
                .map_or_else(|_| sentence.clone(), |text| escape::json(&text))
        } else {
            format!("error: {}", escape::lines(sentence))
        };
        // Where stderr cannot be written to, the exit code must do.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Prints one line to stderr that is no answer, such as what is being waited for.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape(text));
}

/// Prints text as it is, such as a completion script.
///
/// # Errors
/// When stdout cannot be written to.
pub fn raw(text: &str) -> Result<(), Failure> {
    write_line(text.trim_end_matches('\n'))
}

fn write_line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // The reader has seen enough, as `head` has: no reason to complain.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::local("nobody reads the output any more").with_exit(Exit::Ok))
        }
        Err(why) => Err(Failure::local(format!(
            "stdout cannot be written to: {why}"
        ))),
    }
}

fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
