//! Changes of primary, which several clients want at once.

use std::sync::Arc;
use std::time::Duration;

use tenure_client::{Client, Consistency};
use tenure_core::{Command, Epoch, LossPolicy, NodeRef, Policy, PrimaryPolicy, ServiceName};

use super::Shared;
use crate::cluster::calls::note;
use crate::cluster::{Cluster, ClusterError};
use crate::power_loss::chance::Chance;

const INSTANCES: usize = 3;

/// An epoch that was given to a client.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// When the change was asked for.
    pub invoked: Duration,
    /// When it was acknowledged.
    pub returned: Duration,
    /// The epoch.
    pub epoch: Epoch,
}

/// What one client was told.
#[derive(Debug, Default)]
pub struct Account {
    /// Epochs that it was given.
    pub given: Vec<Given>,
    /// Changes of which it does not know.
    pub unknown: u64,
}

/// The service whose primary changes.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn service() -> ServiceName {
    ServiceName::new("redis-server").expect("a name")
}

pub(super) async fn prepare(cluster: &mut Cluster) -> Result<ServiceName, ClusterError> {
    let policy = Policy::Primary(PrimaryPolicy {
        loss: LossPolicy::Available,
        replicas: 2,
        write_acks: 0,
        ..PrimaryPolicy::default()
    });
    cluster
        .execute(&Command::AddService {
            name: service(),
            policy,
        })
        .await?;
    for at in 0..INSTANCES {
        let node = cluster.make_node(&format!("redis-{at}")).await?;
        cluster.make_instance(&service(), node).await?;
    }
    Ok(service())
}

pub(super) async fn run(
    shared: Arc<Shared>,
    client: Client,
    service: ServiceName,
    mut chance: Chance,
) -> Account {
    let mut account = Account::default();
    while shared.goes_on() {
        change(&shared, &client, &service, &mut chance, &mut account).await;
        shared.pause().await;
    }
    account
}

async fn change(
    shared: &Shared,
    client: &Client,
    service: &ServiceName,
    chance: &mut Chance,
    account: &mut Account,
) {
    let Ok(now) = client
        .discovery()
        .resolve(service, Consistency::Linearizable)
        .await
    else {
        return;
    };
    let Some(assignment) = now.assignment else {
        shared.violated(format!("service {service} has no assignment"));
        return;
    };
    let primary = assignment.primary.map(|member| member.node);
    let others: Vec<_> = now
        .instances
        .iter()
        .filter(|i| Some(i.node) != primary)
        .collect();
    let to = NodeRef::Id(others[chance.up_to(others.len() - 1)].node);
    let invoked = shared.origin.elapsed();
    let ended = client
        .admin()
        .set_primary(service.clone(), to, assignment.epoch, true, note("chaos"))
        .await;
    let returned = shared.origin.elapsed();
    if shared.count(&ended) {
        account.unknown += 1;
    }
    if let Ok(epoch) = ended {
        if epoch != assignment.epoch.next() {
            shared.violated(format!(
                "epoch {epoch} was given to succeed {}",
                assignment.epoch
            ));
        }
        account.given.push(Given {
            invoked,
            returned,
            epoch,
        });
    }
}
