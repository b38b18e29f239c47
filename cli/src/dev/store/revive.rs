//! Lets the service go on after all its instances were started anew.
//!
//! Each of them may have lost what it had acknowledged, as far as the cluster can know, and under `never`
//! nobody takes over then. Here all were stopped in order: `dev` does what an operator would who knows.

use super::Kind;
use crate::{cluster::Cluster, dev::setup, exit::Failure};
use tenure_core::{Command, LossPolicy, Policy, PrimaryPolicy, RecordKind, Revision};

/// Allows any loss until the service is served again. Gives whether it is.
///
/// # Errors
/// The cluster's.
pub async fn revive(cluster: &Cluster, kind: Kind) -> Result<bool, Failure> {
    let Some((policy, expected)) = policy(cluster, kind).await? else {
        // Somebody took the service away: there is nothing to serve.
        return Ok(true);
    };
    if policy.loss == LossPolicy::Available {
        return setup::served(cluster, kind).await;
    }
    set(
        cluster,
        kind,
        expected,
        with_loss(policy, LossPolicy::Available),
    )
    .await?;
    let served = setup::served(cluster, kind).await?;
    if let Some((now, expected)) = self::policy(cluster, kind).await? {
        set(cluster, kind, expected, with_loss(now, policy.loss)).await?;
    }
    Ok(served)
}

fn with_loss(policy: PrimaryPolicy, loss: LossPolicy) -> PrimaryPolicy {
    PrimaryPolicy { loss, ..policy }
}

async fn policy(
    cluster: &Cluster,
    kind: Kind,
) -> Result<Option<(PrimaryPolicy, Revision)>, Failure> {
    let state = cluster
        .state(&[RecordKind::Service], &[kind.service()])
        .await?;
    let found = state.services().get(&kind.service());
    Ok(found.and_then(|found| match found.policy {
        Policy::Primary(policy) => Some((policy, found.modified)),
        Policy::Peers(_) | Policy::Copies(_) => None,
    }))
}

async fn set(
    cluster: &Cluster,
    kind: Kind,
    expected: Revision,
    policy: PrimaryPolicy,
) -> Result<(), Failure> {
    let command = Command::UpdateService {
        name: kind.service(),
        expected,
        policy: Policy::Primary(policy),
    };
    cluster.execute(command).await.map(drop)
}
