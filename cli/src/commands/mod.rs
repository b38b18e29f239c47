//! The commands, one file each.

mod ack;
mod agent;
mod automation;
mod completion;
mod copies;
mod daemon;
mod explain;
mod history;
mod in_sync;
mod instance;
mod lifecycle;
mod move_primary;
mod node;
mod node_change;
mod node_remove;
mod pause;
mod pin;
mod policy;
mod primary;
mod raft;
mod receipts;
mod server;
mod service;
mod set_primary;
mod settings;
mod status;
mod topology;
mod until;
mod watch;
mod what_if;

pub use agent::{AgentArgs, run_with as run_agent};
pub use topology::carry_out;

use crate::{
    args::Global,
    cluster::Cluster,
    dev,
    exit::{Exit, Failure},
    output::{Out, escape, shape},
};
use clap::Subcommand;
use serde::Serialize;
use tenure_core::{Done, Node, NodeRef, Service, ServiceName, State};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one server of a cluster
    Server(server::ServerArgs),
    /// Run the agent of a node, which does what the leader decides about the node's services
    Agent(agent::AgentArgs),
    /// Try whether the state's image in a data folder can be read; started by the server
    #[command(hide = true)]
    ProbeImage(server::ProbeImageArgs),
    /// Run a small cluster on this machine, to try things out
    Dev(dev::DevArgs),
    /// Be one of the processes that `dev` consists of; started by it
    #[command(subcommand, hide = true)]
    DevPart(dev::DevPart),
    /// Show what is wrong, and who leads
    Status(status::StatusArgs),
    /// Print every change as it happens
    Watch(watch::WatchArgs),
    /// Print the primary of a service: its endpoint and epoch
    Primary(primary::PrimaryArgs),
    /// Move a primary that works, without losing a write
    Switchover(move_primary::SwitchoverArgs),
    /// Replace a primary that does not work
    Failover(move_primary::FailoverArgs),
    /// Tell why the leader does what it does about a service, or does nothing
    Explain(explain::ExplainArgs),
    /// Tell what the leader would decide
    #[command(subcommand)]
    WhatIf(what_if::WhatIfCommand),
    /// Show what the latest changes of primary rested on, newest first
    Receipts(receipts::ReceiptsArgs),
    /// Take note of a failover: automatic ones of the service are allowed again
    Ack(ack::AckArgs),
    /// Have a node's primaries and copies moved elsewhere; it keeps serving as replica and peer
    #[command(after_help = "\
What it is primary of is handed over by switchover, without losing a write. With --wait each move is told,
and why what does not move is held. Copies of items that it holds are made elsewhere before they go; it is
refused when too few nodes are left for that, and the items are named.

Example:
  tenure drain db-1 --wait --deadline 2m --reason 'new disks'
  tenure drain storage-1 --wait --deadline 1h")]
    Drain(lifecycle::DrainArgs),
    /// Empty a node and mark it as worked on: it is given nothing, and its silence alarms nobody
    #[command(after_help = "\
What it is primary of is handed over first, for at most --deadline; if that does not succeed the node stays
draining, and the exit code is 1.

Example:
  tenure maintenance db-1 --reason 'new disks'")]
    Maintenance(lifecycle::LifecycleArgs),
    /// Let a node take roles: after it was drained or worked on
    #[command(after_help = "Example:\n  tenure activate db-1")]
    Activate(lifecycle::LifecycleArgs),
    /// Let nothing automatic happen for a service, a node, or at all
    Pause(pause::PauseArgs),
    /// Take a pause away
    Resume(pause::ResumeArgs),
    /// How the cluster decides by itself: tempos, patience, bounds
    #[command(subcommand)]
    Automation(automation::AutomationCommand),
    /// Make another instance the primary of a service whose nodes have no agents
    SetPrimary(set_primary::SetPrimaryArgs),
    /// State which instances hold every acknowledged write
    SetInSync(in_sync::SetInSyncArgs),
    /// Nodes: the managed machines
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Services: what the nodes run
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Instances: one service on one node
    #[command(subcommand)]
    Instance(instance::InstanceCommand),
    /// Items of which each is kept on several nodes: where they are, and what lacks copies
    #[command(subcommand)]
    Copies(copies::CopiesCommand),
    /// Pins: an operator's word on a node, which no decision goes against
    #[command(subcommand)]
    Pin(pin::PinCommand),
    /// Show the latest changes, newest first
    History(history::HistoryArgs),
    /// Settings of the cluster
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
    /// Show the steps that lead to a topology file
    Plan(topology::PlanArgs),
    /// Tell whether the cluster differs from a topology file: exit code 0 or 1
    Diff(topology::DiffArgs),
    /// Carry out the steps that lead to a topology file
    Apply(topology::ApplyArgs),
    /// The servers and their log
    #[command(subcommand)]
    Raft(raft::RaftCommand),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

/// What a command works with.
#[derive(Clone)]
pub struct Context {
    /// What every command shares.
    pub global: Global,
    /// How to print.
    pub out: Out,
}

impl Context {
    /// Takes up the shared arguments.
    pub fn new(global: Global) -> Self {
        let out = Out::new(global.json);
        Self { global, out }
    }

    /// A connection to the cluster; nothing is asked yet.
    ///
    /// # Errors
    /// When no server can be made out.
    pub async fn cluster(&self) -> Result<Cluster, Failure> {
        Cluster::connect(&self.global).await
    }

    /// Says that a command was carried out.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn done(&self, what: &str, done: Done) -> Result<Exit, Failure> {
        let shape = DoneShape {
            what,
            done: done.into(),
        };
        let text = || format!("{} (revision {})", escape(what), done.revision);
        self.out.show(&shape, text)?;
        Ok(Exit::Ok)
    }
}

/// What `--json` prints for a command that was carried out.
#[derive(Serialize)]
struct DoneShape<'a> {
    what: &'a str,
    #[serde(flatten)]
    done: shape::Done,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`] says how it ended and with which exit code.
pub async fn run(command: Command, global: Global) -> Result<Exit, Failure> {
    let context = Context::new(global);
    match command {
        Command::Server(args) => server::run(args).await,
        Command::Agent(args) => agent::run(args).await,
        Command::ProbeImage(args) => server::probe_image(&args),
        Command::Dev(args) => dev::run(args, &context).await,
        Command::DevPart(part) => dev::part(part).await,
        Command::Status(args) => status::run(args, &context).await,
        Command::Watch(args) => watch::run(args, &context).await,
        Command::Primary(args) => primary::run(args, &context).await,
        Command::Switchover(args) => move_primary::switchover(args, &context).await,
        Command::Failover(args) => move_primary::failover(args, &context).await,
        Command::Explain(args) => explain::run(args, &context).await,
        Command::WhatIf(command) => what_if::run(command, &context).await,
        Command::Receipts(args) => receipts::run(args, &context).await,
        Command::Ack(args) => ack::run(args, &context).await,
        Command::Drain(args) => lifecycle::drain(args, &context).await,
        Command::Maintenance(args) => lifecycle::maintenance(args, &context).await,
        Command::Activate(args) => lifecycle::activate(args, &context).await,
        Command::Pause(args) => pause::pause(args, &context).await,
        Command::Resume(args) => pause::resume(args, &context).await,
        Command::Automation(command) => automation::run(command, &context).await,
        Command::SetPrimary(args) => set_primary::run(args, &context).await,
        Command::SetInSync(args) => in_sync::run(args, &context).await,
        Command::Node(command) => node::run(command, &context).await,
        Command::Service(command) => service::run(command, &context).await,
        Command::Instance(command) => instance::run(command, &context).await,
        Command::Copies(command) => copies::run(command, &context).await,
        Command::Pin(command) => pin::run(command, &context).await,
        Command::History(args) => history::run(args, &context).await,
        Command::Settings(command) => settings::run(command, &context).await,
        Command::Plan(args) => topology::plan(args, &context).await,
        Command::Diff(args) => topology::diff(args, &context).await,
        Command::Apply(args) => topology::apply(args, &context).await,
        Command::Raft(command) => raft::run(command, &context).await,
        Command::Completion(args) => completion::run(args),
    }
}

/// The node that was named.
///
/// # Errors
/// When there is none, with the names that there are.
pub fn find_node<'a>(state: &'a State, node: &NodeRef) -> Result<&'a Node, Failure> {
    let known = || {
        state
            .nodes()
            .values()
            .filter(|node| node.is_present())
            .map(|node| &node.name)
    };
    state.find_node(node).map(AsRef::as_ref).ok_or_else(|| {
        Failure::not_found(format!(
            "there is no node {node}; there {}",
            listed(known())
        ))
    })
}

/// The service that was named.
///
/// # Errors
/// When there is none.
pub fn find_service<'a>(state: &'a State, name: &ServiceName) -> Result<&'a Service, Failure> {
    state
        .services()
        .get(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| {
            Failure::not_found(format!(
                "there is no service {name}; `tenure service list` shows those that there are"
            ))
        })
}

/// Names for the end of a sentence that says what there is, cut when they are many.
fn listed<'a, T: ToString + 'a>(names: impl Iterator<Item = &'a T>) -> String {
    const SHOWN_MAX: usize = 12;
    let names: Vec<String> = names.map(ToString::to_string).collect();
    match names.len() {
        0 => "are none".to_owned(),
        1 => format!("is {}", names[0]),
        n if n <= SHOWN_MAX => format!("are {}", names.join(", ")),
        n => format!(
            "are {} and {} more",
            names[..SHOWN_MAX].join(", "),
            n - SHOWN_MAX
        ),
    }
}
