//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::system::System;

/// Measures three-member clusters side by side, in turns within one run, on this machine.
///
/// Example: cargo run --release -p tenure-benches --bin versus-etcd -- --rounds 3 --json versus-etcd.json
#[derive(Clone, Debug, Parser)]
#[command(name = "versus-etcd", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// The etcd program: a name looked up in PATH, or a path.
    #[arg(long, value_name = "PATH", default_value = "etcd")]
    pub etcd: PathBuf,
    /// One more argument for every etcd member, for instance --heartbeat-interval=10. May be repeated.
    #[arg(long = "etcd-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub etcd_args: Vec<String>,
    /// The tenure program, built in the same profile as this one.
    #[arg(long, value_name = "PATH", default_value_os_t = beside("tenure"))]
    pub tenure: PathBuf,
    /// Folder on the disk to be measured; a temporary folder below it holds all data and is removed at the end.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
    /// Which systems to measure, in this order in every round.
    #[arg(long, value_delimiter = ',', default_value = "etcd,tenure")]
    pub systems: Vec<System>,
    /// Which measurements to take.
    #[arg(long, value_delimiter = ',', default_values_t = Part::ALL)]
    pub only: Vec<Part>,
    /// How often every system gets its turn.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Seconds that count per load phase.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Seconds of load before the ones that count.
    #[arg(long, default_value_t = 1.0)]
    pub warm_up_seconds: f64,
    /// Numbers of clients, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    pub clients: Vec<usize>,
    /// Clients share at most this many connections, with every system alike.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Whom the clients send writes to.
    #[arg(long, value_enum, default_value_t = Spread::Leader)]
    pub writes_to: Spread,
    /// Whom the clients send reads to.
    #[arg(long, value_enum, default_value_t = Spread::All)]
    pub reads_from: Spread,
    /// How often the leader is killed in each turn.
    #[arg(long, default_value_t = 3)]
    pub kills: u32,
    /// Watchers, each on a connection of its own.
    #[arg(long, default_value_t = 1_000)]
    pub watchers: usize,
    /// Changes pushed to all watchers in each turn.
    #[arg(long, default_value_t = 10)]
    pub changes: u64,
    /// Writes conditions, medians and every sample to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A smoke run of a few seconds: its figures mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// Ends the bench after this many seconds; by default several times what it should need.
    #[arg(long, value_name = "SECONDS")]
    pub limit_s: Option<u64>,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What this program is besides the bench.
#[derive(Clone, Debug, Subcommand)]
pub enum Role {
    /// Answers every request with its own payload, for the baseline.
    #[command(hide = true)]
    EchoServer {
        /// The loopback port to listen on.
        #[arg(long)]
        port: u16,
    },
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Echo,
    Writes,
    Reads,
    LeaderLoss,
    Watchers,
}

impl Part {
    const ALL: [Self; 5] = [
        Self::Echo,
        Self::Writes,
        Self::Reads,
        Self::LeaderLoss,
        Self::Watchers,
    ];
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Echo => "echo",
            Self::Writes => "writes",
            Self::Reads => "reads",
            Self::LeaderLoss => "leader-loss",
            Self::Watchers => "watchers",
        })
    }
}

/// Which members the clients' connections go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// All to the member that leads when the phase begins.
    Leader,
    /// Evenly over all members.
    All,
}

impl Options {
    /// The options in force: what was given, or the smallest run that touches everything.
    #[must_use]
    pub fn effective(mut self) -> Self {
        if self.quick {
            self.rounds = 1;
            self.seconds = 0.3;
            self.warm_up_seconds = 0.1;
            self.clients = vec![1, 16];
            self.kills = 1;
            self.watchers = self.watchers.min(50);
            self.changes = 3;
        }
        self
    }

    pub fn measures(&self, part: Part) -> bool {
        self.only.contains(&part)
    }

    pub fn warm_up(&self) -> Duration {
        seconds(self.warm_up_seconds)
    }

    pub fn measured(&self) -> Duration {
        seconds(self.seconds)
    }

    /// The time after which something must be stuck.
    pub fn limit(&self) -> Duration {
        const TURN_S: u64 = 120;
        const KILL_S: u64 = 30;
        if let Some(limit) = self.limit_s {
            return Duration::from_secs(limit);
        }
        let phases = 2 * u64::try_from(self.clients.len()).unwrap_or(u64::MAX);
        let phase = (self.warm_up() + self.measured()).as_secs() + 15;
        let turn = phases * phase + u64::from(self.kills) * KILL_S + self.changes + TURN_S;
        let systems = u64::try_from(self.systems.len()).unwrap_or(u64::MAX) + 1;
        Duration::from_secs(turn * systems * u64::from(self.rounds))
    }
}

/// A program in the folder that this one was started from.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

/// Never negative and never more than a day, whatever was typed.
fn seconds(value: f64) -> Duration {
    const DAY_S: f64 = 86_400.0;
    Duration::try_from_secs_f64(value.clamp(0.0, DAY_S)).unwrap_or_default()
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
    fn by_default_everything_is_measured() {
        let options = Options::try_parse_from(["versus-etcd"]).expect("no argument is required");
        assert!(Part::ALL.into_iter().all(|part| options.measures(part)));
        assert_eq!(options.clients, [1, 64, 256]);
    }

    #[test]
    fn arguments_for_etcd_may_begin_with_dashes() {
        let args = ["versus-etcd", "--etcd-arg", "--heartbeat-interval=10"];
        let options = Options::try_parse_from(args).expect("a hyphen value");
        assert_eq!(options.etcd_args, ["--heartbeat-interval=10"]);
    }

    #[test]
    fn senseless_durations_do_no_harm() {
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
        assert_eq!(seconds(f64::INFINITY), Duration::from_secs(86_400));
    }
}
