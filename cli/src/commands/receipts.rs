//! `receipts`: what the latest changes of primary rested on.

pub(super) mod wording;

use super::{Context, find_service};
use crate::{
    exit::{Exit, Failure},
    output::shape,
};
use clap::Args;
use tenure_core::{Receipt, RecordKind, ServiceName, State};

/// Of what, and how many.
#[derive(Debug, Args)]
#[command(after_help = "\
Newest first. Times are milliseconds after the last sign of life of the old primary or, where it was
asked for, after its writes were paused.

Example:
  tenure receipts redis-server --limit 3")]
pub struct ReceiptsArgs {
    /// Only of this service; of all when left out
    service: Option<ServiceName>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

pub(super) async fn run(args: ReceiptsArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let wanted: &[ServiceName] = args.service.as_slice();
    let kinds = [RecordKind::Node, RecordKind::Service];
    let state = cluster.state(&kinds, wanted).await?;
    if let Some(name) = &args.service {
        find_service(&state, name)?;
    }
    let receipts = cluster.receipts(args.service.as_ref(), args.limit).await?;
    let shapes: Vec<_> = receipts
        .iter()
        .map(|receipt| shape::Receipt::new(&state, receipt))
        .collect();
    context.out.show(&shapes, || text(&state, &receipts))?;
    Ok(Exit::Ok)
}

fn text(state: &State, receipts: &[Receipt]) -> String {
    if receipts.is_empty() {
        return "no primary was moved yet, or only by hand (`tenure history`)".to_owned();
    }
    let blocks = receipts.iter().map(|one| wording::block(state, one));
    blocks.collect::<Vec<_>>().join("\n\n")
}
