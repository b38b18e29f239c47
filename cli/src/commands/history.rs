//! `history`: the latest changes.

use super::Context;
use crate::{
    clock,
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::Args;
use tenure_core::HistoryEntry;

/// How much of the history.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure history --limit 20")]
pub struct HistoryArgs {
    /// At most so many changes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub(super) async fn run(args: HistoryArgs, context: &Context) -> Result<Exit, Failure> {
    let entries = context.cluster().await?.history(args.limit).await?;
    let shapes: Vec<shape::HistoryEntry> = entries.iter().map(Into::into).collect();
    context.out.show(&shapes, || table(context.out, &entries))?;
    Ok(Exit::Ok)
}

fn table(out: Out, entries: &[HistoryEntry]) -> String {
    let mut grid = out.grid(&["revision", "when", "who", "what"]);
    for entry in entries {
        grid.row([
            entry.revision.to_string(),
            clock::utc(entry.stamp),
            entry.actor.to_string(),
            entry.what.to_string(),
        ]);
    }
    grid.to_string()
}
