//! Measures how MariaDB fails over under Tenure: the primary killed, stopped, cut off and moved, with the conditions.
//! Everything that is started is stopped again and the data removed, also on Ctrl-C, on errors, after the time limit,
//! and when the bench itself is killed.

mod beside;
mod error;
mod faults;
mod ground;
mod metric;
mod nodes;
mod options;
mod report;
mod stack;
mod suite;
mod traffic;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use tempfile::TempDir;
use tenure_benches::conditions::Machine;
use tenure_benches::group::Group;
use tenure_tests::failover::network::{self, Network};
use tenure_tests::mariadb::template::Template;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BenchError;
use crate::ground::Ground;
use crate::nodes::NODES;
use crate::options::{Fault, Options, Role, Wish};
use crate::report::{Conditions, Report};

fn main() -> ExitCode {
    match start(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("mysql-failover: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> Result<(), BenchError> {
    let wants_cut = options.role.is_none() && options.inflicts(Fault::Cut);
    let mut no_cut = None;
    if wants_cut && !options.inside {
        no_cut = Some(match options.namespaces {
            Wish::Auto => enter_namespace(),
            Wish::Never => "--namespaces never".to_owned(),
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| BenchError::Io {
            what: "start the runtime of",
            path: "mysql-failover".into(),
            source,
        })?;
    match &options.role {
        Some(Role::Beside { address, name, out }) => {
            runtime.block_on(beside::run(*address, name, out))
        }
        None => runtime.block_on(bounded(options, no_cut)),
    }
}

/// Runs the bench until it is done, interrupted, or over its time limit; its processes and data go with it.
async fn bounded(options: &Options, no_cut: Option<String>) -> Result<(), BenchError> {
    let no_signal = |source| BenchError::Io {
        what: "listen for signals in",
        path: "mysql-failover".into(),
        source,
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    tokio::select! {
        done = bench(options, no_cut) => done,
        _signal = interrupt.recv() => Err(BenchError::Interrupted),
        _signal = terminate.recv() => Err(BenchError::Interrupted),
        () = tokio::time::sleep(options.limit()) => Err(BenchError::Limit(options.limit())),
    }
}

async fn bench(options: &Options, no_cut: Option<String>) -> Result<(), BenchError> {
    let io_error = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| BenchError::Io { what, path, source }
    };
    let data = TempDir::with_prefix_in("mysql-failover-", &options.dir)
        .map_err(io_error("create a folder below", &options.dir))?;
    let group = Group::begin(data.path()).map_err(io_error("watch over", data.path()))?;
    let network = if options.inside {
        Network::namespaces(NODES, Some(group.id()), data.path())?
    } else {
        Network::loopback(NODES)
    };
    let machine =
        Machine::look(data.path()).map_err(io_error("time fdatasync below", data.path()))?;
    let mut report = Report::new(Conditions {
        machine,
        network: describe(&network),
        settings: stack::describe(options)?,
        method: suite::method(options),
    });
    if let Some(why) = no_cut {
        report.note(format!("no node was cut off: {why}"));
    }
    let ground = Ground {
        options: options.clone(),
        network,
        group: group.id(),
        dir: data.path().to_path_buf(),
        template: Template::on(data.path())?,
    };
    suite::run(&ground, &mut report).await?;
    report.judge();
    // A closed standard output must not keep the JSON from being written.
    let _unread = write!(std::io::stdout(), "{}", report.text());
    if let Some(path) = &options.json {
        report.write_json(path).map_err(io_error("write", path))?;
    }
    Ok(())
}

/// Where everything runs, for the conditions.
fn describe(network: &Network) -> &'static str {
    if network.can_cut() {
        "every node in a network namespace of its own, joined by a bridge; servers and writers beside the bridge"
    } else {
        "all on loopback"
    }
}

/// Starts this program again, in place of itself, inside a network namespace of its own. Returns only with the
/// reason why this cannot be done.
fn enter_namespace() -> String {
    let flags = match network::permitted() {
        Ok(flags) => flags,
        Err(why) => return why,
    };
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return format!("the path of this program: {error}"),
    };
    let error = std::process::Command::new("unshare")
        .args(flags)
        .arg("--")
        .arg(own)
        .args(std::env::args_os().skip(1))
        .arg("--inside")
        .exec();
    format!("unshare: {error}")
}

fn tell(line: &str) {
    // Without a standard error there is nobody left to tell.
    let _unheard = writeln!(std::io::stderr(), "{line}");
}
