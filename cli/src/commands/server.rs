//! `server`: one server of a cluster, until it is told to stop.

use crate::{
    exit::{Exit, Failure, Why},
    output, signals,
};
use clap::{Args, ValueEnum};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use tenure_server::{Config, Running, Server};
use tracing::level_filters::LevelFilter;

/// How a server is run.
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM or SIGINT stops it in order: leadership is handed over first. A second one ends it at once.
Exit codes: 0 stopped in order, 2 it could not start or go on, 3 the configuration cannot be right.

Example:
  tenure server --config /etc/tenure/server.toml")]
pub struct ServerArgs {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How much to log, on stderr
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log: LogLevel,
    /// End at once when stdin is closed: a parent that dies, however, takes it along
    #[arg(long, hide = true)]
    die_with_parent: bool,
}

/// The folder to try.
#[derive(Debug, Args)]
pub struct ProbeImageArgs {
    /// The folder of the state's image
    folder: PathBuf,
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

pub(super) async fn run(args: ServerArgs) -> Result<Exit, Failure> {
    if args.die_with_parent {
        die_with_parent()?;
    }
    log_to_stderr(args.log);
    let config = Config::load(&args.config).map_err(Failure::invalid)?;
    let config = match std::env::current_exe() {
        Ok(program) => config.with_probe(program),
        Err(why) => {
            tracing::warn!(%why, "the image is not tried in a process of its own: this program's path is unknown");
            config
        }
    };
    let mut stop = signals::Stop::new(false)?;
    let running = tokio::select! {
        started = Server::start(config) => started.map_err(|why| Failure::new(Why::Server, why))?,
        signal = stop.next() => {
            tracing::info!(signal, "told to stop before it had started");
            return Ok(Exit::Ok);
        }
    };
    serve(running, stop).await
}

async fn serve(running: Running, mut stop: signals::Stop) -> Result<Exit, Failure> {
    tokio::select! {
        ended = running.wait() => ended.map_err(|why| Failure::new(Why::Server, why))?,
        signal = stop.next() => tracing::info!(signal, "told to stop"),
    }
    tokio::select! {
        () = running.shutdown() => Ok(Exit::Ok),
        signal = stop.next() => {
            tracing::warn!(signal, "told to stop again: ended at once");
            Err(Failure::new(Why::Server, "ended at once, at the second signal; nothing acknowledged is lost"))
        }
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

/// Tries the image in a folder; whoever started this reads the exit code.
pub(super) fn probe_image(args: &ProbeImageArgs) -> Result<Exit, Failure> {
    probe(&args.folder).map_err(|why| Failure::new(Why::Server, why))?;
    output::remark("the image is whole");
    Ok(Exit::Ok)
}

fn probe(folder: &Path) -> Result<(), String> {
    tenure_server::probe_image(folder)
}
