//! What the processes that keep running have in common: what they log, and whom they end with.

use crate::exit::{Exit, Failure};
use clap::{Args, ValueEnum};
use std::io::Read;
use tracing::level_filters::LevelFilter;

/// How such a process is run.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// How much to log, on stderr
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log: LogLevel,
    /// End at once when stdin is closed: a parent that dies, however, takes it along
    #[arg(long, hide = true)]
    die_with_parent: bool,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

impl DaemonArgs {
    /// Takes this up for the process as a whole; to be called once, before anything else is done.
    pub(super) fn take_up(&self) -> Result<(), Failure> {
        if self.die_with_parent {
            die_with_parent()?;
        }
        log_to_stderr(self.log);
        Ok(())
    }
}

fn log_to_stderr(level: LogLevel) {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
}

/// Ends this process as soon as stdin is closed, which the system does for a parent that was killed.
fn die_with_parent() -> Result<(), Failure> {
    let watch = || {
        let mut byte = [0];
        // Whatever the reason: without stdin there is no parent to live for.
        while matches!(std::io::stdin().lock().read(&mut byte), Ok(1)) {}
        std::process::exit(Exit::Ok.code().into());
    };
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(watch)
        .map(drop)
        .map_err(|why| Failure::local(format!("no thread can be started: {why}")))
}
