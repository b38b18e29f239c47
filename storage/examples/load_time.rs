//! How long a server's store takes to open, and how much memory it then holds: states of 10,000,
//! 100,000 and 1,000,000 instances, each with as many entries in the log.
//!
//! `cargo run --release -p tenure-storage --example load_time [COUNT ...]`. Each count is filled in one
//! process and opened in another, so that the memory is that of opening alone.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use futures::stream;
use openraft::storage::{RaftLogStorageExt, RaftStateMachine};
use tenure_core::{
    Attributes, Command, Endpoint, Envelope, NodeId, NodeName, NodeRef, Note, PeersPolicy, Policy,
    ServiceName, Timestamp,
};
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::format::encode_command;
use tenure_storage::store::{Store, StoreOptions};
use tenure_storage::types::{Entry, EntryPayload, Payload, log_id};

type Outcome = Result<(), Box<dyn Error>>;

const SERVICES: u64 = 100;
const BATCH: usize = 4_096;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("fill") => fill(Path::new(&arguments[1]), arguments[2].parse()?).await,
        Some("open") => measure(Path::new(&arguments[1])),
        Some(_) | None => all(&arguments),
    }
}

fn all(arguments: &[String]) -> Outcome {
    let counts: Vec<u64> = if arguments.is_empty() {
        vec![10_000, 100_000, 1_000_000]
    } else {
        arguments
            .iter()
            .map(|count| count.parse())
            .collect::<Result<_, _>>()?
    };
    for count in counts {
        let temp = tempfile::tempdir()?;
        println!("{count} instances, {count} entries in the log after the image");
        for step in ["fill", "open"] {
            let status = Process::new(std::env::current_exe()?)
                .args([step.as_ref(), temp.path().as_os_str()])
                .arg(count.to_string())
                .status()?;
            if !status.success() {
                return Err(format!("{step} ended with {status}").into());
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Store, Box<dyn Error>> {
    let identity = Identity {
        cluster: "load-time".into(),
        server: 1,
    };
    let folder = DataFolder::open(path.join("data"), identity)?;
    Ok(Store::open(&folder, StoreOptions::default())?)
}

fn measure(path: &Path) -> Outcome {
    let started = Instant::now();
    let store = open(path)?;
    let elapsed = started.elapsed();
    let instances = store.reader.read(|state| state.instance_count());
    let started = Instant::now();
    let digest = store.reader.digest();
    println!(
        "  open {elapsed:.2?}, memory {} MiB resident, at most {} MiB; {instances} instances; digest {} in {:.2?}",
        memory("VmRSS:")? / 1024,
        memory("VmHWM:")? / 1024,
        digest.digest,
        started.elapsed(),
    );
    Ok(())
}

/// A line of the process's status, in KiB.
fn memory(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(value.ok_or("no such line")?.parse()?)
}

async fn fill(path: &Path, count: u64) -> Outcome {
    let mut store = open(path)?;
    let nodes = (count / SERVICES).max(1);
    let commands = world(nodes).chain((0..count).map(|n| add_instance(n, nodes)));
    let mut index = 0;
    let mut applying = Duration::ZERO;
    let mut entries = Vec::with_capacity(BATCH);
    let started = Instant::now();
    for command in std::iter::once(None).chain(commands.map(Some)) {
        entries.push(entry(index, command));
        index += 1;
        if entries.len() == BATCH {
            applying += write(&mut store, std::mem::take(&mut entries)).await?;
        }
    }
    applying += write(&mut store, entries).await?;
    println!(
        "  filled in {:.2?}, of it applying {applying:.2?}",
        started.elapsed()
    );
    let started = Instant::now();
    store.checkpoints.make().await?;
    println!("  first checkpoint {:.2?}", started.elapsed());
    index = small_checkpoint(&mut store, index).await?;
    let last = index + count;
    while index < last {
        let next = last.min(index + BATCH as u64);
        let unapplied = (index..next).map(|i| entry(i, Some(add_instance(last - i, nodes))));
        store
            .log
            .blocking_append(unapplied.collect::<Vec<_>>())
            .await?;
        index = next;
    }
    Ok(())
}

/// What the usual checkpoint costs: that of a state of which little changed.
async fn small_checkpoint(store: &mut Store, index: u64) -> Result<u64, Box<dyn Error>> {
    let command = |n| Command::AddNode {
        name: name(&format!("late-{n}")),
        zone: None,
        labels: Attributes::default(),
        weight: 100,
    };
    let entries = (0..1_000).map(|n| entry(index + n, Some(command(n))));
    write(store, entries.collect()).await?;
    let started = Instant::now();
    store.checkpoints.make().await?;
    println!(
        "  checkpoint of 1,000 changed records {:.2?}",
        started.elapsed()
    );
    Ok(index + 1_000)
}

async fn write(store: &mut Store, entries: Vec<Entry>) -> Result<Duration, Box<dyn Error>> {
    store.log.blocking_append(entries.clone()).await?;
    let items = entries.into_iter().map(|entry| Ok((entry, None)));
    let started = Instant::now();
    store.machine.apply(stream::iter(items)).await?;
    Ok(started.elapsed())
}

fn entry(index: u64, wanted: Option<Command>) -> Entry {
    let payload = match wanted {
        None => EntryPayload::Blank,
        Some(command) => {
            let envelope = Envelope {
                request: None,
                actor: Note::default(),
                stamp: Timestamp(index),
                command,
            };
            EntryPayload::Normal(Payload(encode_command(&envelope)))
        }
    };
    Entry {
        log_id: log_id(1, index),
        payload,
    }
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

fn service(number: u64) -> ServiceName {
    ServiceName::new(&format!("service-{number}")).expect("a name")
}

fn world(nodes: u64) -> impl Iterator<Item = Command> {
    let services = (0..SERVICES).map(|n| Command::AddService {
        name: service(n),
        policy: Policy::Peers(PeersPolicy::default()),
    });
    let nodes = (0..nodes).map(|n| Command::AddNode {
        name: name(&format!("node-{n}")),
        zone: None,
        labels: Attributes::default(),
        weight: 100,
    });
    services.chain(nodes)
}

fn add_instance(number: u64, nodes: u64) -> Command {
    Command::AddInstance {
        service: service(number / nodes % SERVICES),
        node: NodeRef::Id(NodeId(number % nodes + 1)),
        endpoint: Endpoint::new(&format!("10.0.{}.{}:80", number / 250 % 250, number % 250))
            .expect("an endpoint"),
        preference: 100,
    }
}
