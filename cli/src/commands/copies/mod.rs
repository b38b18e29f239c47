//! `copies`: the items of services that keep each on several nodes, and what is done about those that lack copies.

mod items;
mod obstacles;
mod rebalance;
mod status;
mod verify;

use super::Context;
use crate::{
    cluster::{Cluster, failure},
    exit::{Exit, Failure},
};
use clap::{Args, Subcommand};
use tenure_client::{Copies, copies::CopiesStatus};
use tenure_core::{Kind, RecordKind, ServiceName, copies::ItemName};

pub(super) use obstacles::{Step, told};

/// What to do with items and their copies.
#[derive(Debug, Subcommand)]
pub enum CopiesCommand {
    /// Show how many items lack copies, which nodes hold how much, and what is being made good
    #[command(after_help = "\
Exit code 0 when every item has its fresh copies, 1 when some lack copies or a node is lost, 2 when an item
has no fresh copy that can be read.

Example:
  tenure copies status
  tenure copies status git-server --watch")]
    Status(status::StatusArgs),
    /// Show where items are, and how fresh each copy is
    #[command(after_help = "Example:\n  tenure copies where pages/index.html")]
    Where(items::WhereArgs),
    /// List the items that lack copies, the most endangered first: exit code 0 when there are none, 1 or 2
    #[command(after_help = "Example:\n  tenure copies under-replicated --limit 20")]
    UnderReplicated(items::UnderReplicatedArgs),
    /// Have the nodes read their copies and compare them with what is known
    #[command(after_help = "\
What differs or is missing is stale from then on and is made anew. Without --wait it goes on after the
answer, and `tenure copies status` tells how far it has got. With --wait exit code 1 says that some differ.

Example:
  tenure copies verify --wait --deadline 1h
  tenure copies verify pages/index.html --wait")]
    Verify(verify::VerifyArgs),
    /// Move copies to where they belong, as after a node joined
    #[command(after_help = "\
A move gives the right node a copy first and lets the other go when that is fresh: no item ever has less
than before.

Example:
  tenure copies rebalance --dry-run
  tenure copies rebalance --wait --deadline 1h
  tenure copies rebalance --pause")]
    Rebalance(rebalance::RebalanceArgs),
    /// Show what stands in the way when a node is to be drained or removed
    #[command(after_help = "Example:\n  tenure copies obstacles storage-1")]
    Obstacles(obstacles::ObstaclesArgs),
}

/// Which service.
#[derive(Debug, Args)]
struct OfService {
    /// The service; may be left out when only one keeps copies of items
    #[arg(long, value_name = "SERVICE")]
    service: Option<ServiceName>,
}

pub(super) async fn run(command: CopiesCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        CopiesCommand::Status(args) => status::run(args, context).await,
        CopiesCommand::Where(args) => items::find(args, context).await,
        CopiesCommand::UnderReplicated(args) => items::under_replicated(args, context).await,
        CopiesCommand::Verify(args) => verify::run(args, context).await,
        CopiesCommand::Rebalance(args) => rebalance::run(args, context).await,
        CopiesCommand::Obstacles(args) => obstacles::run(args, context).await,
    }
}

/// The services that keep copies of items.
async fn services(cluster: &Cluster) -> Result<Vec<ServiceName>, Failure> {
    let state = cluster.state(&[RecordKind::Service], &[]).await?;
    let services = state.services().values();
    let of_copies = services.filter(|service| service.policy.kind() == Kind::Copies);
    Ok(of_copies.map(|service| service.name.clone()).collect())
}

impl OfService {
    /// The service that is meant.
    async fn find(self, cluster: &Cluster) -> Result<Copies, Failure> {
        let name = match self.service {
            Some(name) => name,
            None => only(&services(cluster).await?)?,
        };
        Ok(cluster.client().copies(name))
    }
}

fn only(services: &[ServiceName]) -> Result<ServiceName, Failure> {
    match services {
        [one] => Ok(one.clone()),
        [] => Err(Failure::not_found(
            "no service keeps copies of items; `tenure service add NAME --kind copies` adds one",
        )),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Failure::invalid(format!(
                "say which service is meant with --service: {}",
                names.join(", ")
            )))
        }
    }
}

/// `ITEM` on the command line.
fn item(text: &str) -> Result<ItemName, String> {
    ItemName::new(text).map_err(|why| why.to_string())
}

/// The numbers of a service as the leader has them.
async fn look(copies: &Copies) -> Result<CopiesStatus, Failure> {
    let status = copies.status(tenure_client::Consistency::Linearizable);
    status.await.map_err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_need_not_be_named_when_there_is_one() {
        let names = |all: &[&str]| -> Vec<ServiceName> {
            all.iter().map(|it| ServiceName::new(it).unwrap()).collect()
        };
        assert_eq!(only(&names(&["git"])).unwrap().as_str(), "git");
        let none = only(&[]).unwrap_err();
        assert!(none.sentence.contains("service add"), "{none}");
        let several = only(&names(&["git", "pages"])).unwrap_err();
        assert!(
            several.sentence.ends_with("--service: git, pages"),
            "{several}"
        );
        assert_eq!(several.exit, Exit::Unknown);
    }
}
