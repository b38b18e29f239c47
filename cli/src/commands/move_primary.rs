//! `switchover` and `failover`: primaries moved because an operator asks for it.

use super::{Context, find_node, find_service, receipts::wording};
use crate::{
    args,
    cluster::Cluster,
    exit::{Exit, Failure},
    output::{escape, shape},
};
use clap::Args;
use tenure_client::{FailoverOptions, MovedPrimary};
use tenure_core::{NodeRef, Note, RecordKind, ServiceName, State};

/// A primary that works, and where it is to go.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes are paused, the new primary catches up, and only then does it take over: no acknowledged write is
lost. When that takes longer than the cluster's `switchover` setting the old primary goes on. Exit code 1
when the leader decided not to, or took it back; the reason is printed.

Example:
  tenure switchover redis-server --to db-2 --reason 'new disks in db-1'")]
pub struct SwitchoverArgs {
    /// The service
    service: ServiceName,
    /// Where to: a node's name, or its number as id:7; the leader chooses when left out
    #[arg(long, value_name = "NODE", value_parser = args::node)]
    to: Option<NodeRef>,
    /// Why; shown to others
    #[arg(long, value_parser = args::note, default_value = "")]
    reason: Note,
}

/// A primary that does not work, and what takes its place.
#[derive(Debug, Args)]
#[command(after_help = "\
The old primary is fenced first: its agent confirms it, or its lease runs out. Nothing acknowledged is
lost unless --accept-loss is given and the service's policy allows it. The first primary of a service is
chosen with --to. Exit code 1 when the leader decided not to; the reason is printed.

Example:
  tenure failover redis-server
  tenure failover redis-server --to db-3 --accept-loss --reason 'db-1 and db-2 burnt down'")]
pub struct FailoverArgs {
    /// The service
    service: ServiceName,
    /// Where to: a node's name, or its number as id:7; the leader chooses when left out
    #[arg(long, value_name = "NODE", value_parser = args::node)]
    to: Option<NodeRef>,
    /// Allow the loss of acknowledged writes, as far as the service's policy does
    #[arg(long)]
    accept_loss: bool,
    /// Vouch that the old primary takes no more writes: it was switched off, or is cut off for good
    #[arg(long)]
    fenced: bool,
    /// Why; shown to others
    #[arg(long, value_parser = args::note, default_value = "")]
    reason: Note,
}

pub(super) async fn switchover(args: SwitchoverArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = known(&cluster, &args.service, args.to.as_ref()).await?;
    let moved = cluster
        .switchover(&args.service, args.to, args.reason)
        .await?;
    tell(&state, &args.service, &moved, context)
}

pub(super) async fn failover(args: FailoverArgs, context: &Context) -> Result<Exit, Failure> {
    let FailoverArgs {
        service,
        to,
        accept_loss,
        fenced,
        reason,
    } = args;
    let cluster = context.cluster().await?;
    let state = known(&cluster, &service, to.as_ref()).await?;
    let options = FailoverOptions {
        to,
        accept_loss,
        fenced,
        reason,
    };
    let moved = cluster.failover(&service, options).await?;
    tell(&state, &service, &moved, context)
}

/// The names that the answer needs, read first: what was mistyped is told before anything is asked.
async fn known(
    cluster: &Cluster,
    service: &ServiceName,
    to: Option<&NodeRef>,
) -> Result<State, Failure> {
    let kinds = [RecordKind::Node, RecordKind::Service];
    let state = cluster.state(&kinds, std::slice::from_ref(service)).await?;
    find_service(&state, service)?;
    if let Some(node) = to {
        find_node(&state, node)?;
    }
    Ok(state)
}

fn tell(
    state: &State,
    service: &ServiceName,
    moved: &MovedPrimary,
    context: &Context,
) -> Result<Exit, Failure> {
    let shape = shape::Moved::new(state, service, moved);
    context.out.show(&shape, || text(state, service, moved))?;
    Ok(match moved.receipt {
        Some(_) => Exit::Ok,
        None => Exit::Warning,
    })
}

fn text(state: &State, service: &ServiceName, moved: &MovedPrimary) -> String {
    let name = shape::node_name(state, moved.node);
    let mut text = escape(&format!(
        "{service}: {name} is primary, epoch {}",
        moved.epoch
    ));
    match &moved.receipt {
        None => text.push_str(&format!(
            "\nit is decided, and {name} has not confirmed yet that it serves: `tenure explain {service}`"
        )),
        Some(receipt) => {
            if let Some(outage) = wording::outage(receipt) {
                text.push_str(&format!("\n{outage}"));
            }
            text.push_str(&format!("\n\n{}", wording::body(state, receipt)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        super::receipts::wording::tests::{failover, nodes},
        *,
    };
    use tenure_core::{Epoch, NodeId};

    #[test]
    fn the_answer_says_who_is_primary_and_what_it_cost() {
        let service = ServiceName::new("redis-server").unwrap();
        let mut moved = MovedPrimary {
            node: NodeId(2),
            epoch: Epoch(5),
            receipt: Some(failover()),
        };
        let told = text(&nodes(), &service, &moved);
        let heading = "\
redis-server: db-2 is primary, epoch 5
it served 1024 ms after the last sign of life of the old one

  fence         its lease ran out (1010 ms silent)
";
        assert!(told.starts_with(heading), "{told}");
        moved.receipt = None;
        let told = text(&nodes(), &service, &moved);
        assert!(told.ends_with("`tenure explain redis-server`"), "{told}");
    }
}
