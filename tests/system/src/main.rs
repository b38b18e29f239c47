//! The whole system in simulated time: real servers and the real client library, over a network, clocks and disks that a
//! seed determines, under faults that it determines too.
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
mod place;
mod run;
mod servers;
mod tally;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;

use run::Plan;
use tally::Tally;

/// Real servers in simulated time, under faults.
#[derive(Parser)]
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
    /// Shows what happens in each run.
    #[arg(long)]
    trace: bool,
    /// Shows what the servers log, too.
    #[arg(long)]
    log: bool,
    /// Runs each seed twice and says whether both runs were the same.
    #[arg(long)]
    twice: bool,
}

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// The panic of any thread, once there was one.
pub fn panicked() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match place::recorded() {
        Ok(None) => {}
        Ok(Some(status)) => {
            return if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        Err(why) => {
            println!("the recorder of writes and syncs cannot be preloaded: {why}");
            return ExitCode::FAILURE;
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(format!("a panic: {panic}"));
    }));
    if arguments.log {
        tracing_subscriber::fmt()
            .with_writer(std::io::stdout)
            .init();
    }
    let first = tenure_proto::net::simulate(Box::new(network::Simulated));
    assert!(first, "there is one simulated network");
    all(&arguments)
}

fn all(arguments: &Arguments) -> ExitCode {
    let mut sum = Tally::default();
    let began = Instant::now();
    let mut same = 0;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let plan = Plan {
            seed,
            length: Duration::from_secs(arguments.seconds),
            told: arguments.trace,
        };
        let ended = one(&plan);
        if arguments.twice {
            let again = one(&plan);
            let traces =
                [&ended, &again].map(|ended| ended.as_ref().map_or(0, |tally| tally.trace));
            same += u64::from(traces[0] == traces[1]);
        }
        match ended {
            Ok(tally) => {
                println!("seed {seed}: {tally}");
                sum.add(&tally);
            }
            Err(why) => {
                println!("seed {seed} FAILED: {why}");
                println!(
                    "to repeat: cargo xtask simulate --system --seed {seed} --seconds {} --trace",
                    arguments.seconds
                );
                return ExitCode::FAILURE;
            }
        }
    }
    let real = began.elapsed().as_secs_f64();
    println!("{} seeds in {real:.1} s: {sum}", arguments.seeds);
    if arguments.twice {
        println!(
            "{same} of {} seeds sent the same at the same times when run again",
            arguments.seeds
        );
    }
    let never = sum.never();
    if arguments.seeds >= 5 && !never.is_empty() {
        println!("FAILED: {}", never.join(", "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a plan on a thread of its own: what a thread keeps to itself begins anew.
fn one(plan: &Plan) -> Result<Tally, String> {
    let plan = plan.clone();
    let thread = std::thread::Builder::new().name("simulation".to_owned());
    let running = thread.spawn(move || run::run(&plan));
    let running = running.map_err(|why| format!("no thread: {why}"))?;
    match running.join() {
        Ok(ended) => ended,
        Err(_) => Err(panicked().unwrap_or_else(|| "a panic".to_owned())),
    }
}
