//! The built-in service: one primary, replicas that pull from it, all in memory. It stands in for
//! `redis-server` where there is none, and really fails over; nobody should keep anything in it.
//!
//! Commands are lines of words, answers are as Redis gives them: `SET KEY VALUE`, `GET KEY`, and
//! `WAIT REPLICAS MILLISECONDS` for clients; `PULL` for replicas; the rest is the agent's.

mod driver;
mod serve;
mod state;

use crate::{
    args, commands,
    exit::{Exit, Failure},
};
use clap::Args;
use driver::BuiltIn;
use std::{net::SocketAddr, path::PathBuf};
use tenure_core::Endpoint;

/// One instance.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Where it is reached
    #[arg(long)]
    listen: SocketAddr,
}

/// The agent of a node with an instance.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    agent: commands::AgentArgs,
    /// Where the instance is reached
    #[arg(long, value_parser = args::endpoint)]
    store: Endpoint,
    /// The folder of the node
    #[arg(long)]
    folder: PathBuf,
}

/// Is an instance until its process is ended.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(args: StoreArgs) -> Result<Exit, Failure> {
    serve::run(args.listen).await
}

/// Is the agent of a node until it is stopped.
///
/// # Errors
/// As an agent's.
pub async fn agent(args: NodeArgs) -> Result<Exit, Failure> {
    let driver = BuiltIn::new(args.store, args.folder);
    let brought = |launch: tenure_agent::Launch| {
        launch.with_driver(super::Kind::BuiltIn.service(), Box::new(driver))
    };
    commands::run_agent(args.agent, brought).await
}
