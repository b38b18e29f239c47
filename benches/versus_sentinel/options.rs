//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures how Redis fails over under Tenure and under Redis Sentinel, in turns within one run, on this machine.
///
/// Example: cargo run --release -p tenure-benches --bin versus-sentinel -- --rounds 30 --json versus-sentinel.json
#[derive(Clone, Debug, Parser)]
#[command(name = "versus-sentinel", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// The redis-server program: a name looked up in PATH, or a path.
    #[arg(long, value_name = "PATH", default_value = "redis-server")]
    pub redis_server: PathBuf,
    /// The redis-sentinel program.
    #[arg(long, value_name = "PATH", default_value = "redis-sentinel")]
    pub redis_sentinel: PathBuf,
    /// The tenure program, built in the same profile as this one.
    #[arg(long, value_name = "PATH", default_value_os_t = beside("tenure"))]
    pub tenure: PathBuf,
    /// A temporary folder below it holds all data and is removed at the end.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
    /// How often every system suffers every fault.
    #[arg(long, default_value_t = 30)]
    pub rounds: u32,
    /// Which faults to inflict.
    #[arg(long, value_delimiter = ',', value_name = "FAULT", default_values_t = Fault::ALL)]
    pub only: Vec<Fault>,
    /// Systems to leave out.
    #[arg(long, value_delimiter = ',', value_name = "SYSTEM")]
    pub skip: Vec<System>,
    /// Sentinel's down-after-milliseconds; every value is a system of its own.
    #[arg(long, value_delimiter = ',', value_name = "MS", default_values_t = [500, 1_000])]
    pub sentinel_down_after: Vec<u64>,
    /// Sentinel's failover-timeout. Two failovers are at least twice as long apart.
    #[arg(long, value_name = "MS", default_value_t = 3_000)]
    pub sentinel_failover_timeout: u64,
    /// min-replicas-to-write of redis-server under Sentinel, with a min-replicas-max-lag of 1 s.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sentinel_min_replicas: u32,
    /// Writers, each with one write in flight.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub writers: u32,
    /// Pause of a writer after each write.
    #[arg(long, value_name = "MS", default_value_t = 1)]
    pub pace_ms: u64,
    /// How long WAIT 1 may take before the writer tries the write again.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub wait_ms: u64,
    /// How long an old primary stays stopped or cut off after the new one has acknowledged a write.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub frozen_ms: u64,
    /// Whether every node gets a network of its own; a cut needs that.
    #[arg(long, value_enum, default_value_t = Wish::Auto)]
    pub namespaces: Wish,
    /// Writes conditions, figures and every sample to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// One round: its figures mean little.
    #[arg(long)]
    pub quick: bool,
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
    /// A client that stays with one redis-server whatever happens, and at SIGTERM tells what was acknowledged.
    #[command(hide = true)]
    StaleClient {
        /// The redis-server.
        #[arg(long)]
        address: SocketAddr,
        /// What all keys begin with.
        #[arg(long)]
        prefix: String,
        /// How long WAIT 1 may take.
        #[arg(long)]
        wait_ms: u64,
        /// The file that takes the account.
        #[arg(long)]
        out: PathBuf,
    },
}

/// What is done to a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// One of the Sentinels, or the leader of Tenure's servers, is killed: nothing should happen.
    ServerLoss,
    /// An operator moves the primary.
    Switchover,
    /// SIGKILL of the primary's redis-server.
    Kill,
    /// SIGSTOP of the primary's redis-server and its agent, SIGCONT once another serves.
    Stop,
    /// The primary's node is cut off from all others, and comes back once another serves.
    Cut,
}

impl Fault {
    /// All of them, the gentle ones first.
    pub const ALL: [Self; 5] = [
        Self::ServerLoss,
        Self::Switchover,
        Self::Kill,
        Self::Stop,
        Self::Cut,
    ];

    /// The name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerLoss => "server-loss",
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

/// A system that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    Sentinel,
    Tenure,
}

/// Whether something optional is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wish {
    /// When a cut is asked for and the machine permits it.
    Auto,
    Never,
}

impl Options {
    /// The options in force: what was given, or a single round of everything.
    #[must_use]
    pub fn effective(mut self) -> Self {
        if self.quick {
            self.rounds = 1;
        }
        self
    }

    pub fn inflicts(&self, fault: Fault) -> bool {
        self.only.contains(&fault)
    }

    pub fn measures(&self, system: System) -> bool {
        !self.skip.contains(&system)
    }

    /// How many systems take turns.
    pub fn systems(&self) -> usize {
        let sentinels = self.sentinel_down_after.len();
        let sentinel = usize::from(self.measures(System::Sentinel)) * sentinels;
        sentinel + usize::from(self.measures(System::Tenure))
    }

    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    pub fn frozen(&self) -> Duration {
        Duration::from_millis(self.frozen_ms)
    }

    /// The time after which something must be stuck.
    pub fn limit(&self) -> Duration {
        const START_S: u64 = 60;
        const FAULT_S: u64 = 90;
        if let Some(limit) = self.limit_s {
            return Duration::from_secs(limit);
        }
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let turn = START_S + FAULT_S * count(self.only.len());
        let all = turn.saturating_mul(count(self.systems()));
        Duration::from_secs(all.saturating_mul(self.rounds.into()))
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
    fn by_default_every_system_suffers_every_fault_thirty_times() {
        let options = Options::try_parse_from(["versus-sentinel"]).expect("no argument needed");
        assert!(Fault::ALL.into_iter().all(|fault| options.inflicts(fault)));
        assert_eq!((options.rounds, options.systems()), (30, 3));
    }

    #[test]
    fn systems_and_settings_can_be_chosen() {
        let args = [
            "versus-sentinel",
            "--only=kill,stop",
            "--skip=tenure",
            "--sentinel-down-after=500",
        ];
        let options = Options::try_parse_from(args).expect("valid");
        assert!(options.inflicts(Fault::Kill) && !options.inflicts(Fault::Cut));
        assert_eq!(options.systems(), 1);
    }
}
