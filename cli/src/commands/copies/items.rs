//! `copies where` and `copies under-replicated`: items with all of their copies.

use super::{Context, OfService, item};
use crate::{
    cluster::failure,
    exit::{Exit, Failure},
    output::{Out, amount, remark, shape},
};
use clap::Args;
use std::collections::BTreeSet;
use tenure_client::{
    Consistency,
    copies::{CopyOf, ItemCopies, Items},
};
use tenure_core::copies::{CopyState, ITEMS_PER_REQUEST_MAX, ItemName};

/// Which items.
#[derive(Debug, Args)]
pub struct WhereArgs {
    /// The items
    #[arg(required = true, value_name = "ITEM", value_parser = item)]
    items: Vec<ItemName>,
    #[command(flatten)]
    of: OfService,
}

/// How many of them.
#[derive(Debug, Args)]
pub struct UnderReplicatedArgs {
    #[command(flatten)]
    of: OfService,
    /// List at most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4096))]
    limit: u32,
}

pub(super) async fn find(args: WhereArgs, context: &Context) -> Result<Exit, Failure> {
    if args.items.len() > ITEMS_PER_REQUEST_MAX {
        return Err(Failure::invalid(format!(
            "{} items were named, at most {ITEMS_PER_REQUEST_MAX} can be asked for at a time",
            args.items.len()
        )));
    }
    let cluster = context.cluster().await?;
    let copies = args.of.find(&cluster).await?;
    let found = copies.items(&args.items, Consistency::Linearizable).await;
    let found = found.map_err(failure)?;
    show(&found, context)?;
    let there: BTreeSet<&ItemName> = found.items.iter().map(|item| &item.name).collect();
    let mut exit = found.items.iter().map(exit).max().unwrap_or(Exit::Ok);
    for name in args.items.iter().filter(|name| !there.contains(name)) {
        remark(&format!("there is no item {name}"));
        exit = exit.max(Exit::Warning);
    }
    Ok(exit)
}

pub(super) async fn under_replicated(
    args: UnderReplicatedArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let copies = args.of.find(&cluster).await?;
    let found = copies.under_replicated(args.limit, Consistency::Linearizable);
    let found = found.await.map_err(failure)?;
    show(&found, context)?;
    if found.more {
        remark("there are more; --limit shows them");
    }
    Ok(found.items.iter().map(exit).max().unwrap_or(Exit::Ok))
}

/// One that was written and has no fresh copy that can be read is for somebody to act on.
fn exit(item: &ItemCopies) -> Exit {
    let readable = |copy: &CopyOf| {
        let fresh = matches!(copy.state, CopyState::InSync | CopyState::Leaving);
        fresh && !copy.lost
    };
    if item.version > 0 && !item.copies.iter().any(readable) {
        Exit::Critical
    } else if item.version > 0 && item.counted < item.wanted {
        Exit::Warning
    } else {
        Exit::Ok
    }
}

fn show(found: &Items, context: &Context) -> Result<(), Failure> {
    let shapes: Vec<_> = found
        .items
        .iter()
        .map(|item| shape::Item::new(item, &found.holders))
        .collect();
    context.out.show(&shapes, || text(context.out, found))
}

fn text(out: Out, found: &Items) -> String {
    if found.items.is_empty() {
        return "none".to_owned();
    }
    let mut grid = out.grid(&["item", "version", "size", "fresh", "copies"]);
    for item in &found.items {
        let copy = |copy: &CopyOf| {
            let name = shape::holder_name(&found.holders, copy.node);
            let lost = if copy.lost { ", lost" } else { "" };
            format!("{name} ({}{lost})", copy.state)
        };
        let copies: Vec<String> = item.copies.iter().map(copy).collect();
        grid.row([
            item.name.to_string(),
            item.version.to_string(),
            amount::bytes(item.size),
            format!("{} of {}", item.counted, item.wanted),
            copies.join(", "),
        ]);
    }
    grid.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_client::{Header, copies::HolderAt};
    use tenure_core::{Millis, NodeId, NodeName, Revision, ServerId};

    fn found(lost: bool) -> Items {
        let copy = |node, state, lost| CopyOf {
            node: NodeId(node),
            state,
            lost,
        };
        Items {
            header: Header {
                revision: Revision(9),
                age: Millis(0),
                server: ServerId(1),
            },
            items: vec![ItemCopies {
                name: ItemName::new("pages/a").unwrap(),
                version: 4,
                checksum: None,
                size: 10,
                wanted: 2,
                counted: 1,
                copies: vec![
                    copy(1, CopyState::InSync, lost),
                    copy(2, CopyState::Stale, true),
                ],
            }],
            more: false,
            holders: [(
                NodeId(1),
                HolderAt {
                    name: NodeName::new("storage-1").ok(),
                    zone: None,
                    endpoint: None,
                },
            )]
            .into(),
        }
    }

    #[test]
    fn each_copy_is_told_with_its_state() {
        let out = Out {
            json: false,
            width: None,
        };
        let wanted = "\
ITEM     VERSION  SIZE  FRESH   COPIES
pages/a  4        10 B  1 of 2  storage-1 (in sync), id:2 (stale, lost)";
        assert_eq!(text(out, &found(false)), wanted);
        assert_eq!(exit(&found(false).items[0]), Exit::Warning);
        assert_eq!(exit(&found(true).items[0]), Exit::Critical);
    }
}
