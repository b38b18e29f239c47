//! Loads the example. Some of its nodes have agents, which speak for themselves; what the others would say
//! is said here.

use super::{
    store::{Kind, NODES, has_agent},
    view::Seen,
};
use crate::{cluster::Cluster, commands::carry_out, exit::Failure};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_core::controller::HoldCode;
use tenure_core::{
    Assignment, Command, Health, Incarnation, Instance, Lifecycle, NodeId, NodeName, NodeRef, Note,
    RecordKind, Report, Role, State, Topology,
};

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
];

/// How often the cluster is asked whether something has happened yet.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long the service may take until its primary serves and all others are in sync.
const SERVED_WITHIN: Duration = Duration::from_secs(20);
/// How often what is simulated is looked after.
const SIMULATE_EVERY: Duration = Duration::from_secs(2);

/// Adds the nodes to an empty cluster, and has those join that have no agent. Gives whether it was empty.
///
/// # Errors
/// The cluster's.
pub async fn nodes(cluster: &Cluster, example: &Topology) -> Result<bool, Failure> {
    if !cluster.state(KINDS, &[]).await?.services().is_empty() {
        return Ok(false);
    }
    let nodes = Topology {
        nodes: example.nodes.clone(),
        ..Topology::default()
    };
    carry_out(cluster, &cluster.plan(&nodes, false).await?).await?;
    batch(cluster, joins(&cluster.state(KINDS, &[]).await?)).await?;
    Ok(true)
}

/// Adds the services once the agents have joined: nodes join before they are given roles.
///
/// # Errors
/// The cluster's.
pub async fn services(cluster: &Cluster, kind: Kind, example: &Topology) -> Result<(), Failure> {
    while !agents_joined(&cluster.state(&[RecordKind::Node], &[]).await?) {
        tokio::time::sleep(ASK_EVERY).await;
    }
    // In one entry: agents add their instances themselves where they find the service without them.
    carry_out(cluster, &cluster.plan(example, false).await?).await?;
    let state = cluster.state(KINDS, &[]).await?;
    let commands = reports(&state, kind, |_| true).chain(in_sync_sets(&state, kind));
    batch(cluster, commands.collect()).await
}

/// Waits until the service has a primary that serves and everybody else is in sync. Gives whether that was
/// so in time.
///
/// # Errors
/// The cluster's.
pub async fn served(cluster: &Cluster, kind: Kind) -> Result<bool, Failure> {
    let until = Instant::now() + SERVED_WITHIN;
    loop {
        let state = cluster.state(KINDS, &[kind.service()]).await?;
        if is_served(&state, kind) && is_heard(cluster, kind).await {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Says again that what is simulated is well, where the leader took it to be lost with a node's agent. Runs
/// until it is dropped.
pub async fn simulate(cluster: Cluster, kind: Kind, seen: Arc<Mutex<Seen>>) {
    loop {
        tokio::time::sleep(SIMULATE_EVERY).await;
        let commands: Vec<Command> = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let state = &seen.state;
            let heard = |node| {
                let own = state.instance(&kind.service(), node);
                own.is_some_and(|own| own.report.health != Health::Unknown)
            };
            // What was never said to be well was added by somebody else.
            let lost = |one: &Instance| {
                let was_told = one.reported_in > Incarnation(0);
                was_told && one.report.health == Health::Unknown && heard(one.node)
            };
            reports(state, kind, lost).collect()
        };
        // What fails is said again.
        let _again = batch(&cluster, commands).await;
    }
}

/// Whether the leader hears the primary, and that it serves: what is reported of it may be from before everything
/// was stopped.
async fn is_heard(cluster: &Cluster, kind: Kind) -> bool {
    let explained = cluster.client().admin().explain(&kind.service()).await;
    explained.is_ok_and(|(_, explained)| {
        explained
            .decision
            .is_err_and(|hold| hold.code == HoldCode::Nothing)
    })
}

fn is_served(state: &State, kind: Kind) -> bool {
    let service = kind.service();
    let Some(now) = state.assignment(&service) else {
        return false;
    };
    let Some(primary) = now.primary else {
        return false;
    };
    let serves = state.instance(&service, primary.node).is_some_and(|it| {
        it.reported_in == primary.incarnation && it.report.role == Some((Role::Primary, now.epoch))
    });
    let well =
        |it: &Instance| now.in_sync.contains(&it.node) && it.report.health == Health::Healthy;
    serves && state.instances(&service).all(|it| well(it))
}

fn agents_joined(state: &State) -> bool {
    NODES.iter().all(|name| {
        let name = NodeName::new(name).ok();
        let node = name.and_then(|name| state.find_node(&NodeRef::Name(name)));
        node.is_some_and(|node| node.lifecycle == Lifecycle::Active)
    })
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
        .filter(|node| node.lifecycle == Lifecycle::Joining && !has_agent(&node.name));
    let join = |node: &tenure_core::Node| Command::JoinNode {
        node: NodeRef::Id(node.id),
        last: node.incarnation,
    };
    joining.map(|node| join(node)).collect()
}

/// What is simulated, which is all but the instances under agents.
fn reports(
    state: &State,
    kind: Kind,
    wanted: impl Fn(&Instance) -> bool,
) -> impl Iterator<Item = Command> {
    let services = state.services().keys();
    let simulated = services.filter(move |service| service.as_str() != kind.name());
    let instances = simulated.flat_map(|service| state.instances(service));
    let wanted = instances.filter(move |instance| wanted(instance));
    wanted.filter_map(|instance| {
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

fn in_sync_sets(state: &State, kind: Kind) -> impl Iterator<Item = Command> {
    let assigned = state
        .services()
        .keys()
        .filter(move |service| service.as_str() != kind.name())
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
