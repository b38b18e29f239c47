//! Measures services that store copies: memory and planning in the core alone, then updates, locating, checkpoint and restart
//! with three `tenure server` processes, and whether repair delays a failover of Redis beside the items. Run it in release on a
//! quiet machine; everything that is started is stopped again.

mod cluster;
mod error;
mod failover;
mod load;
mod machine;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tempfile::TempDir;
use tenure_benches::conditions::Machine;
use tenure_benches::group::Group;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BenchError;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Memory per item, and planning after the loss of a node, without any IO.
    Core,
    /// Updates and locating through three servers; then checkpoint and restart.
    Servers,
    /// Failovers of Redis beside the items, while a repair is planned and while none is.
    Failover,
}

/// Figures of services that store copies of items.
#[derive(Debug, Parser)]
#[command(name = "copies")]
struct Options {
    /// Items at the most: memory is measured at a hundredth, a tenth and all of them.
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Nodes that hold copies.
    #[arg(long, default_value_t = 100)]
    nodes: u64,
    /// Seconds for each load.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The core alone, at this many items, in this process: the bench starts itself anew for each size, since memory that was
    /// freed would be counted wrongly.
    #[arg(long, hide = true)]
    measure: Option<u64>,
    /// Only this part.
    #[arg(long)]
    only: Option<Part>,
    /// Failovers in each of the conditions.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// How long a node takes for what it is ordered, in the failovers.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    fetch_ms: u64,
    /// The redis-server program: a name looked up in PATH, or a path.
    #[arg(long, value_name = "PATH", default_value = "redis-server")]
    redis_server: PathBuf,
    /// The program under measurement; the one beside this bench when absent.
    #[arg(long)]
    tenure: Option<PathBuf>,
    /// Where the servers' data go for the time of the bench.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Where the agents' state goes in the failovers, beside the servers' data when absent: an agent waits for its disk before
    /// it answers, and on a node of its own that is not the one that the servers write their log to.
    #[arg(long, value_name = "DIR")]
    agents_dir: Option<PathBuf>,
    /// Seconds after which the bench is ended.
    #[arg(long, default_value_t = 1_800)]
    limit_s: u64,
}

impl Options {
    fn measures(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    fn program(&self) -> Result<PathBuf, BenchError> {
        if let Some(given) = &self.tenure {
            return Ok(given.clone());
        }
        let own = std::env::current_exe().map_err(|source| BenchError::io("find", ".", source))?;
        Ok(own.with_file_name("tenure"))
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match start(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a standard error there is nobody left to tell.
            let _unheard = writeln!(std::io::stderr(), "copies: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a line of the report.
fn say(line: &str) {
    // A closed standard output must not end the bench half-way.
    let _unread = writeln!(std::io::stdout(), "{line}");
}

/// Measures one size of the core in a process of its own.
fn measure(options: &Options, items: u64) -> Result<(), BenchError> {
    let own = std::env::current_exe().map_err(|source| BenchError::io("find", ".", source))?;
    let (items, nodes) = (items.max(1).to_string(), options.nodes.to_string());
    let status = std::process::Command::new(&own)
        .args(["--measure", &items, "--nodes", &nodes])
        .status()
        .map_err(|source| BenchError::io("run", &own, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(BenchError::Child(status))
    }
}

fn start(options: &Options) -> Result<(), BenchError> {
    if let Some(items) = options.measure {
        machine::measure(items, options.nodes);
        return Ok(());
    }
    let failed = |source| BenchError::io("time fdatasync in", &options.dir, source);
    let conditions = Machine::look(&options.dir).map_err(failed)?;
    say(&format!(
        "{} cores, {}, {}, fdatasync {:.2} ms, load average {:.2}",
        conditions.cores,
        conditions.processor,
        conditions.file_system,
        conditions.fdatasync_growing_ms,
        conditions.load_average
    ));
    if options.measures(Part::Core) {
        for items in [options.items / 100, options.items / 10, options.items] {
            measure(options, items)?;
        }
    }
    if !options.measures(Part::Servers) && !options.measures(Part::Failover) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| BenchError::io("start the runtime of", "copies", source))?;
    runtime.block_on(bounded(options))
}

async fn bounded(options: &Options) -> Result<(), BenchError> {
    let no_signal = |source| BenchError::io("listen for signals in", "copies", source);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let limit = Duration::from_secs(options.limit_s);
    tokio::select! {
        done = with_servers(options) => done,
        _signal = interrupt.recv() => Err(BenchError::Interrupted),
        _signal = terminate.recv() => Err(BenchError::Interrupted),
        () = tokio::time::sleep(limit) => Err(BenchError::Limit(limit)),
    }
}

async fn with_servers(options: &Options) -> Result<(), BenchError> {
    if options.measures(Part::Servers) {
        servers(options).await?;
    }
    if !options.measures(Part::Failover) {
        return Ok(());
    }
    let wanted = failover::Wanted {
        tenure: &options.program()?,
        redis_server: &options.redis_server,
        dir: &options.dir,
        agents: options.agents_dir.as_ref().unwrap_or(&options.dir),
        items: options.items,
        nodes: options.nodes,
        rounds: options.rounds,
        fetch: Duration::from_millis(options.fetch_ms),
    };
    failover::run(&wanted).await
}

async fn servers(options: &Options) -> Result<(), BenchError> {
    let data = TempDir::with_prefix_in("copies-", &options.dir)
        .map_err(|source| BenchError::io("create a folder below", &options.dir, source))?;
    let group = Group::begin(data.path());
    let group = group.map_err(|source| BenchError::io("watch over", data.path(), source))?;
    let program = options.program()?;
    let mut cluster = cluster::Cluster::start(&program, data.path(), group.id()).await?;
    cluster.prepare(options.nodes, None).await?;
    let leader = cluster.leader().await?;
    let address = cluster.address(leader);
    let items = load::place(&address, options.items).await?;
    let seconds = Duration::from_secs(options.seconds);
    for (batch, clients) in [(1, 64), (100, 16), (1_000, 8)] {
        load::update(&address, &items, batch, clients, seconds).await?;
    }
    for local in [false, true] {
        load::locate(&address, &items, local, seconds).await?;
    }
    cluster.checkpoint_and_restart(options.items).await?;
    cluster.stop().await
}
