//! `server`: one server of a cluster, until it is told to stop.

use super::daemon::DaemonArgs;
use crate::{
    exit::{Exit, Failure, Why},
    output, signals,
};
use clap::Args;
use std::path::{Path, PathBuf};
use tenure_server::{Config, Running, Server};

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
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// The folder to try.
#[derive(Debug, Args)]
pub struct ProbeImageArgs {
    /// The folder of the state's image
    folder: PathBuf,
}

pub(super) async fn run(args: ServerArgs) -> Result<Exit, Failure> {
    args.daemon.take_up()?;
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

/// Tries the image in a folder; whoever started this reads the exit code.
pub(super) fn probe_image(args: &ProbeImageArgs) -> Result<Exit, Failure> {
    probe(&args.folder).map_err(|why| Failure::new(Why::Server, why))?;
    output::remark("the image is whole");
    Ok(Exit::Ok)
}

fn probe(folder: &Path) -> Result<(), String> {
    tenure_server::probe_image(folder)
}
