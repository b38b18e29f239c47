//! `dev`: a small cluster on this machine, to try things out. Servers, agents and the instances of one
//! service are processes of their own, so that they can be killed as real ones are.

mod child;
mod event;
mod folder;
mod frame;
mod ports;
mod primaries;
mod ready;
mod run;
mod setup;
mod store;
mod supervisor;
mod try_next;
mod view;
mod watcher;
mod writer;

use crate::{
    commands::Context,
    exit::{Exit, Failure},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use store::Wanted;

/// The small cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
An example of eleven nodes in four tiers is loaded. One of its services, redis-server, is real: a primary
and two replicas under agents, with a writer that waits for each of its writes to be replicated, so that
there is something to lose. Where redis-server is not installed a small service in memory stands in for it.
With --mysql it is mysql-server that is real: three servers of MariaDB, and a writer that counts its commits.
Ctrl-C stops everything and removes the data, unless --data-dir is given.

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

    /// The redis-server to run [default: the one on PATH, if there is one]
    #[arg(long, value_name = "PATH", conflicts_with = "no_redis")]
    redis: Option<PathBuf>,

    /// Do without redis-server although it is installed
    #[arg(long)]
    no_redis: bool,

    /// Have MariaDB in place of redis-server: the example's mysql-server is real then
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with_all = ["redis", "no_redis"]
    )]
    mysql: Option<Option<PathBuf>>,

    /// Print one line per event in place of the live view; without a terminal that is so anyway
    #[arg(long)]
    no_view: bool,
}

impl DevArgs {
    fn wanted(&self) -> Wanted {
        if let Some(named) = &self.mysql {
            return Wanted::Mysql(named.clone());
        }
        match (&self.redis, self.no_redis) {
            (Some(path), _) => Wanted::Redis(path.clone()),
            (None, true) => Wanted::BuiltIn,
            (None, false) => Wanted::Whatever,
        }
    }
}

/// What `dev` has others start for it.
#[derive(Debug, Subcommand)]
pub enum DevPart {
    /// Become a child of dev, and the program that is named
    Exec(store::ExecArgs),
    /// Be an instance of the built-in service
    Store(store::builtin::StoreArgs),
    /// Be the agent of a node with an instance of the built-in service
    Agent(store::builtin::NodeArgs),
}

/// Runs a part of the cluster until it is stopped.
///
/// # Errors
/// When it cannot begin, or go on.
pub async fn part(part: DevPart) -> Result<Exit, Failure> {
    match part {
        DevPart::Exec(args) => store::exec(&args),
        DevPart::Store(args) => store::builtin::serve(args).await,
        DevPart::Agent(args) => store::builtin::agent(args).await,
    }
}

/// Runs the cluster until Ctrl-C.
///
/// # Errors
/// When a server cannot be started, with the end of its log. Nothing runs afterwards.
pub async fn run(args: DevArgs, context: &Context) -> Result<Exit, Failure> {
    run::run(args, context).await
}
