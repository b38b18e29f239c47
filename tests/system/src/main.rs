//! The whole system in simulated time: real servers and the real client library, over a network, clocks and disks that a
//! seed determines, under faults that it determines too.
//!
//! Each seed is a process of its own, with the recorder of writes and syncs preloaded, so that nothing is left of one seed
//! when the next begins, and a seed does the same wherever it stands in a list.
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool: its output is what it is for"
)]

mod faults;
mod kernel;
mod library;
mod links;
mod load;
mod network;
mod nodes;
mod place;
mod run;
mod seeds;
mod servers;
mod site;
mod tally;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;

use run::Plan;

/// Real servers in simulated time, under faults.
#[derive(Parser, Clone)]
struct Arguments {
    /// How many seeds are tried.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many seconds of simulated time there are faults.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many run at a time; as many as there are cores when 0.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Shows what happens in each run.
    #[arg(long)]
    trace: bool,
    /// Shows what the servers log, too.
    #[arg(long)]
    log: bool,
    /// Runs each seed twice, and fails when the runs differ in what was sent, or when.
    #[arg(long)]
    twice: bool,
    /// Disks forget what they said was durable, as a check of the checks: must fail.
    #[arg(long)]
    lying_disk: bool,
}

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// The panic of any thread, once there was one.
pub fn panicked() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if place::is_recorded() {
        one(&arguments)
    } else {
        seeds::all(&arguments)
    }
}

/// Runs one seed.
fn one(arguments: &Arguments) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(format!("a panic: {panic}"));
    }));
    if arguments.log {
        let log = tracing_subscriber::fmt().with_ansi(false);
        log.with_writer(std::io::stdout).init();
    }
    tenure_storage::work::simulate();
    let first = tenure_proto::net::simulate(Box::new(network::Simulated));
    assert!(first, "there is one simulated network");
    let plan = Plan {
        seed: arguments.seed,
        length: Duration::from_secs(arguments.seconds),
        lying_disk: arguments.lying_disk,
        told: arguments.trace,
    };
    match simulated(plan) {
        Ok(tally) => {
            println!("{}", tally.line());
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a plan on a thread of its own, which has the simulated clocks.
fn simulated(plan: Plan) -> Result<tally::Tally, String> {
    let thread = std::thread::Builder::new().name("simulation".to_owned());
    let running = thread.spawn(move || run::run(&plan));
    let running = running.map_err(|why| format!("no thread: {why}"))?;
    match running.join() {
        Ok(ended) => ended,
        Err(_) => Err(panicked().unwrap_or_else(|| "a panic".to_owned())),
    }
}
