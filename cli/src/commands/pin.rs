//! `pin`: an operator's word on a node.

use super::{
    Context, find_node,
    until::{self, UntilArgs},
};
use crate::{
    args, clock,
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::{Args, Subcommand, ValueEnum};
use tenure_core::{Command, NodeRef, Note, PinKind, RecordKind, Revision, State};

/// What to do with pins.
#[derive(Debug, Subcommand)]
pub enum PinCommand {
    /// List the pins
    #[command(after_help = "Example:\n  tenure pin list")]
    List,
    /// Pin a node up or down, in place of the pin that it may have
    #[command(after_help = "\
Whether it has ended is told by the leader's clock.

Example:
  tenure pin set db-2 down --for 2h --reason 'disk is being replaced'
  tenure pin set db-1 up --until 2030-01-31T18:00Z --reason 'audit'")]
    Set(SetArgs),
    /// Take a node's pin away
    #[command(after_help = "Example:\n  tenure pin remove db-2")]
    Remove {
        /// The node: its name, or its number as id:7
        #[arg(value_parser = args::node)]
        node: NodeRef,
        /// Only if the pin is as of this revision (its `modified`); read when left out
        #[arg(long, value_name = "REVISION")]
        expected: Option<u64>,
    },
}

/// What a pin says.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    /// Nothing is to be moved away from the node by itself
    Up,
    /// The node is to be primary of nothing
    Down,
}

impl From<KindArg> for PinKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Up => Self::Up,
            KindArg::Down => Self::Down,
        }
    }
}

/// A pin to set.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The node: its name, or its number as id:7
    #[arg(value_parser = args::node)]
    node: NodeRef,
    /// What it says
    #[arg(value_enum)]
    pin: KindArg,
    #[command(flatten)]
    until: UntilArgs,
    /// Why; shown to others
    #[arg(long, value_parser = args::note)]
    reason: Note,
    /// Only if the pin is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

const KINDS: &[RecordKind] = &[RecordKind::Node, RecordKind::Pin];

pub(super) async fn run(command: PinCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        PinCommand::List => list(context).await,
        PinCommand::Set(args) => set(args, context).await,
        PinCommand::Remove { node, expected } => remove(&node, expected, context).await,
    }
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let state = context.cluster().await?.state(KINDS, &[]).await?;
    let shapes: Vec<_> = state
        .pins()
        .values()
        .map(|pin| shape::Pin::new(&state, pin))
        .collect();
    context.out.show(&shapes, || table(context.out, &state))?;
    Ok(Exit::Ok)
}

fn table(out: Out, state: &State) -> String {
    let mut grid = out.grid(&["node", "pin", "until", "reason"]);
    for pin in state.pins().values() {
        grid.row([
            shape::node_name(state, pin.node),
            pin.kind.to_string(),
            pin.until.map_or_else(|| "-".to_owned(), clock::utc),
            pin.reason.to_string(),
        ]);
    }
    grid.to_string()
}

async fn set(args: SetArgs, context: &Context) -> Result<Exit, Failure> {
    let until = args.until.end(clock::now())?;
    let cluster = context.cluster().await?;
    let state = cluster.state(KINDS, &[]).await?;
    let node = find_node(&state, &args.node)?;
    let command = Command::SetPin {
        node: NodeRef::Id(node.id),
        expected: args
            .expected
            .map(Revision)
            .or(state.pins().get(&node.id).map(|pin| pin.modified)),
        kind: args.pin.into(),
        until,
        reason: args.reason,
    };
    let done = cluster.execute(command).await?;
    let what = format!(
        "node {} pinned {} {}",
        node.name,
        PinKind::from(args.pin),
        until::wording(until)
    );
    context.done(&what, done)
}

async fn remove(node: &NodeRef, expected: Option<u64>, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(KINDS, &[]).await?;
    let node = find_node(&state, node)?;
    let Some(pin) = state.pins().get(&node.id) else {
        return Err(Failure::not_found(format!("node {} has no pin", node.name)));
    };
    let command = Command::RemovePin {
        node: NodeRef::Id(node.id),
        expected: expected.map_or(pin.modified, Revision),
    };
    let done = cluster.execute(command).await?;
    context.done(&format!("pin of node {} removed", node.name), done)
}
