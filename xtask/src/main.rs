//! `cargo xtask`: the gate, and the checks that take too long for it.
#![allow(
    clippy::print_stderr,
    reason = "a command-line tool: its output is what it is for"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::stage::Failure;
use xtask::{coverage, fuzz, gate, hygiene, long, planted, policy, simulate, system};

/// The gate of Tenure, and the checks that take too long for it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// The gate: format, hygiene, lints, doc tests, tests. What must pass before a commit.
    Test,
    /// Formats every crate.
    Fix,
    /// Left-over markers, files that are too long, unwrap() outside tests.
    Hygiene,
    /// Servers killed, frozen and restarted under load, for as many rounds as asked.
    Chaos(long::Chaos),
    /// Every cut of the power at every write boundary of the storage.
    PowerLoss(long::PowerLoss),
    /// Real processes in network namespaces, cut off, killed and stalled, in the long form.
    Trials(long::Trials),
    /// The example store: nodes lost, drained, removed and joined under load, in the long form.
    Copies(long::Copies),
    /// Tenure beside etcd; every argument is passed on to the bench.
    Bench(long::Bench),
    /// Redis under Tenure beside Redis under Sentinel; every argument is passed on to the bench.
    BenchFailover(long::BenchFailover),
    /// MariaDB under Tenure, failed over; every argument is passed on to the bench.
    BenchMysql(long::BenchMysql),
    /// Random faults in the model world: more seeds than the gate tries, or one of them again.
    Simulate(simulate::Simulate),
    /// Which lines and branches of the core its tests reach, by file.
    Coverage(coverage::Coverage),
    /// Garbled bytes for every decoder that reads from a disk, a network or a person, for as long as asked.
    Fuzz(fuzz::Fuzz),
    /// Servers, clients and agents in simulated time: more seeds than the gate tries, or one of them again.
    SimulateSystem(system::SimulateSystem),
    /// Safety bugs put into a copy of the core: which check finds each, after how many seeds.
    Planted(planted::Planted),
    /// The dependency policy in full, with cargo-deny.
    Deps,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), Failure> {
    match chore {
        Chore::Test => gate::test(),
        Chore::Fix => gate::fix(),
        Chore::Hygiene => hygiene::check(&xtask::stage::root()),
        Chore::Chaos(chaos) => chaos.run(),
        Chore::PowerLoss(power_loss) => power_loss.run(),
        Chore::Trials(trials) => trials.run(),
        Chore::Copies(copies) => copies.run(),
        Chore::Bench(bench) => bench.run(),
        Chore::BenchFailover(bench) => bench.run(),
        Chore::BenchMysql(bench) => bench.run(),
        Chore::Simulate(simulate) => simulate.run(),
        Chore::Coverage(coverage) => coverage.run(),
        Chore::Fuzz(fuzz) => fuzz.run(),
        Chore::SimulateSystem(simulate) => simulate.run(),
        Chore::Planted(planted) => planted.run(),
        Chore::Deps => policy::check(),
    }
}
