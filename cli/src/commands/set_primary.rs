//! `set-primary`: a manual change of primary.

use super::Context;
use crate::{
    args,
    exit::{Exit, Failure},
};
use clap::Args;
use tenure_core::{Command, Created, Epoch, NodeRef, Note, ServiceName};

/// Which change.
#[derive(Debug, Args)]
#[command(after_help = "\
For services without agents: it rests on no fence and no proof, and is rejected beside agents; see
`tenure switchover` and `tenure failover`.

The expected epoch is the one that `tenure primary SERVICE` shows: when another change came first, this
one is rejected instead of undoing it.

Example:
  tenure set-primary redis-server --to db-2 --expected-epoch 1 --reason 'new disks in db-1'")]
pub struct SetPrimaryArgs {
    /// The service
    service: ServiceName,
    /// Who is to be primary: a node's name, or its number as id:7
    #[arg(long, value_name = "NODE", value_parser = args::node)]
    to: NodeRef,
    /// The epoch that the change was decided on
    #[arg(long, value_name = "EPOCH")]
    expected_epoch: u64,
    /// Allow the loss of acknowledged writes, where the service's policy does
    #[arg(long)]
    accept_loss: bool,
    /// Why; shown to others
    #[arg(long, value_parser = args::note, default_value = "")]
    reason: Note,
}

pub(super) async fn run(args: SetPrimaryArgs, context: &Context) -> Result<Exit, Failure> {
    let SetPrimaryArgs {
        service,
        to,
        expected_epoch,
        accept_loss,
        reason,
    } = args;
    let moved = format!("{to} is primary of {service}");
    let succeeds = Epoch(expected_epoch);
    let command = Command::SetPrimary {
        service,
        to,
        succeeds,
        accept_loss,
        reason,
    };
    let done = context.cluster().await?.execute(command).await?;
    let what = match done.created {
        Some(Created::Epoch(epoch)) => format!("{moved}, epoch {epoch}"),
        Some(Created::Node(_) | Created::Client(_)) | None => moved,
    };
    context.done(&what, done)
}
