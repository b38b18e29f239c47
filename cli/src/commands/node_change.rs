//! Changes of a node that rest on the record as it was read.

use super::{Context, find_node};
use crate::{
    args,
    exit::{Exit, Failure},
};
use clap::Args;
use tenure_core::{Command, NodeRef, RecordKind, Revision, Zone};

/// What to change of a node.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Its name, or its number as id:7
    #[arg(value_parser = args::node)]
    node: NodeRef,
    /// Its failure domain
    #[arg(long, conflicts_with = "no_zone")]
    zone: Option<Zone>,
    /// Take its zone away
    #[arg(long)]
    no_zone: bool,
    /// A label to set; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = args::pair)]
    label: Vec<(String, String)>,
    /// A label to take away; may be given several times
    #[arg(long, value_name = "KEY")]
    no_label: Vec<String>,
    /// Its relative share, 0 to 100000
    #[arg(long)]
    weight: Option<u32>,
    /// Only if the node is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

pub(super) async fn update(args: UpdateArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(&[RecordKind::Node], &[]).await?;
    let now = find_node(&state, &args.node)?;
    let zone = if args.no_zone {
        None
    } else {
        args.zone.or_else(|| now.zone.clone())
    };
    let command = Command::UpdateNode {
        node: NodeRef::Id(now.id),
        expected: args.expected.map_or(now.modified, Revision),
        zone,
        labels: args::attributes(&now.labels, &args.label, &args.no_label)?,
        weight: args.weight.unwrap_or(now.weight),
    };
    let done = cluster.execute(command).await?;
    context.done(&format!("node {} updated", now.name), done)
}
