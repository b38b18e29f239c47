//! Loads the example. There are no agents in this version, so what they would say is said here.

use crate::{cluster::Cluster, commands::carry_out, exit::Failure, topology};
use std::collections::BTreeSet;
use tenure_core::{
    Assignment, Command, Health, Lifecycle, NodeId, NodeRef, Note, RecordKind, Report, State,
    Topology,
};

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
];

/// Loads the example into an empty cluster; leaves one that has services as it is.
///
/// # Errors
/// The cluster's.
pub async fn load(cluster: &Cluster) -> Result<(), Failure> {
    let state = cluster.state(KINDS, &[]).await?;
    if !state.services().is_empty() {
        return Ok(());
    }
    let example = topology::parse("the example", topology::EXAMPLE).map_err(Failure::invalid)?;
    let nodes = Topology {
        nodes: example.nodes.clone(),
        ..Topology::default()
    };
    // Nodes join before they are given roles, as they would with agents.
    carry_out(cluster, &cluster.plan(&nodes, false).await?).await?;
    batch(cluster, joins(&cluster.state(KINDS, &[]).await?)).await?;
    carry_out(cluster, &cluster.plan(&example, false).await?).await?;
    let state = cluster.state(KINDS, &[]).await?;
    let commands = reports(&state).chain(in_sync_sets(&state)).collect();
    batch(cluster, commands).await
}

async fn batch(cluster: &Cluster, commands: Vec<Command>) -> Result<(), Failure> {
    if commands.is_empty() {
        return Ok(());
    }
    cluster.execute(Command::Batch(commands)).await.map(drop)
}

fn joins(state: &State) -> Vec<Command> {
    let joining = state
        .nodes()
        .values()
        .filter(|node| node.lifecycle == Lifecycle::Joining);
    let join = |node: &tenure_core::Node| Command::JoinNode {
        node: NodeRef::Id(node.id),
        last: node.incarnation,
    };
    joining.map(|node| join(node)).collect()
}

fn reports(state: &State) -> impl Iterator<Item = Command> {
    let instances = state
        .services()
        .keys()
        .flat_map(|service| state.instances(service));
    instances.filter_map(|instance| {
        let node = state.nodes().get(&instance.node)?;
        Some(Command::ReportInstance {
            service: instance.service.clone(),
            member: node.member(),
            expected: None,
            report: Report {
                health: Health::Healthy,
                note: Note::new("said by tenure dev").unwrap_or_default(),
                ..Report::default()
            },
        })
    })
}

fn in_sync_sets(state: &State) -> impl Iterator<Item = Command> {
    let assigned = state
        .services()
        .keys()
        .filter_map(|service| state.assignment(service));
    assigned
        .filter(|now| now.primary.is_some())
        .map(|now: &std::sync::Arc<Assignment>| {
            let in_sync: BTreeSet<NodeId> =
                state.instances(&now.service).map(|one| one.node).collect();
            Command::SetInSync {
                service: now.service.clone(),
                epoch: now.epoch,
                expected: now.modified,
                in_sync,
            }
        })
}
