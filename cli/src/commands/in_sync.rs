//! `set-in-sync`: who holds every acknowledged write.

use super::{Context, find_node, find_service};
use crate::{
    args,
    exit::{Exit, Failure},
};
use clap::Args;
use std::collections::BTreeSet;
use tenure_core::{Command, Epoch, NodeRef, RecordKind, Revision, ServiceName};

/// Which instances of which service.
#[derive(Debug, Args)]
#[command(after_help = "\
Under loss = \"never\" only one of them can be made primary. The primary is always one of them.

Example:
  tenure set-in-sync redis-server db-1 db-2 db-3")]
pub struct SetInSyncArgs {
    /// The service
    service: ServiceName,
    /// All nodes whose instance holds every acknowledged write, the primary's among them
    #[arg(required = true, value_parser = args::node)]
    nodes: Vec<NodeRef>,
    /// The epoch in which that holds; read when left out
    #[arg(long, value_name = "EPOCH")]
    expected_epoch: Option<u64>,
    /// Only if the assignment is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

pub(super) async fn run(args: SetInSyncArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let kinds = [
        RecordKind::Node,
        RecordKind::Service,
        RecordKind::Assignment,
    ];
    let state = cluster
        .state(&kinds, std::slice::from_ref(&args.service))
        .await?;
    let service = find_service(&state, &args.service)?;
    let Some(now) = state.assignment(&args.service) else {
        let kind = service.kind();
        return Err(Failure::invalid(format!(
            "{} is of kind {kind}: it has no in-sync set",
            args.service
        )));
    };
    let mut in_sync = BTreeSet::new();
    for node in &args.nodes {
        in_sync.insert(find_node(&state, node)?.id);
    }
    let what = format!(
        "{} instance(s) of {} are in sync",
        in_sync.len(),
        args.service
    );
    let command = Command::SetInSync {
        service: args.service,
        epoch: args.expected_epoch.map_or(now.epoch, Epoch),
        expected: args.expected.map_or(now.modified, Revision),
        in_sync,
    };
    let done = cluster.execute(command).await?;
    context.done(&what, done)
}
