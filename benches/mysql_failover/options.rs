//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures how MariaDB fails over under Tenure on this machine: the primary killed, stopped, cut off, and moved in
/// order, and whether anything that was committed is lost.
///
/// Example: cargo xtask bench-mysql --rounds 20 --json mysql-failover.json
#[derive(Clone, Debug, Parser)]
#[command(name = "mysql-failover", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// The tenure program, built in the same profile as this one.
    #[arg(long, value_name = "PATH", default_value_os_t = beside("tenure"))]
    pub tenure: PathBuf,
    /// A temporary folder below it holds all data and is removed at the end.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
    /// How often every fault is inflicted.
    #[arg(long, default_value_t = 20)]
    pub rounds: u32,
    /// Which faults to inflict.
    #[arg(long, value_delimiter = ',', value_name = "FAULT", default_values_t = Fault::ALL)]
    pub only: Vec<Fault>,
    /// Writers, each with one transaction in flight.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub writers: u32,
    /// Pause of a writer after each commit.
    #[arg(long, value_name = "MS", default_value_t = 1)]
    pub pace_ms: u64,
    /// How long an old primary stays stopped or cut off after the new one has committed.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub frozen_ms: u64,
    /// Whether every node gets a network of its own; a cut needs that.
    #[arg(long, value_enum, default_value_t = Wish::Auto)]
    pub namespaces: Wish,
    /// Writes conditions, figures and every sample to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Ends the bench after this many seconds; by default several times what it should need.
    #[arg(long, value_name = "SECONDS")]
    pub limit_s: Option<u64>,
    /// This process has been given a network of its own.
    #[arg(long, hide = true)]
    pub inside: bool,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What this program is besides the bench.
#[derive(Clone, Debug, Subcommand)]
pub enum Role {
    /// A writer that stays with one mariadbd whatever happens, and at SIGTERM tells what was acknowledged.
    #[command(hide = true)]
    Beside {
        /// The mariadbd.
        #[arg(long)]
        address: SocketAddr,
        /// Its name, in every row.
        #[arg(long)]
        name: String,
        /// The file that takes the account.
        #[arg(long)]
        out: PathBuf,
    },
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// An operator moves the primary.
    Switchover,
    /// SIGKILL of the primary's mariadbd, which is started again once another serves.
    Kill,
    /// SIGSTOP of the primary's mariadbd and its agent, SIGCONT once another serves.
    Stop,
    /// The primary's node is cut off from all others, and comes back once another serves.
    Cut,
}

impl Fault {
    /// All of them, the gentle one first.
    pub const ALL: [Self; 4] = [Self::Switchover, Self::Kill, Self::Stop, Self::Cut];

    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Switchover => "switchover",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Cut => "cut",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether something optional is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wish {
    /// When a cut is asked for and the machine permits it.
    Auto,
    Never,
}

impl Options {
    pub fn inflicts(&self, fault: Fault) -> bool {
        self.only.contains(&fault)
    }

    pub fn frozen(&self) -> Duration {
        Duration::from_millis(self.frozen_ms)
    }

    /// The time after which something must be stuck.
    pub fn limit(&self) -> Duration {
        const START_S: u64 = 120;
        const FAULT_S: u64 = 150;
        if let Some(limit) = self.limit_s {
            return Duration::from_secs(limit);
        }
        let faults = u64::try_from(self.only.len()).unwrap_or(u64::MAX);
        let round = START_S.saturating_add(FAULT_S.saturating_mul(faults));
        Duration::from_secs(round.saturating_mul(self.rounds.into()))
    }
}

/// A program in the folder that this one was started from.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }

    #[test]
    fn by_default_there_are_more_than_fifty_faults() {
        let options = Options::try_parse_from(["mysql-failover"]).expect("no argument needed");
        assert!(Fault::ALL.into_iter().all(|fault| options.inflicts(fault)));
        let faults = options.only.len() * usize::try_from(options.rounds).expect("small");
        assert!(faults >= 50, "{faults}");
        assert!(options.limit() > Duration::from_secs(3_600));
    }
}
