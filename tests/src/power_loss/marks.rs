//! What a traced program says about itself, in the order of its writes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::trace::{Kind, Record};

/// A statement of the traced program about its steps, which it numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is about to ask for this step.
    Begun(u64),
    /// Every step up to this one was acknowledged to it.
    Acknowledged(u64),
}

/// Where a traced program makes its statements.
#[derive(Debug)]
pub struct Marks(File);

impl Marks {
    /// Opens the file that the recorder takes for marks.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map(Self)
    }

    /// Says `mark`; returns when it is in the trace.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn say(&mut self, mark: Mark) -> io::Result<()> {
        let line = match mark {
            Mark::Begun(step) => format!("begun {step}\n"),
            Mark::Acknowledged(step) => format!("acknowledged {step}\n"),
        };
        // One call, so that one record holds it.
        match self.0.write(line.as_bytes())? {
            written if written == line.len() => Ok(()),
            written => Err(io::Error::other(format!(
                "only {written} bytes of the mark {line:?} were written"
            ))),
        }
    }
}

/// How far the program was at some point of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last step that it asked for.
    pub begun: u64,
    /// The last step that was acknowledged to it.
    pub acknowledged: u64,
}

impl Progress {
    /// Takes note of the next event of the trace.
    ///
    /// # Errors
    /// When it is a mark that [`Marks::say`] does not make.
    pub fn apply(&mut self, record: &Record) -> io::Result<()> {
        if record.kind != Kind::Mark {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&record.bytes);
        let (word, step) = line.trim_end().split_once(' ').unwrap_or_default();
        match (word, step.parse()) {
            ("begun", Ok(step)) => self.begun = step,
            ("acknowledged", Ok(step)) => self.acknowledged = step,
            _ => return Err(io::Error::other(format!("{line:?} is no mark"))),
        }
        Ok(())
    }
}
