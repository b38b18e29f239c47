//! `agent`: the agent of one node, until it is told to stop.

use super::daemon::DaemonArgs;
use crate::{
    exit::{Exit, Failure, Why},
    signals,
};
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tenure_agent::{Config, Error, Handle, Launch};

/// How long the roles of a node that stops may take to be handed over.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// How long the agent may take to end, its instances being left as they are.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How an agent is run.
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM or SIGINT stops it as the configuration says: by `on_stop = \"hand-over\"`, the default, what the
node is primary of is handed over first. SIGUSR2 stops it and leaves every instance as it is, so that
another version can take over: start that one within the cluster's agent_grace. A second signal ends it at
once and leaves every instance as it is.
Exit codes: 0 stopped in order, 2 it could not start or go on, 3 the configuration cannot be right.

Example:
  tenure agent --config /etc/tenure/agent.toml")]
pub struct AgentArgs {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) async fn run(args: AgentArgs) -> Result<Exit, Failure> {
    run_with(args, |launch| launch).await
}

/// Runs an agent that is given more along than its configuration says, such as drivers.
///
/// # Errors
/// When the configuration cannot be right, or the agent cannot start or go on.
pub async fn run_with(
    args: AgentArgs,
    bring: impl FnOnce(Launch) -> Launch,
) -> Result<Exit, Failure> {
    args.daemon.take_up()?;
    let config = Config::load(&args.config).map_err(Failure::invalid)?;
    let mut stop = signals::Stop::new(false)?;
    let mut upgrade = signals::Upgrade::new()?;
    let handle = tokio::select! {
        started = bring(Launch::new(config)).start() => started.map_err(failure)?,
        signal = stop.next() => return Ok(before_it_started(signal)),
        signal = upgrade.next() => return Ok(before_it_started(signal)),
    };
    serve(handle, stop, upgrade).await
}

fn before_it_started(signal: &str) -> Exit {
    tracing::info!(signal, "told to stop before it had started");
    Exit::Ok
}

/// What becomes of the node's roles.
enum Ending {
    AsConfigured,
    Untouched,
}

async fn serve(
    mut handle: Handle,
    mut stop: signals::Stop,
    mut upgrade: signals::Upgrade,
) -> Result<Exit, Failure> {
    let ending = tokio::select! {
        ended = handle.ended() => return ended.map(|()| Exit::Ok).map_err(failure),
        signal = stop.next() => {
            tracing::info!(signal, "told to stop");
            Ending::AsConfigured
        }
        signal = upgrade.next() => {
            tracing::info!(signal, "told to stop and to leave every instance as it is");
            Ending::Untouched
        }
    };
    let ended = async {
        match ending {
            Ending::AsConfigured => handle.shut_down(HAND_OVER_WITHIN).await,
            Ending::Untouched => handle.stop().await,
        }
    };
    let bound = HAND_OVER_WITHIN + END_WITHIN;
    tokio::select! {
        ended = tokio::time::timeout(bound, ended) => match ended {
            Ok(ended) => ended.map(|()| Exit::Ok).map_err(failure),
            Err(_late) => Err(at_once(&format!("it did not stop within {} s", bound.as_secs()))),
        },
        signal = stop.next() => Err(at_once(&format!("a second signal came, {signal}"))),
        signal = upgrade.next() => Err(at_once(&format!("a second signal came, {signal}"))),
    }
}

fn at_once(why: &str) -> Failure {
    tracing::warn!(why, "ended at once");
    let sentence = format!("ended at once: {why}; every instance is left as it is");
    Failure::new(Why::Agent, sentence)
}

fn failure(why: Error) -> Failure {
    Failure::new(Why::Agent, why)
}
