//! `copies rebalance`: copies moved to where they belong.

use super::{Context, OfService, look};
use crate::{
    cluster::failure,
    exit::{Exit, Failure},
    output::{Bar, Out, amount, escape, shape},
};
use clap::Args;
use std::{collections::BTreeMap, time::Duration};
use tenure_client::{
    Copies,
    copies::{Balanced, CopiesStatus, RebalanceAction},
};
use tenure_core::{NodeId, ServiceName};
use tokio::time::{Instant, sleep};

/// How often it is looked how far it has got.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What to do.
#[derive(Debug, Args)]
pub struct RebalanceArgs {
    #[command(flatten)]
    of: OfService,
    #[command(flatten)]
    what: WhatArgs,
    /// Wait until everything is where it belongs, for at most --deadline; exit code 1 when it is not
    #[arg(long, conflicts_with_all = ["dry_run", "pause", "cancel"])]
    wait: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct WhatArgs {
    /// Tell what would be moved, and move nothing
    #[arg(long)]
    dry_run: bool,
    /// Let the one that goes on wait
    #[arg(long)]
    pause: bool,
    /// Let one that was paused go on
    #[arg(long)]
    resume: bool,
    /// End the one that goes on: what was begun is finished or let go
    #[arg(long)]
    cancel: bool,
}

impl WhatArgs {
    fn action(&self) -> (RebalanceAction, &'static str) {
        if self.dry_run {
            (RebalanceAction::DryRun, "")
        } else if self.pause {
            (RebalanceAction::Pause, "rebalancing is paused")
        } else if self.resume {
            (RebalanceAction::Resume, "rebalancing goes on")
        } else if self.cancel {
            (RebalanceAction::Cancel, "rebalancing has ended")
        } else {
            (RebalanceAction::Start, "rebalancing has begun")
        }
    }
}

pub(super) async fn run(args: RebalanceArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let copies = args.of.find(&cluster).await?;
    let (action, told) = args.what.action();
    let balanced = copies.rebalance(action).await.map_err(failure)?;
    if action == RebalanceAction::DryRun {
        let status = look(&copies).await?;
        let shape = shape::DryRun::new(copies.service(), &balanced);
        context
            .out
            .show(&shape, || dry_run(context.out, &balanced, &status))?;
        return Ok(Exit::Ok);
    }
    let (status, ended) = if args.wait {
        wait(&copies, context).await?
    } else {
        (look(&copies).await?, true)
    };
    let heading = match (args.wait, ended) {
        (false, _) => format!("{told}; `tenure copies status` tells how far it has got"),
        (true, true) => "every copy is where it belongs".to_owned(),
        (true, false) => {
            let within = amount::length(context.global.deadline);
            format!("not done within {within}, and it goes on")
        }
    };
    tell(copies.service(), &status, &heading, context)?;
    Ok(if ended { Exit::Ok } else { Exit::Warning })
}

fn tell(
    service: &ServiceName,
    status: &CopiesStatus,
    heading: &str,
    context: &Context,
) -> Result<(), Failure> {
    let shape = shape::CopiesOf::new(service, status);
    context.out.show(&shape, || escape(heading))
}

/// Waits until nothing is left to move. Gives what there is then, and whether that is so.
async fn wait(copies: &Copies, context: &Context) -> Result<(CopiesStatus, bool), Failure> {
    let until = Instant::now() + context.global.deadline;
    let mut bar = Bar::new(context.out.json);
    loop {
        let status = look(copies).await?;
        let left = left(&status);
        let moved = status.rebalance.map_or(0, |it| it.moves);
        let words = format!("{moved} copies to move found; {left} items are not in order yet");
        let (looked, total) = status.rebalance.map_or((1, 1), |it| (it.looked, it.total));
        bar.draw(looked.saturating_sub(left.min(looked)), total, &words);
        let done = status.rebalance.is_none() && left == 0;
        if done || Instant::now() + LOOK_EVERY >= until {
            return Ok((status, done));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Items that have a copy too many or too few: a move is under way.
fn left(status: &CopiesStatus) -> u64 {
    let summary = &status.summary;
    summary.spare.saturating_add(summary.under_replicated)
}

fn dry_run(out: Out, balanced: &Balanced, status: &CopiesStatus) -> String {
    let Balanced {
        looked,
        moves,
        bytes,
        nodes,
    } = balanced;
    let bytes = amount::bytes(*bytes);
    let heading = format!("{moves} copies of {looked} items would move ({bytes})");
    if nodes.is_empty() {
        return heading;
    }
    let names: BTreeMap<NodeId, &str> = status
        .stores
        .iter()
        .map(|store| (store.node, store.name.as_str()))
        .collect();
    let mut grid = out.grid(&["node", "comes", "leaves"]);
    for node in nodes {
        let name = names.get(&node.node).map(|name| (*name).to_owned());
        grid.row([
            name.unwrap_or_else(|| format!("id:{}", node.node)),
            node.comes.to_string(),
            node.leaves.to_string(),
        ]);
    }
    format!("{heading}\n\n{grid}")
}
