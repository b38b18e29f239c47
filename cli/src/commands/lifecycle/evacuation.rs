//! Copies of items on a node that is being emptied: what is left of them, and what stands in the way.

use super::super::{
    Context,
    copies::{Step, told},
};
use crate::{
    cluster::{Cluster, failure},
    exit::{Failure, Why},
    output::{Bar, amount},
};
use serde::Serialize;
use std::{fmt, time::Duration};
use tenure_client::{Consistency, copies::CopiesStatus};
use tenure_core::{Kind, Node, NodeId, NodeRef, RecordKind, ServiceName};
use tokio::time::{Instant, sleep};

/// How often it is looked what is left. Each look costs the leader one read for each service.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many items of each service are named that stand in the way.
const NAMED: u32 = 20;

/// Items of a service of which a node still has copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remaining {
    service: String,
    items: u64,
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, items } = self;
        write!(f, "{service}: copies of {items} items are still here")
    }
}

/// The services of which a node may hold copies.
pub async fn services(cluster: &Cluster, node: &Node) -> Result<Vec<ServiceName>, Failure> {
    let kinds = [RecordKind::Service, RecordKind::Instance];
    let state = cluster.state(&kinds, &[]).await?;
    let services = state.services().values();
    let held = services.filter(|service| {
        let of_copies = service.policy.kind() == Kind::Copies;
        of_copies && state.instance(&service.name, node.id).is_some()
    });
    Ok(held.map(|service| service.name.clone()).collect())
}

/// What of these is left on a node.
pub async fn look(
    cluster: &Cluster,
    node: &Node,
    services: &[ServiceName],
) -> Result<Vec<Remaining>, Failure> {
    let mut left = Vec::new();
    for service in services {
        let status = status(cluster, service).await?;
        left.extend(remaining(service, &status, node.id));
    }
    Ok(left)
}

async fn status(cluster: &Cluster, service: &ServiceName) -> Result<CopiesStatus, Failure> {
    let copies = cluster.client().copies(service.clone());
    let status = copies.status(Consistency::Linearizable).await;
    status.map_err(failure)
}

fn remaining(service: &ServiceName, status: &CopiesStatus, node: NodeId) -> Option<Remaining> {
    let store = status.stores.iter().find(|store| store.node == node)?;
    (store.items > 0).then(|| Remaining {
        service: service.to_string(),
        items: store.items,
    })
}

/// Waits until a node that is draining holds no copies any more. Gives what it holds when the time is up.
pub async fn wait(
    cluster: &Cluster,
    node: &Node,
    services: &[ServiceName],
    until: Instant,
    context: &Context,
) -> Result<Vec<Remaining>, Failure> {
    let mut bar = Bar::new(context.out.json);
    let mut total = 0;
    loop {
        let (mut left, mut words) = (Vec::new(), String::new());
        for service in services {
            let status = status(cluster, service).await?;
            if let Some(some) = remaining(service, &status, node.id) {
                words.push_str(&format!("; {}", pace(&status)));
                left.push(some);
            }
        }
        let items = left.iter().map(|some| some.items).sum::<u64>();
        total = items.max(total);
        if total > 0 {
            let words = format!("copies of {items} items are still on {}{words}", node.name);
            bar.draw(total - items, total, &words);
        }
        if left.is_empty() || Instant::now() + LOOK_EVERY >= until {
            return Ok(left);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn pace(status: &CopiesStatus) -> String {
    let Some(repair) = &status.repair else {
        return "it is not known what runs".to_owned();
    };
    let mut text = format!("{} transfers run", repair.running);
    if let Some(left) = repair.remaining {
        text.push_str(&format!(", about {} left", amount::length(left)));
    }
    if repair.paused {
        text.push_str(", paused");
    }
    text
}

/// A refusal, with the items that stand in the way when that is what it is about.
pub async fn explained(refused: Failure, cluster: &Cluster, node: &Node, step: Step) -> Failure {
    if refused.why != Why::Rejected {
        return refused;
    }
    let node = NodeRef::Id(node.id);
    let obstacles = cluster.client().admin().obstacles(&node, NAMED).await;
    let stands = obstacles.into_iter().flatten().filter(|of| match step {
        Step::Drain => of.drain > 0,
        Step::Removal => of.removal > 0,
    });
    let stands: Vec<_> = stands.collect();
    if stands.is_empty() {
        return refused;
    }
    let sentence = format!(
        "{}\n{}\n--accept-loss does it all the same",
        refused.sentence,
        told(&stands, step)
    );
    Failure {
        sentence,
        ..refused
    }
}
