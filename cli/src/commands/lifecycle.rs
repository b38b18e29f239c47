//! `drain`, `maintenance` and `activate`: nodes that are emptied, worked on, and taken into use again.

mod emptying;
pub(super) mod evacuation;

use super::{Context, DoneShape, copies::Step, find_node};
use crate::{
    args,
    cluster::Cluster,
    exit::{Exit, Failure},
    output::{escape, shape},
};
use clap::Args;
use emptying::{Emptied, Left, MovedAway};
use evacuation::Remaining;
use serde::Serialize;
use tenure_core::{Command, Done, Lifecycle, Node, NodeRef, Note, RecordKind, Revision, State};
use tokio::time::Instant;

/// A node, and why it is moved along its lifecycle.
#[derive(Debug, Args)]
pub struct LifecycleArgs {
    /// Its name, or its number as id:7
    #[arg(value_parser = args::node)]
    pub(super) node: NodeRef,
    /// Why; shown to others
    #[arg(long, value_parser = args::note, default_value = "")]
    pub(super) reason: Note,
    /// Only if the node is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    pub(super) expected: Option<u64>,
}

/// A node to empty.
#[derive(Debug, Args)]
pub struct DrainArgs {
    #[command(flatten)]
    of: LifecycleArgs,
    /// Wait until it is primary of nothing and holds no copies of items, for at most --deadline; exit code 1
    /// when it still is or does
    #[arg(long)]
    wait: bool,
    /// Drain also where items cannot be given all of the copies that are wanted of them
    #[arg(long)]
    accept_loss: bool,
}

/// What `drain` and `maintenance` print with `--json`.
#[derive(Serialize)]
struct LifecycleShape<'a> {
    #[serde(flatten)]
    done: DoneShape<'a>,
    /// What the node was primary of, and who is now.
    moved: Vec<MovedAway>,
    /// What it is still primary of.
    left: Vec<Left>,
    /// Items of which it still has copies.
    copies: Vec<Remaining>,
}

pub(super) async fn activate(args: LifecycleArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let node = read(&cluster, &args.node).await?;
    let done = send(&cluster, &node, Lifecycle::Active, &args).await?;
    context.done(&format!("node {} is active", node.name), done)
}

pub(super) async fn drain(args: DrainArgs, context: &Context) -> Result<Exit, Failure> {
    let until = Instant::now() + context.global.deadline;
    let cluster = context.cluster().await?;
    let node = read(&cluster, &args.of.node).await?;
    let before = emptying::held(&cluster, &node).await?;
    let services = evacuation::services(&cluster, &node).await?;
    // Whoever only wants to wait is not refused because it is draining already.
    let goes_on = args.wait && args.of.expected.is_none() && node.lifecycle == Lifecycle::Draining;
    let done = if goes_on {
        unchanged(&node)
    } else {
        match begin_drain(&cluster, &node, &args.of, args.accept_loss).await {
            Ok(done) => done,
            Err(why) => {
                let why = evacuation::explained(why, &cluster, &node, Step::Drain);
                return Err(why.await);
            }
        }
    };
    let (emptied, copies) = if args.wait {
        let emptied = emptying::wait(&cluster, &node, before, context).await?;
        let copies = evacuation::wait(&cluster, &node, &services, until, context).await?;
        (emptied, copies)
    } else {
        let emptied = emptying::look(&cluster, &node, before).await?;
        (emptied, evacuation::look(&cluster, &node, &services).await?)
    };
    let what = format!("node {} is draining", node.name);
    let exit = match (emptied.is_empty() && copies.is_empty()) || !args.wait {
        true => Exit::Ok,
        false => Exit::Warning,
    };
    tell(&what, done, emptied, copies, context)?;
    Ok(exit)
}

/// Drains first what is primary of something: under maintenance its silence would alarm nobody.
pub(super) async fn maintenance(args: LifecycleArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let mut node = read(&cluster, &args.node).await?;
    let before = emptying::held(&cluster, &node).await?;
    let mut emptied = Emptied::default();
    let mut expected = args.expected;
    if !before.is_empty() {
        if node.lifecycle != Lifecycle::Draining {
            send(&cluster, &node, Lifecycle::Draining, &args).await?;
            expected = None;
        }
        emptied = emptying::wait(&cluster, &node, before, context).await?;
        node = read(&cluster, &NodeRef::Id(node.id)).await?;
    }
    if !emptied.is_empty() {
        let what = format!(
            "node {} is draining and not under maintenance, because it still is primary of something",
            node.name
        );
        tell(&what, unchanged(&node), emptied, vec![], context)?;
        return Ok(Exit::Warning);
    }
    let args = LifecycleArgs { expected, ..args };
    let done = send(&cluster, &node, Lifecycle::Maintenance, &args).await?;
    let what = format!("node {} is under maintenance", node.name);
    tell(&what, done, emptied, vec![], context)?;
    Ok(Exit::Ok)
}

fn unchanged(node: &Node) -> Done {
    Done {
        revision: node.modified,
        created: None,
    }
}

async fn read(cluster: &Cluster, node: &NodeRef) -> Result<Node, Failure> {
    let state: State = cluster.state(&[RecordKind::Node], &[]).await?;
    find_node(&state, node).cloned()
}

async fn send(
    cluster: &Cluster,
    node: &Node,
    to: Lifecycle,
    args: &LifecycleArgs,
) -> Result<Done, Failure> {
    set(cluster, node, to, args, false).await
}

pub(super) async fn begin_drain(
    cluster: &Cluster,
    node: &Node,
    args: &LifecycleArgs,
    accept_loss: bool,
) -> Result<Done, Failure> {
    set(cluster, node, Lifecycle::Draining, args, accept_loss).await
}

async fn set(
    cluster: &Cluster,
    node: &Node,
    to: Lifecycle,
    args: &LifecycleArgs,
    accept_loss: bool,
) -> Result<Done, Failure> {
    let command = Command::SetLifecycle {
        node: NodeRef::Id(node.id),
        expected: args.expected.map_or(node.modified, Revision),
        to,
        reason: args.reason.clone(),
        accept_loss,
    };
    cluster.execute(command).await
}

fn tell(
    what: &str,
    done: Done,
    emptied: Emptied,
    copies: Vec<Remaining>,
    context: &Context,
) -> Result<(), Failure> {
    let shape = LifecycleShape {
        done: DoneShape {
            what,
            done: shape::Done::from(done),
        },
        moved: emptied.moved,
        left: emptied.left,
        copies,
    };
    context.out.show(&shape, || text(&shape, done.revision))
}

/// What has moved was told when it did.
fn text(shape: &LifecycleShape<'_>, revision: Revision) -> String {
    let heading = format!("{} (revision {revision})", shape.done.what);
    let left = shape.left.iter().map(ToString::to_string);
    let copies = shape.copies.iter().map(ToString::to_string);
    let lines = std::iter::once(heading).chain(left).chain(copies);
    lines
        .map(|line| escape(&line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::{
        ServiceName,
        controller::{Hold, HoldCode},
    };

    #[test]
    fn what_has_not_moved_is_told_with_its_reason() {
        let name = |text: &str| ServiceName::new(text).unwrap();
        let hold = Hold::new(HoldCode::NoCandidate, "db-3: it is not in sync yet");
        let moved = MovedAway::new(&name("redis-server"), "db-2", 5);
        assert_eq!(moved.to_string(), "redis-server: moved to db-2, epoch 5");
        let emptied = Emptied {
            moved: vec![moved],
            left: vec![
                Left::new(&name("mysql-server"), Some(&Err(hold))),
                Left::new(&name("queue"), None),
            ],
        };
        let done = Done {
            revision: Revision(88),
            created: None,
        };
        let shape = LifecycleShape {
            done: DoneShape {
                what: "node db-1 is draining",
                done: done.into(),
            },
            moved: emptied.moved,
            left: emptied.left,
            copies: vec![],
        };
        let wanted = "\
node db-1 is draining (revision 88)
mysql-server: still primary here; held: no candidate: db-3: it is not in sync yet
queue: still primary here";
        assert_eq!(text(&shape, done.revision), wanted);
        let json = serde_json::to_value(&shape).unwrap();
        let known = [
            "what", "revision", "node", "epoch", "moved", "left", "copies",
        ];
        assert!(known.iter().all(|key| json.get(key).is_some()), "{json}");
        assert_eq!(json["left"][0]["hold"]["code"], 7);
    }
}
