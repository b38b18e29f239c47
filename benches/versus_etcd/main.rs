//! Measures Tenure and etcd side by side: durable writes, linearizable reads, loss of the leader, many watchers,
//! each system in turn within one run, with medians, ratios and the conditions. Everything that is started is
//! stopped again, and the data removed, also on Ctrl-C, on errors and after the time limit.

mod clients;
mod echo;
mod error;
mod etcd;
mod leader_loss;
mod options;
mod report;
mod suite;
mod system;
mod tenure;
mod watchers;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tempfile::TempDir;
use tenure_benches::conditions::Machine;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::BenchError;
use crate::options::{Options, Part, Role};
use crate::report::{Conditions, Report, SystemConditions};

fn main() -> ExitCode {
    let options = Options::parse().effective();
    match start(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a standard error there is nobody left to tell.
            let _unheard = writeln!(std::io::stderr(), "versus-etcd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| BenchError::Io {
            what: "start the runtime of",
            path: "versus-etcd".into(),
            source,
        })?;
    match options.role {
        Some(Role::EchoServer { port }) => runtime.block_on(echo::serve(port)),
        None => runtime.block_on(bounded(options)),
    }
}

/// Runs the bench until it is done, interrupted, or over its time limit; its servers and data go with it.
async fn bounded(options: &Options) -> Result<(), BenchError> {
    let no_signal = |source| BenchError::Io {
        what: "listen for signals in",
        path: "versus-etcd".into(),
        source,
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    tokio::select! {
        done = bench(options) => done,
        _signal = interrupt.recv() => Err(BenchError::Interrupted),
        _signal = terminate.recv() => Err(BenchError::Interrupted),
        () = tokio::time::sleep(options.limit()) => Err(BenchError::Limit(options.limit())),
    }
}

async fn bench(options: &Options) -> Result<(), BenchError> {
    let io_error = |what, path: &std::path::Path| {
        let path = path.to_path_buf();
        move |source| BenchError::Io { what, path, source }
    };
    if options.measures(Part::Watchers) {
        watchers::raise_descriptor_limit(options.watchers)?;
    }
    let data = TempDir::with_prefix_in("versus-etcd-", &options.dir)
        .map_err(io_error("create a folder below", &options.dir))?;
    let machine =
        Machine::look(data.path()).map_err(io_error("time fdatasync below", data.path()))?;
    let mut systems = Vec::new();
    for system in &options.systems {
        systems.push(SystemConditions {
            name: system.name(),
            settings: system.describe(options)?,
        });
    }
    let mut report = Report::new(Conditions {
        machine,
        systems,
        method: suite::method(options),
    });
    suite::run(options, data.path(), &mut report).await?;
    // A closed standard output must not keep the JSON from being written.
    let _unread = write!(std::io::stdout(), "{}", report.text());
    if let Some(path) = &options.json {
        report.write_json(path).map_err(io_error("write", path))?;
    }
    Ok(())
}
