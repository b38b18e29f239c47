//! `instance`: one service on one node.

use super::{Context, find_node};
use crate::{
    args,
    cluster::Cluster,
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::{Args, Subcommand};
use tenure_core::{
    Command, Endpoint, Epoch, Incarnation, Instance, Member, NodeRef, Position, RecordKind,
    Revision, Role, ServiceName, State,
};

mod report;

/// What to do with instances.
#[derive(Debug, Subcommand)]
pub enum InstanceCommand {
    /// List the instances, of all services or of one
    #[command(after_help = "Example:\n  tenure instance list redis-server")]
    List {
        /// Only of this service
        service: Option<ServiceName>,
    },
    /// Show one instance
    #[command(after_help = "Example:\n  tenure instance show redis-server db-1")]
    Show(Place),
    /// Add an instance of a service on a node
    #[command(after_help = "Example:\n  tenure instance add redis-server db-4 10.0.2.4:6379")]
    Add {
        /// Where
        #[command(flatten)]
        place: Place,
        /// Where it is reached
        #[arg(value_name = "HOST:PORT", value_parser = args::endpoint)]
        endpoint: Endpoint,
        /// Whom to prefer as primary; 0 never
        #[arg(long, default_value_t = 100)]
        preference: u32,
    },
    /// Change an instance's endpoint or preference
    #[command(after_help = "Example:\n  tenure instance update redis-server db-4 --preference 50")]
    Update {
        /// Where
        #[command(flatten)]
        place: Place,
        /// Where it is reached
        #[arg(long, value_name = "HOST:PORT", value_parser = args::endpoint)]
        endpoint: Option<Endpoint>,
        /// Whom to prefer as primary; 0 never
        #[arg(long)]
        preference: Option<u32>,
        /// Only if the instance is as of this revision
        #[command(flatten)]
        expected: Expected,
    },
    /// Remove an instance that is not the primary
    #[command(after_help = "Example:\n  tenure instance remove redis-server db-4")]
    Remove {
        /// Where
        #[command(flatten)]
        place: Place,
        /// Only if the instance is as of this revision
        #[command(flatten)]
        expected: Expected,
    },
    /// Say how an instance is, as its agent would
    #[command(after_help = "Example:\n  tenure instance report redis-server db-4 --health healthy")]
    Report(report::ReportArgs),
}

/// Which instance.
#[derive(Debug, Args)]
pub struct Place {
    /// The service
    service: ServiceName,
    /// The node: its name, or its number as id:7
    #[arg(value_parser = args::node)]
    node: NodeRef,
}

/// On which revision of the record a change rests.
#[derive(Debug, Clone, Copy, Args)]
pub struct Expected {
    /// Only if the instance is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
];

pub(super) async fn run(command: InstanceCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        InstanceCommand::List { service } => list(service.as_ref(), context).await,
        InstanceCommand::Show(place) => show(&place, context).await,
        InstanceCommand::Add {
            place,
            endpoint,
            preference,
        } => add(place, endpoint, preference, context).await,
        InstanceCommand::Update {
            place,
            endpoint,
            preference,
            expected,
        } => update(&place, endpoint, preference, expected, context).await,
        InstanceCommand::Remove { place, expected } => remove(&place, expected, context).await,
        InstanceCommand::Report(args) => report::run(args, context).await,
    }
}

/// The instances as a table.
pub(super) fn table<'a>(
    out: Out,
    state: &State,
    instances: impl Iterator<Item = &'a Instance>,
) -> String {
    let header = [
        "service",
        "node",
        "endpoint",
        "assigned",
        "health",
        "says it is",
        "position",
        "preference",
        "note",
    ];
    let mut grid = out.grid(&header);
    for instance in instances {
        let report = &instance.report;
        let none = || "-".to_owned();
        grid.row([
            instance.service.to_string(),
            shape::node_name(state, instance.node),
            instance.endpoint.to_string(),
            shape::Assigned::of(state, instance).map_or_else(none, |it| it.to_string()),
            state.health(instance).to_string(),
            report.role.map_or_else(none, said),
            report.position.as_ref().map_or_else(none, position),
            instance.preference.to_string(),
            report.note.to_string(),
        ]);
    }
    grid.to_string()
}

/// A position as people compare it: histories have long names, of which the beginning tells them apart.
pub(super) fn position(position: &Position) -> String {
    const SHOWN: usize = 8;
    let history = position.history.as_str();
    match history.char_indices().nth(SHOWN) {
        Some((end, _)) if history.chars().count() > SHOWN + 2 => {
            format!("{}..:{}", &history[..end], position.offset)
        }
        Some(_) | None => format!("{history}:{}", position.offset),
    }
}

/// Peers have no epoch.
fn said((role, epoch): (Role, Epoch)) -> String {
    match role {
        Role::Primary | Role::Replica => format!("{role}, epoch {epoch}"),
        Role::Peer => role.to_string(),
    }
}

async fn list(service: Option<&ServiceName>, context: &Context) -> Result<Exit, Failure> {
    let wanted: &[ServiceName] = service.map_or(&[], std::slice::from_ref);
    let state = context.cluster().await?.state(KINDS, wanted).await?;
    if let Some(name) = service {
        super::find_service(&state, name)?;
    }
    let instances = || {
        let services = state.services().keys();
        services
            .flat_map(|service| state.instances(service))
            .map(AsRef::as_ref)
    };
    let shapes: Vec<_> = instances()
        .map(|one| shape::Instance::new(&state, one))
        .collect();
    context
        .out
        .show(&shapes, || table(context.out, &state, instances()))?;
    Ok(Exit::Ok)
}

async fn read(cluster: &Cluster, place: &Place) -> Result<(State, Instance), Failure> {
    let state = cluster
        .state(KINDS, std::slice::from_ref(&place.service))
        .await?;
    super::find_service(&state, &place.service)?;
    let node = find_node(&state, &place.node)?;
    let found = state.instance(&place.service, node.id).cloned();
    let instance = found.ok_or_else(|| {
        Failure::not_found(format!(
            "there is no instance of {} on node {}",
            place.service, node.name
        ))
    })?;
    let instance = Instance::clone(&instance);
    Ok((state, instance))
}

async fn show(place: &Place, context: &Context) -> Result<Exit, Failure> {
    let (state, instance) = read(&context.cluster().await?, place).await?;
    let shape = shape::Instance::new(&state, &instance);
    context.out.show(&shape, || {
        table(context.out, &state, std::iter::once(&instance))
    })?;
    Ok(Exit::Ok)
}

async fn add(
    place: Place,
    endpoint: Endpoint,
    preference: u32,
    context: &Context,
) -> Result<Exit, Failure> {
    let Place { service, node } = place;
    let what = format!("{service} on {node} added");
    let command = Command::AddInstance {
        service,
        node,
        endpoint,
        preference,
    };
    let done = context.cluster().await?.execute(command).await?;
    context.done(&what, done)
}

async fn update(
    place: &Place,
    endpoint: Option<Endpoint>,
    preference: Option<u32>,
    expected: Expected,
    context: &Context,
) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let (_, now) = read(&cluster, place).await?;
    let command = Command::UpdateInstance {
        service: now.service,
        node: NodeRef::Id(now.node),
        expected: expected.expected.map_or(now.modified, Revision),
        endpoint: endpoint.unwrap_or(now.endpoint),
        preference: preference.unwrap_or(now.preference),
    };
    let done = cluster.execute(command).await?;
    context.done(
        &format!("{} on {} updated", place.service, place.node),
        done,
    )
}

async fn remove(place: &Place, expected: Expected, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let (_, now) = read(&cluster, place).await?;
    let command = Command::RemoveInstance {
        service: now.service,
        node: NodeRef::Id(now.node),
        expected: expected.expected.map_or(now.modified, Revision),
    };
    let done = cluster.execute(command).await?;
    context.done(
        &format!("{} on {} removed", place.service, place.node),
        done,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::Note;

    #[test]
    fn a_long_history_is_shown_by_its_beginning() {
        let table = [
            ("8f3a", "8f3a:7"),
            ("64d0488691", "64d0488691:7"),
            ("64d0488691d69bf03a49410a84bde92b79626d8a", "64d04886..:7"),
            ("größengrößen", "größengr..:7"),
        ];
        for (history, text) in table {
            let history = Note::new(history).unwrap();
            assert_eq!(position(&Position { history, offset: 7 }), text);
        }
    }
}
