//! `copies obstacles`: the items that stand in the way when a node is to be drained or removed.

use super::Context;
use crate::{
    args,
    cluster::failure,
    commands::find_node,
    exit::{Exit, Failure},
    output::{escape, shape},
};
use clap::Args;
use tenure_client::copies::Obstacles;
use tenure_core::{NodeRef, RecordKind};

/// Of which node.
#[derive(Debug, Args)]
pub struct ObstaclesArgs {
    /// Its name, or its number as id:7
    #[arg(value_parser = args::node)]
    node: NodeRef,
    /// Name at most so many items of each service
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=4096))]
    limit: u32,
}

pub(super) async fn run(args: ObstaclesArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(&[RecordKind::Node], &[]).await?;
    let node = find_node(&state, &args.node)?;
    let admin = cluster.client().admin();
    let all = admin.obstacles(&NodeRef::Id(node.id), args.limit).await;
    let all = all.map_err(failure)?;
    let shapes: Vec<shape::InTheWay> = all.iter().map(Into::into).collect();
    context.out.show(&shapes, || {
        if all.is_empty() {
            return format!("{} holds no copies of items", node.name);
        }
        let drain = told(&all, Step::Drain);
        let removal = told(&all, Step::Removal);
        format!("drain:\n{drain}\nremoval:\n{removal}")
    })?;
    let clear = all.iter().all(|of| of.drain == 0 && of.removal == 0);
    Ok(if clear { Exit::Ok } else { Exit::Warning })
}

/// What is to be done with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is to be emptied.
    Drain,
    /// It is to go.
    Removal,
}

/// One line for each service.
pub fn told(all: &[Obstacles], step: Step) -> String {
    let lines = all.iter().map(|of| {
        let (count, items) = match step {
            Step::Drain => (of.drain, &of.drain_items),
            Step::Removal => (of.removal, &of.removal_items),
        };
        escape(&line(&of.service, of.items, count, items, step))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn line(service: &str, held: u64, count: u64, items: &[String], step: Step) -> String {
    if count == 0 {
        return format!("  {service}: nothing stands in the way; it has copies of {held} items");
    }
    let why = match step {
        Step::Drain => "could not be replaced elsewhere",
        Step::Removal => "would have too few fresh copies",
    };
    let named = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let more = match count.saturating_sub(named) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "  {service}: {count} items {why}: {}{more}",
        items.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_and_the_others_counted() {
        let of = Obstacles {
            service: "git-server".to_owned(),
            items: 9,
            drain: 0,
            drain_items: vec![],
            removal: 3,
            removal_items: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(
            told(std::slice::from_ref(&of), Step::Removal),
            "  git-server: 3 items would have too few fresh copies: a, b and 1 more"
        );
        assert_eq!(
            told(&[of], Step::Drain),
            "  git-server: nothing stands in the way; it has copies of 9 items"
        );
    }
}
