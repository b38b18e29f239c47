//! `node remove`: a node that goes for good. What it holds copies of has copies elsewhere first.

use super::{
    Context,
    copies::Step,
    find_node,
    lifecycle::{self, LifecycleArgs, evacuation},
};
use crate::{
    cluster::{Cluster, failure},
    exit::{Exit, Failure},
};
use clap::Args;
use tenure_core::{Command, Lifecycle, Node, NodeRef, RecordKind, Revision, ServiceName};
use tokio::time::Instant;

/// A node to remove.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    of: LifecycleArgs,
    /// Remove it at once, also when items are left with too few copies, or with none
    #[arg(long)]
    accept_loss: bool,
}

pub(super) async fn run(args: RemoveArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let node = read(&cluster, &args.of.node).await?;
    let services = evacuation::services(&cluster, &node).await?;
    if services.is_empty() {
        return remove(&cluster, &node, &args, context).await;
    }
    // It is given nothing any more, and does not register again what is taken away below.
    if node.lifecycle != Lifecycle::Draining
        && let Err(why) = lifecycle::begin_drain(&cluster, &node, &args.of, args.accept_loss).await
    {
        return Err(evacuation::explained(why, &cluster, &node, Step::Drain).await);
    }
    if !args.accept_loss {
        let until = Instant::now() + context.global.deadline;
        let left = evacuation::wait(&cluster, &node, &services, until, context).await?;
        if !left.is_empty() {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            return Err(Failure::new(
                crate::exit::Why::Held,
                format!(
                    "node {} is draining and not removed yet: {}; the same command again goes on",
                    node.name,
                    left.join("; ")
                ),
            ));
        }
    }
    for service in &services {
        take_away(&cluster, &node, service, args.accept_loss).await?;
    }
    let node = read(&cluster, &NodeRef::Id(node.id)).await?;
    let of = LifecycleArgs {
        expected: None,
        ..args.of
    };
    remove(&cluster, &node, &RemoveArgs { of, ..args }, context).await
}

async fn read(cluster: &Cluster, node: &NodeRef) -> Result<Node, Failure> {
    let state = cluster.state(&[RecordKind::Node], &[]).await?;
    find_node(&state, node).cloned()
}

/// Takes a node's instance out of a service that keeps copies of items, with what the ledger has of it.
async fn take_away(
    cluster: &Cluster,
    node: &Node,
    service: &ServiceName,
    accept_loss: bool,
) -> Result<(), Failure> {
    let id = NodeRef::Id(node.id);
    let copies = cluster.client().copies(service.clone());
    if let Err(why) = copies.empty_store(&id, accept_loss).await {
        let why = evacuation::explained(failure(why), cluster, node, Step::Removal);
        return Err(why.await);
    }
    let kinds = [RecordKind::Service, RecordKind::Instance];
    let state = cluster.state(&kinds, std::slice::from_ref(service)).await?;
    let Some(instance) = state.instance(service, node.id) else {
        return Ok(());
    };
    let command = Command::RemoveInstance {
        service: service.clone(),
        node: id,
        expected: instance.modified,
    };
    cluster.execute(command).await.map(drop)
}

async fn remove(
    cluster: &Cluster,
    node: &Node,
    args: &RemoveArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let command = Command::RemoveNode {
        node: NodeRef::Id(node.id),
        expected: args.of.expected.map_or(node.modified, Revision),
        reason: args.of.reason.clone(),
    };
    let done = cluster.execute(command).await?;
    context.done(&format!("node {} removed", node.name), done)
}
