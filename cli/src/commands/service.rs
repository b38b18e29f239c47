//! `service`: what the nodes run.

use super::{
    Context, find_service,
    policy::{KindArg, PolicyArgs},
};
use crate::{
    exit::{Exit, Failure},
    output::{Out, escape, shape},
};
use clap::{Args, Subcommand};
use serde::Serialize;
use tenure_core::{Command, Policy, RecordKind, Revision, Service, ServiceName, State};

/// What to do with services.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// List the services, and who is primary where there is one
    #[command(after_help = "Example:\n  tenure service list")]
    List,
    /// Show one service and its instances
    #[command(after_help = "Example:\n  tenure service show redis-server")]
    Show {
        /// Its name
        service: ServiceName,
    },
    /// Add a service
    #[command(
        after_help = "Example:\n  tenure service add redis-server --kind primary --replicas 2"
    )]
    Add(AddArgs),
    /// Change the policy of a service; its kind is fixed
    #[command(after_help = "Example:\n  tenure service update redis-server --loss available")]
    Update(UpdateArgs),
    /// Remove a service that has no instances but its primary
    #[command(after_help = "Example:\n  tenure service remove redis-server")]
    Remove {
        /// Its name
        service: ServiceName,
        /// Only if the service is as of this revision (its `modified`); read when left out
        #[arg(long, value_name = "REVISION")]
        expected: Option<u64>,
    },
}

/// A service to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name: a-z, 0-9 and -
    service: ServiceName,
    /// Its kind, for good
    #[arg(long, value_enum)]
    kind: KindArg,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// What to change of a service.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Its name
    service: ServiceName,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Only if the service is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

/// What is read to show a service.
const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
];

pub(super) async fn run(command: ServiceCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        ServiceCommand::List => list(context).await,
        ServiceCommand::Show { service } => show(&service, context).await,
        ServiceCommand::Add(args) => add(args, context).await,
        ServiceCommand::Update(args) => update(args, context).await,
        ServiceCommand::Remove { service, expected } => remove(&service, expected, context).await,
    }
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let state = context.cluster().await?.state(KINDS, &[]).await?;
    let services = state.services().values();
    let shapes: Vec<_> = services
        .clone()
        .map(|service| shape::Service::new(&state, service))
        .collect();
    context.out.show(&shapes, || {
        table(context.out, &state, services.map(AsRef::as_ref))
    })?;
    Ok(Exit::Ok)
}

fn table<'a>(out: Out, state: &State, services: impl Iterator<Item = &'a Service>) -> String {
    let mut grid = out.grid(&[
        "service",
        "kind",
        "primary",
        "epoch",
        "in sync",
        "syncing",
        "instances",
        "healthy",
    ]);
    for service in services {
        let now = state.assignment(&service.name);
        let primary = now.and_then(|now| now.primary);
        let none = || "-".to_owned();
        let instances: Vec<_> = state.instances(&service.name).collect();
        let serving = instances
            .iter()
            .filter(|one| state.health(one).serves())
            .count();
        grid.row([
            service.name.to_string(),
            service.kind().to_string(),
            primary.map_or_else(none, |member| shape::node_name(state, member.node)),
            now.map_or_else(none, |now| now.epoch.to_string()),
            now.map_or_else(none, |now| now.in_sync.len().to_string()),
            now.map_or_else(none, |now| now.syncing.len().to_string()),
            instances.len().to_string(),
            serving.to_string(),
        ]);
    }
    grid.to_string()
}

/// What `service show --json` prints.
#[derive(Serialize)]
struct ServiceShape {
    service: shape::Service,
    instances: Vec<shape::Instance>,
}

async fn show(name: &ServiceName, context: &Context) -> Result<Exit, Failure> {
    let state = context
        .cluster()
        .await?
        .state(KINDS, std::slice::from_ref(name))
        .await?;
    let service = find_service(&state, name)?;
    let instances = state
        .instances(name)
        .map(|one| shape::Instance::new(&state, one))
        .collect();
    let shape = ServiceShape {
        service: shape::Service::new(&state, service),
        instances,
    };
    context
        .out
        .show(&shape, || describe(context.out, &state, service))?;
    Ok(Exit::Ok)
}

fn describe(out: Out, state: &State, service: &Service) -> String {
    let mut text = table(out, state, std::iter::once(service));
    text.push_str(&format!("\npolicy: {}", wording(&service.policy)));
    if let Some(now) = state.assignment(&service.name) {
        let in_sync = shape::node_names(state, &now.in_sync).join(", ");
        text.push_str(&format!("\nin sync: {}", escape(&in_sync)));
        if !now.syncing.is_empty() {
            let syncing = shape::node_names(state, &now.syncing).join(", ");
            text.push_str(&format!("\nsyncing: {}", escape(&syncing)));
        }
        text.push_str(&format!("\nreason: {}", escape(now.reason.as_str())));
        text.push_str(&format!("\nlosses: {}", now.loss));
    }
    let instances = state.instances(&service.name).map(AsRef::as_ref);
    format!(
        "{text}\n\n{}",
        super::instance::table(out, state, instances)
    )
}

fn wording(policy: &Policy) -> String {
    match policy {
        Policy::Primary(p) => format!(
            "loss {}, replicas {}, write_acks {}, anti_flap_ms {}",
            p.loss, p.replicas, p.write_acks, p.anti_flap_ms.0
        ),
        Policy::Peers(p) => format!("healthy_min {}", p.healthy_min),
        Policy::Copies(p) => format!(
            "copies {}, write_min {}, spread_zones {}, repair_grace_ms {}, transfers_per_node {}",
            p.copies, p.write_min, p.spread_zones, p.repair_grace_ms.0, p.transfers_per_node
        ),
    }
}

async fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let policy = args.policy.over(Policy::default_for(args.kind.into()))?;
    let what = format!("service {} added ({})", args.service, policy.kind());
    let command = Command::AddService {
        name: args.service,
        policy,
    };
    let done = context.cluster().await?.execute(command).await?;
    context.done(&what, done)
}

async fn update(args: UpdateArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster
        .state(&[RecordKind::Service], std::slice::from_ref(&args.service))
        .await?;
    let now = find_service(&state, &args.service)?;
    let command = Command::UpdateService {
        name: now.name.clone(),
        expected: args.expected.map_or(now.modified, Revision),
        policy: args.policy.over(now.policy)?,
    };
    let done = cluster.execute(command).await?;
    context.done(&format!("service {} updated", args.service), done)
}

async fn remove(
    name: &ServiceName,
    expected: Option<u64>,
    context: &Context,
) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster
        .state(&[RecordKind::Service], std::slice::from_ref(name))
        .await?;
    let now = find_service(&state, name)?;
    let expected = expected.map_or(now.modified, Revision);
    let done = cluster
        .execute(Command::RemoveService {
            name: name.clone(),
            expected,
        })
        .await?;
    context.done(&format!("service {name} removed"), done)
}
