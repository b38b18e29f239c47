//! `primary`: who is primary of a service.

use super::{Context, find_service};
use crate::{
    exit::{Exit, Failure},
    output::{escape, shape},
};
use clap::Args;
use tenure_core::{Assignment, RecordKind, ServiceName, State};

/// Of which service.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 2 when there is none.\n\nExample:\n  tenure primary redis-server"
)]
pub struct PrimaryArgs {
    /// Its name
    service: ServiceName,
}

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
];

pub(super) async fn run(args: PrimaryArgs, context: &Context) -> Result<Exit, Failure> {
    let name = &args.service;
    let state = context
        .cluster()
        .await?
        .state(KINDS, std::slice::from_ref(name))
        .await?;
    let service = find_service(&state, name)?;
    let Some(now) = state.assignment(name) else {
        let sentence = format!("{name} is of kind {}: it has no primary", service.kind());
        return Err(Failure::not_found(sentence).with_exit(Exit::Critical));
    };
    context
        .out
        .show(&shape::Assignment::new(&state, now), || line(&state, now))?;
    Ok(if now.primary.is_some() {
        Exit::Ok
    } else {
        Exit::Critical
    })
}

/// Endpoint first: it is what scripts cut out.
fn line(state: &State, now: &Assignment) -> String {
    let Some(primary) = now.primary else {
        return format!("{} has no primary (epoch {})", now.service, now.epoch);
    };
    let instance = state.instance(&now.service, primary.node);
    let endpoint =
        instance.map_or_else(|| "-".to_owned(), |instance| instance.endpoint.to_string());
    let node = shape::node_name(state, primary.node);
    escape(&format!("{endpoint} epoch {} node {node}", now.epoch))
}
