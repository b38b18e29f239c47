//! `dev`: a small cluster on this machine, to try things out. The servers are processes of their
//! own, so that they can be killed as real ones are.

mod child;
mod event;
mod folder;
mod frame;
mod ports;
mod run;
mod setup;
mod supervisor;
mod try_next;
mod view;
mod watcher;
mod writer;

use crate::{
    commands::Context,
    exit::{Exit, Failure},
};
use clap::Args;
use std::path::PathBuf;

/// The small cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
An example of eleven nodes in four tiers is loaded, and a writer makes a change every 50 ms, so that
there is something to see. Ctrl-C stops everything and removes the data, unless --data-dir is given.

Example:
  tenure dev")]
pub struct DevArgs {
    /// Keep the data in this folder; a later run with the same folder goes on with it
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// How many servers [default: 3, or as many as the data folder has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=9))]
    servers: Option<u64>,

    /// Listen on any free ports, not on those that the other commands ask by default
    #[arg(long)]
    free_ports: bool,

    /// Print one line per event in place of the live view
    #[arg(long)]
    no_view: bool,
}

/// Runs the cluster until Ctrl-C.
///
/// # Errors
/// When a server cannot be started, with the end of its log. Nothing runs afterwards.
pub async fn run(args: DevArgs, context: &Context) -> Result<Exit, Failure> {
    run::run(args, context).await
}
