//! `copies verify`: copies compared with what is known of them.

use super::{Context, OfService, item, look};
use crate::{
    cluster::failure,
    exit::{Exit, Failure},
    output::{Bar, amount, escape, shape},
};
use clap::Args;
use std::time::Duration;
use tenure_client::{
    Copies,
    copies::{Differing, VerifyStatus},
};
use tenure_core::copies::ItemName;
use tokio::time::{Instant, sleep};

/// How often it is looked how far it has got.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What to compare.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The items; all when none are named
    #[arg(value_name = "ITEM", value_parser = item)]
    items: Vec<ItemName>,
    #[command(flatten)]
    of: OfService,
    /// Wait until all are compared, for at most --deadline
    #[arg(long, conflicts_with = "cancel")]
    wait: bool,
    /// End the comparison that goes on
    #[arg(long, conflicts_with = "items")]
    cancel: bool,
}

pub(super) async fn run(args: VerifyArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let copies = args.of.find(&cluster).await?;
    if args.cancel {
        copies.cancel_verify().await.map_err(failure)?;
        let verify = look(&copies).await?.verify.unwrap_or_default();
        return show(&verify, "no comparison goes on", context);
    }
    let to_compare = copies.verify(&args.items).await.map_err(failure)?;
    if !args.wait {
        let verify = VerifyStatus {
            running: true,
            copies: to_compare,
            ..VerifyStatus::default()
        };
        let heading = format!(
            "{to_compare} copies are being compared; `tenure copies status` tells how far it has got"
        );
        return show(&verify, &heading, context);
    }
    let verify = wait(&copies, context).await?;
    let heading = heading(&verify, context.global.deadline);
    show(&verify, &heading, context)
}

fn heading(verify: &VerifyStatus, deadline: Duration) -> String {
    let VerifyStatus {
        copies,
        compared,
        differ,
        unread,
        ..
    } = verify;
    let mut text = format!("{compared} of {copies} copies compared, {differ} differ");
    if *unread > 0 {
        text.push_str(&format!(
            ", {unread} could not be read in time or changed meanwhile"
        ));
    }
    if verify.running {
        let within = amount::length(deadline);
        text.push_str(&format!("; not all within {within}, and it goes on"));
    }
    text
}

async fn wait(copies: &Copies, context: &Context) -> Result<VerifyStatus, Failure> {
    let until = Instant::now() + context.global.deadline;
    let mut bar = Bar::new(context.out.json);
    loop {
        let verify = look(copies).await?.verify;
        let verify = verify.ok_or_else(|| {
            Failure::local("another server leads since: the comparison has ended, begin it again")
        })?;
        let words = format!("copies compared, {} differ", verify.differ);
        let done = verify.compared.saturating_add(verify.unread);
        bar.draw(done, verify.copies, &words);
        if !verify.running || Instant::now() + LOOK_EVERY >= until {
            return Ok(verify);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn show(verify: &VerifyStatus, heading: &str, context: &Context) -> Result<Exit, Failure> {
    let shape = shape::Verify::from(verify);
    context.out.show(&shape, || {
        let heading = std::iter::once(escape(heading));
        let differing = verify.differing.iter().map(line);
        heading.chain(differing).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if verify.differ > 0 {
        Exit::Warning
    } else {
        Exit::Ok
    })
}

fn line(differing: &Differing) -> String {
    let Differing { item, node, why } = differing;
    escape(&format!("  {item} on node {node}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_compared_is_told() {
        let mut verify = VerifyStatus {
            running: false,
            copies: 9,
            compared: 8,
            differ: 1,
            unread: 1,
            differing: vec![],
        };
        let within = Duration::from_secs(10);
        assert_eq!(
            heading(&verify, within),
            "8 of 9 copies compared, 1 differ, 1 could not be read in time or changed meanwhile"
        );
        verify.running = true;
        assert!(heading(&verify, within).ends_with("not all within 10 s, and it goes on"));
    }
}
