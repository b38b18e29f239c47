//! The checks that take too long for the gate. The gate runs a short version of the first
//! two; here the same tests run with more work, told through the environment.

use clap::Args;

use crate::namespaces;
use crate::stage::{Cargo, Failure, timed};
use crate::tools::{self, Need};

/// Kill, freeze and restart servers under load.
#[derive(Debug, Args)]
pub struct Chaos {
    /// Rounds of faults; the gate runs a few.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Repeats the run that printed this seed.
    #[arg(long)]
    seed: Option<u64>,
}

impl Chaos {
    /// Runs `tests/chaos.rs` with `TENURE_CHAOS_ROUNDS` and `TENURE_CHAOS_SEED`, and, unless a seed
    /// asks for one run again, `tests/membership.rs` with a server that is away for 100,000 entries.
    ///
    /// # Errors
    /// When a round fails; its output names the seed.
    pub fn run(&self) -> Result<(), Failure> {
        timed("chaos", || self.command().stage("chaos"))?;
        if self.seed.is_some() {
            return Ok(());
        }
        let away = one_test("tenure-tests", "membership").env("TENURE_AWAY_ENTRIES", "100000");
        timed("membership", || away.stage("membership"))
    }

    fn command(&self) -> Cargo {
        let command =
            one_test("tenure-tests", "chaos").env("TENURE_CHAOS_ROUNDS", self.rounds.to_string());
        match self.seed {
            Some(seed) => command.env("TENURE_CHAOS_SEED", seed.to_string()),
            None => command,
        }
    }
}

/// Cut the power at every write and sync of the storage, in every way that matters.
#[derive(Debug, Args)]
pub struct PowerLoss {}

impl PowerLoss {
    /// Runs `tests/power_loss.rs` with `TENURE_POWER_LOSS_FULL=1`.
    ///
    /// # Errors
    /// When an image of the disk lacks what was acknowledged.
    pub fn run(&self) -> Result<(), Failure> {
        let command = one_test("tenure-tests", "power_loss").env("TENURE_POWER_LOSS_FULL", "1");
        timed("power loss", || command.stage("power loss"))
    }
}

/// Machines in network namespaces: cut off one way or both, killed, stalled. And MariaDB, with every fault again and
/// again.
#[derive(Debug, Args)]
pub struct Trials {
    /// For how many seconds all servers are away; the gate lets them be away for a few.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    away_s: u64,
    /// For how many seconds cores are kept busy while processes stall.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    stress_s: u64,
    /// Repeats the stalls of the run that printed this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// How often each fault of MariaDB comes; the gate has it once or twice. 0 leaves them out.
    #[arg(long, value_name = "ROUNDS", default_value_t = 20)]
    mysql_rounds: u32,
    /// Leaves everything out but MariaDB.
    #[arg(long)]
    only_mysql: bool,
}

impl Trials {
    /// Runs `tests/namespaces.rs` with `TENURE_AWAY_S`, `TENURE_STRESS_S` and `TENURE_STRESS_SEED`, and
    /// `tests/mysql.rs` with `TENURE_MYSQL_ROUNDS`.
    ///
    /// # Errors
    /// When there are no network namespaces here, redis-server or mariadb-server is missing, or a trial fails.
    pub fn run(&self) -> Result<(), Failure> {
        tools::ensure(Need::Tests)?;
        if !self.only_mysql {
            self.in_namespaces()?;
        }
        if self.mysql_rounds == 0 {
            return Ok(());
        }
        timed("mysql", || self.mysql().stage("mysql"))
    }

    fn in_namespaces(&self) -> Result<(), Failure> {
        namespaces::permitted().map_err(|why| Failure {
            what: format!("no network namespaces on this machine: {why}; it takes root"),
            repeat: String::new(),
        })?;
        timed("trials", || self.command().stage("trials"))
    }

    fn mysql(&self) -> Cargo {
        let rounds = self.mysql_rounds.to_string();
        one_test("tenure-tests", "mysql").env("TENURE_MYSQL_ROUNDS", rounds)
    }

    fn command(&self) -> Cargo {
        let command = one_test("tenure-tests", "namespaces")
            .env("TENURE_AWAY_S", self.away_s.to_string())
            .env("TENURE_STRESS_S", self.stress_s.to_string());
        match self.seed {
            Some(seed) => command.env("TENURE_STRESS_SEED", seed.to_string()),
            None => command,
        }
    }
}

/// Nodes of the example store lost, drained, removed and joined under load.
#[derive(Debug, Args)]
pub struct Copies {
    /// Items in the store; the gate has 150.
    #[arg(long, default_value_t = 3_000)]
    items: u32,
    /// Only the tests whose names hold this.
    #[arg(value_name = "TEST")]
    only: Option<String>,
}

impl Copies {
    /// Runs `tests/copies.rs` with `TENURE_COPIES_ITEMS`.
    ///
    /// # Errors
    /// When an item is not at three fresh copies in the end, one of them is not what was acknowledged, or a reader was
    /// told otherwise meanwhile.
    pub fn run(&self) -> Result<(), Failure> {
        timed("copies", || self.command().stage("copies"))
    }

    fn command(&self) -> Cargo {
        let command =
            one_test("tenure-tests", "copies").env("TENURE_COPIES_ITEMS", self.items.to_string());
        match &self.only {
            Some(only) => command.arg(only),
            None => command,
        }
    }
}

/// Tenure and etcd in turns on this machine.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Bench {
    /// Passed on to the bench, for instance `--etcd PATH` or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    /// Builds for release and runs the bench; installs etcd when it is missing, no `--etcd`
    /// names one, and this is permitted.
    ///
    /// # Errors
    /// When etcd is missing or the bench fails.
    pub fn run(&self) -> Result<(), Failure> {
        if self.needs_etcd() {
            tools::ensure(Need::Bench)?;
        }
        self.command().stage("bench")
    }

    fn needs_etcd(&self) -> bool {
        !self.arguments.iter().any(|argument| {
            argument == "--etcd" || argument.starts_with("--etcd=") || argument == "--help"
        })
    }

    fn command(&self) -> Cargo {
        bench("versus-etcd", &self.arguments)
    }
}

/// Redis under Tenure and under Redis Sentinel, in turns on this machine.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct BenchFailover {
    /// Passed on to the bench, for instance `--rounds 5`, `--skip sentinel` or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl BenchFailover {
    /// Builds `tenure` and the bench for release and runs the bench; installs redis-server and redis-sentinel when they
    /// are missing and this is permitted.
    ///
    /// # Errors
    /// When one of them is missing, something does not build, or the bench fails.
    pub fn run(&self) -> Result<(), Failure> {
        if !self.arguments.iter().any(|argument| argument == "--help") {
            tools::ensure(Need::BenchFailover)?;
            tenure().stage("tenure")?;
        }
        self.command().stage("bench")
    }

    fn command(&self) -> Cargo {
        bench("versus-sentinel", &self.arguments)
    }
}

/// MariaDB under Tenure, failed over.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct BenchMysql {
    /// Passed on to the bench, for instance `--rounds 5`, `--only kill` or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl BenchMysql {
    /// Builds `tenure` and the bench for release and runs the bench; installs mariadb-server and mariadb-backup when they
    /// are missing and this is permitted.
    ///
    /// # Errors
    /// When one of them is missing, something does not build, or the bench fails.
    pub fn run(&self) -> Result<(), Failure> {
        if !self.arguments.iter().any(|argument| argument == "--help") {
            tools::ensure(Need::BenchMysql)?;
            tenure().stage("tenure")?;
        }
        bench("mysql-failover", &self.arguments).stage("bench")
    }
}

/// The program under measurement: the bench looks for it beside itself.
fn tenure() -> Cargo {
    Cargo::new(&["build", "--release", "--locked", "--package", "tenure"])
}

fn bench(binary: &str, arguments: &[String]) -> Cargo {
    let run = Cargo::new(&["run", "--release", "--locked"])
        .arg("--package")
        .arg("tenure-benches")
        .arg("--bin")
        .arg(binary)
        .arg("--");
    arguments.iter().cloned().fold(run, Cargo::arg)
}

fn one_test(package: &str, target: &str) -> Cargo {
    Cargo::new(&["test", "--locked", "--package", package, "--test", target])
        .arg("--")
        .arg("--nocapture")
        .arg("--test-threads=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_and_seed_reach_the_test_through_the_environment() {
        let chaos = Chaos {
            rounds: 7,
            seed: Some(42),
        };
        let line = chaos.command().to_string();
        assert!(
            line.starts_with("TENURE_CHAOS_ROUNDS=7 TENURE_CHAOS_SEED=42 cargo test"),
            "{line}"
        );
    }

    #[test]
    fn the_number_of_items_reaches_the_test() {
        let copies = Copies {
            items: 7,
            only: Some("zone".to_owned()),
        };
        let line = copies.command().to_string();
        assert!(
            line.starts_with("TENURE_COPIES_ITEMS=7 cargo test"),
            "{line}"
        );
        assert!(line.ends_with("--test-threads=1 zone"), "{line}");
    }

    #[test]
    fn lengths_reach_the_trials_through_the_environment() {
        let trials = Trials {
            away_s: 300,
            stress_s: 600,
            seed: None,
            mysql_rounds: 20,
            only_mysql: false,
        };
        let line = trials.command().to_string();
        let named = "TENURE_AWAY_S=300 TENURE_STRESS_S=600 cargo test";
        assert!(line.starts_with(named), "{line}");
        let line = trials.mysql().to_string();
        assert!(
            line.starts_with("TENURE_MYSQL_ROUNDS=20 cargo test"),
            "{line}"
        );
    }

    #[test]
    fn what_was_asked_reaches_the_bench() {
        let arguments = vec!["--rounds".to_owned(), "5".to_owned()];
        let line = BenchFailover { arguments }.command().to_string();
        assert!(
            line.ends_with("--bin versus-sentinel -- --rounds 5"),
            "{line}"
        );
    }

    #[test]
    fn an_etcd_that_was_named_is_not_installed() {
        let bench = |arguments: &[&str]| Bench {
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        };
        assert!(bench(&[]).needs_etcd());
        assert!(bench(&["--seconds", "5"]).needs_etcd());
        assert!(!bench(&["--etcd", "x"]).needs_etcd());
        assert!(!bench(&["--etcd=x"]).needs_etcd());
    }
}
