//! The order of measurements: in every round each system gets one turn with fresh data, alone on the machine.

use std::io::Write as _;
use std::path::Path;

use tenure_benches::load::{Tally, Window};

use crate::clients::{self, Call, key_of};
use crate::echo::EchoProcess;
use crate::error::BenchError;
use crate::leader_loss;
use crate::options::{Options, Part, Spread};
use crate::report::Report;
use crate::system::{Cluster, Connection, System};
use crate::watchers;

/// What the clients of one load phase do.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Writes,
    Reads,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Writes => "durable writes",
            Self::Reads => "linearizable reads",
        }
    }

    fn part(self) -> Part {
        match self {
            Self::Writes => Part::Writes,
            Self::Reads => Part::Reads,
        }
    }

    fn spread(self, options: &Options) -> Spread {
        match self {
            Self::Writes => options.writes_to,
            Self::Reads => options.reads_from,
        }
    }

    fn call(self, connection: Connection) -> Call {
        match self {
            Self::Writes => Call::Write(connection),
            Self::Reads => Call::Read(connection),
        }
    }
}

/// Runs all rounds, adding what is seen to `report`. Data and logs live below `dir`.
pub async fn run(options: &Options, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    for round in 1..=options.rounds {
        if options.measures(Part::Echo) {
            tell(&format!("round {round} of {}: echo", options.rounds));
            echo(options, dir, report).await?;
        }
        for system in &options.systems {
            tell(&format!(
                "round {round} of {}: {}",
                options.rounds,
                system.name()
            ));
            turn(*system, options, dir, report).await?;
        }
    }
    Ok(())
}

/// How the figures come about, for the conditions.
pub fn method(options: &Options) -> Vec<String> {
    let whom = |spread| match spread {
        Spread::Leader => "the leader",
        Spread::All => "all members evenly",
    };
    vec![
        format!(
            "Method: {} round(s), in each every system in turn, alone on the machine, with fresh data; {} s per load phase after {} s of warm-up",
            options.rounds, options.seconds, options.warm_up_seconds
        ),
        format!(
            "Load: closed loop without retries, one request in flight per client, one key per client, values of {} bytes, at most {} connections; writes to {}, reads from {}",
            crate::system::VALUE_BYTES,
            options.connections,
            whom(options.writes_to),
            whom(options.reads_from)
        ),
        format!(
            "Leader loss: from SIGKILL to the acknowledgement of a write sent afterwards, a new one to every member each {} ms; the member is back and has caught up before the next kill",
            leader_loss::RETRY.as_millis()
        ),
        "Watchers: each on its own connection, spread over all members; from the sending of the write until the last one has the change".to_owned(),
    ]
}

async fn turn(
    system: System,
    options: &Options,
    dir: &Path,
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut cluster = Cluster::start(system, options, dir).await?;
    for kind in [Kind::Writes, Kind::Reads] {
        if options.measures(kind.part()) {
            write_all_keys(&mut cluster, options).await?;
            for clients in &options.clients {
                tell(&format!("  {}, {clients} clients", kind.name()));
                let tally = load(&mut cluster, kind, *clients, options, report).await?;
                add_load(report, system.name(), kind.name(), *clients, &tally);
            }
        }
    }
    if options.measures(Part::LeaderLoss) {
        for kill in 1..=options.kills {
            tell(&format!("  leader loss {kill} of {}", options.kills));
            let took = leader_loss::once(&mut cluster).await?;
            report.add(system.name(), "leader loss", "ms", took.as_secs_f64() * 1e3);
        }
    }
    if options.measures(Part::Watchers) {
        tell(&format!("  {} watchers", options.watchers));
        let metric = format!("last of {} watchers", options.watchers);
        for took in watchers::run(&mut cluster, options.watchers, options.changes).await? {
            report.add(system.name(), &metric, "ms", took.as_secs_f64() * 1e3);
        }
    }
    cluster.stop().await
}

/// Every client's key holds a value before it is read, whichever measurements run.
async fn write_all_keys(cluster: &mut Cluster, options: &Options) -> Result<(), BenchError> {
    let leader = cluster.settled().await?;
    let mut connection = cluster.connect(&cluster.addresses()[leader]).await?;
    for client in 0..options.clients.iter().copied().max().unwrap_or(0) {
        connection
            .write(&key_of(client), 0)
            .await
            .map_err(|source| BenchError::Call {
                what: "the first write of a key",
                source,
            })?;
    }
    Ok(())
}

async fn load(
    cluster: &mut Cluster,
    kind: Kind,
    clients: usize,
    options: &Options,
    report: &mut Report,
) -> Result<Tally, BenchError> {
    let leader = cluster.settled().await?;
    let addresses = cluster.addresses();
    let mut connections = Vec::new();
    for connection in 0..clients.min(options.connections) {
        let member = match kind.spread(options) {
            Spread::Leader => leader,
            Spread::All => connection % addresses.len(),
        };
        connections.push(cluster.connect(&addresses[member]).await?);
    }
    let calls = connections
        .into_iter()
        .map(|connection| kind.call(connection));
    let calls = shared_by(clients, calls.collect());
    let tally = clients::run(calls, Window::after(options.warm_up(), options.measured())).await;
    if cluster.settled().await? != leader {
        report.note(format!(
            "the leader changed during {} with {clients} clients",
            kind.name()
        ));
    }
    Ok(tally)
}

async fn echo(options: &Options, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    const ECHO_CLIENTS: [usize; 2] = [1, 64];
    let server = EchoProcess::start(dir).await?;
    for clients in ECHO_CLIENTS {
        let mut connections = Vec::new();
        for _connection in 0..clients.min(options.connections) {
            connections.push(Call::Echo(server.connect().await?));
        }
        let calls = shared_by(clients, connections);
        let tally = clients::run(calls, Window::after(options.warm_up(), options.measured())).await;
        add_load(report, "machine", "bare echo", clients, &tally);
    }
    server.stop().await
}

/// One call per client, the connections dealt out in turn.
fn shared_by(clients: usize, connections: Vec<Call>) -> Vec<Call> {
    connections.iter().cycle().take(clients).cloned().collect()
}

fn add_load(report: &mut Report, name: &'static str, what: &str, clients: usize, tally: &Tally) {
    let plural = if clients == 1 { "" } else { "s" };
    let metric = |which: &str| format!("{what}, {clients} client{plural}{which}");
    report.add(name, &metric(""), "per s", tally.per_second());
    report.add(name, &metric(", p50"), "ms", tally.latency_ms(0.50));
    report.add(name, &metric(", p99"), "ms", tally.latency_ms(0.99));
    if tally.errors() > 0 {
        report.note(format!(
            "{name}: {} of {} requests ended in errors during {what} with {clients} clients, the first: {}",
            tally.errors(),
            tally.errors() + tally.completed(),
            tally.first_error().unwrap_or("unknown")
        ));
    }
}

/// Progress goes to standard error, so that the report alone is on standard output.
fn tell(progress: &str) {
    // Nobody listening to the progress is no reason to end the bench.
    let _unheard = writeln!(std::io::stderr(), "{progress}");
}
