//! `node`: the managed machines.

use super::{
    Context, find_node,
    lifecycle::{self, DrainArgs, LifecycleArgs},
    node_change, node_remove,
};
use crate::{
    args,
    exit::{Exit, Failure},
    output::{Out, escape, shape},
};
use clap::{Args, Subcommand};
use serde::Serialize;
use tenure_core::{
    Attributes, Command, Incarnation, Node, NodeName, NodeRef, RecordKind, State, Zone,
};

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes
    #[command(after_help = "Example:\n  tenure node list")]
    List {
        /// Those that were removed, too
        #[arg(long)]
        removed: bool,
    },
    /// Show one node, its instances and its pin
    #[command(after_help = "Example:\n  tenure node show db-1")]
    Show {
        /// Its name, or its number as id:7
        #[arg(value_parser = args::node)]
        node: NodeRef,
    },
    /// Add a node, which is then joining
    #[command(after_help = "Example:\n  tenure node add db-4 --zone b --label disk=nvme")]
    Add(AddArgs),
    /// Change a node's zone, labels or weight
    #[command(after_help = "Example:\n  tenure node update db-4 --weight 50")]
    Update(node_change::UpdateArgs),
    /// Remove a node for good; its number is never used again
    #[command(after_help = "\
Copies of items that it holds are first made elsewhere, for at most --deadline; when that does not succeed it
stays draining, and the exit code is 1. Other instances have to be removed before. It is refused when items
would be left with too few copies; they are named.

Example:
  tenure node remove db-4 --reason sold
  tenure node remove storage-4 --deadline 1h")]
    Remove(node_remove::RemoveArgs),
    /// Let a node take roles; the same as `tenure activate`
    #[command(after_help = "Example:\n  tenure node activate db-4")]
    Activate(LifecycleArgs),
    /// Have a node's primaries moved elsewhere; the same as `tenure drain`
    #[command(after_help = "Example:\n  tenure node drain db-4 --reason 'new disks'")]
    Drain(DrainArgs),
    /// Empty a node and mark it as worked on; the same as `tenure maintenance`
    #[command(after_help = "Example:\n  tenure node maintenance db-4 --reason 'new disks'")]
    Maintenance(LifecycleArgs),
    /// Begin a node's next incarnation, as its agent does when it starts
    #[command(after_help = "Example:\n  tenure node join db-4")]
    Join {
        /// Its name, or its number as id:7
        #[arg(value_parser = args::node)]
        node: NodeRef,
        /// The incarnation that it had; read when left out
        #[arg(long, value_name = "N")]
        last: Option<u64>,
    },
}

/// A node to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name: a-z, 0-9 and -
    name: NodeName,
    /// Its failure domain
    #[arg(long)]
    zone: Option<Zone>,
    /// A label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = args::pair)]
    label: Vec<(String, String)>,
    /// Its relative share, 0 to 100000
    #[arg(long, default_value_t = 100)]
    weight: u32,
}

pub(super) async fn run(command: NodeCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        NodeCommand::List { removed } => list(removed, context).await,
        NodeCommand::Show { node } => show(&node, context).await,
        NodeCommand::Add(args) => add(args, context).await,
        NodeCommand::Update(args) => node_change::update(args, context).await,
        NodeCommand::Remove(args) => node_remove::run(args, context).await,
        NodeCommand::Activate(args) => lifecycle::activate(args, context).await,
        NodeCommand::Drain(args) => lifecycle::drain(args, context).await,
        NodeCommand::Maintenance(args) => lifecycle::maintenance(args, context).await,
        NodeCommand::Join { node, last } => join(node, last, context).await,
    }
}

async fn list(removed: bool, context: &Context) -> Result<Exit, Failure> {
    let state = context
        .cluster()
        .await?
        .state(&[RecordKind::Node], &[])
        .await?;
    let nodes: Vec<&Node> = state
        .nodes()
        .values()
        .map(AsRef::as_ref)
        .filter(|node| removed || node.is_present())
        .collect();
    let shapes: Vec<shape::Node> = nodes.iter().map(|node| (*node).into()).collect();
    context.out.show(&shapes, || table(context.out, &nodes))?;
    Ok(Exit::Ok)
}

fn table(out: Out, nodes: &[&Node]) -> String {
    let mut grid = out.grid(&[
        "node",
        "id",
        "zone",
        "lifecycle",
        "incarnation",
        "weight",
        "labels",
    ]);
    for node in nodes {
        grid.row([
            node.name.to_string(),
            node.id.to_string(),
            node.zone
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            node.lifecycle.to_string(),
            node.incarnation.to_string(),
            node.weight.to_string(),
            labels(&node.labels),
        ]);
    }
    grid.to_string()
}

fn labels(labels: &Attributes) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if pairs.is_empty() {
        "-".to_owned()
    } else {
        pairs.join(" ")
    }
}

/// What `node show --json` prints.
#[derive(Serialize)]
struct NodeShape {
    node: shape::Node,
    instances: Vec<shape::Instance>,
    pin: Option<shape::Pin>,
}

async fn show(node: &NodeRef, context: &Context) -> Result<Exit, Failure> {
    let kinds = [
        RecordKind::Node,
        RecordKind::Service,
        RecordKind::Assignment,
        RecordKind::Instance,
        RecordKind::Pin,
    ];
    let state = context.cluster().await?.state(&kinds, &[]).await?;
    let node = find_node(&state, node)?;
    let instances = state
        .services_on(node.id)
        .filter_map(|service| state.instance(service, node.id))
        .map(|instance| shape::Instance::new(&state, instance))
        .collect();
    let pin = state
        .pins()
        .get(&node.id)
        .map(|pin| shape::Pin::new(&state, pin));
    let shape = NodeShape {
        node: node.into(),
        instances,
        pin,
    };
    context
        .out
        .show(&shape, || describe(context.out, &state, node))?;
    Ok(Exit::Ok)
}

fn describe(out: Out, state: &State, node: &Node) -> String {
    let mut text = table(out, &[node]);
    if !node.reason.as_str().is_empty() {
        text.push_str(&format!("\nreason: {}", escape(node.reason.as_str())));
    }
    if let Some(pin) = state.pins().get(&node.id) {
        text.push_str(&format!(
            "\npinned {}: {}",
            pin.kind,
            escape(pin.reason.as_str())
        ));
    }
    let instances = state
        .services_on(node.id)
        .filter_map(|service| state.instance(service, node.id));
    format!(
        "{text}\n\n{}",
        super::instance::table(out, state, instances.map(AsRef::as_ref))
    )
}

async fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let AddArgs {
        name,
        zone,
        label,
        weight,
    } = args;
    let labels = args::attributes(&Attributes::default(), &label, &[])?;
    let what = format!("node {name} added");
    let command = Command::AddNode {
        name,
        zone,
        labels,
        weight,
    };
    let done = context.cluster().await?.execute(command).await?;
    context.done(&what, done)
}

async fn join(node: NodeRef, last: Option<u64>, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let last = match last {
        Some(last) => Incarnation(last),
        None => find_node(&cluster.state(&[RecordKind::Node], &[]).await?, &node)?.incarnation,
    };
    let what = format!("node {node} joined, in incarnation {}", last.next());
    let done = cluster.execute(Command::JoinNode { node, last }).await?;
    context.done(&what, done)
}
