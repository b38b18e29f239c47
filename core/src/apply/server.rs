//! Commands on what is remembered of servers.

use super::{Verdict, within_limit};
use crate::{
    Command, Endpoint, Record, Reject, RejectCode, ServerId, ServerRecord, ServerStatus,
    change::Change, limits::SERVERS_MAX,
};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::AdmitServer { id, raft, api } => admit(change, *id, raft, api),
        Command::BindServer { id, store } => bind(change, *id, *store),
        Command::RetireServer { id } => retire(change, *id),
        other => unreachable!("{other:?} is no command on servers"),
    }
}

fn admit(change: &mut Change<'_>, id: ServerId, raft: &Endpoint, api: &Endpoint) -> Verdict {
    let store = match change.state.servers.get(&id) {
        Some(known) if known.status == ServerStatus::Retired => return Err(used(id)),
        Some(known) if (&known.raft, &known.api) == (raft, api) => return Ok(None),
        Some(known) => known.store,
        None => {
            within_limit("servers", change.state.servers.len(), SERVERS_MAX)?;
            None
        }
    };
    let server = ServerRecord {
        id,
        raft: raft.clone(),
        api: api.clone(),
        store,
        status: ServerStatus::Admitted,
        modified: change.revision,
    };
    change.put(Record::Server(Arc::new(server)));
    Ok(None)
}

fn bind(change: &mut Change<'_>, id: ServerId, store: u128) -> Verdict {
    let known = admitted(change, id)?;
    match known.store {
        Some(bound) if bound == store => Ok(None),
        Some(_) => Err(
            Reject::new(RejectCode::StoreMismatch, format!("server {id}"))
                .detail("remove it, and add it anew under an id that was never used"),
        ),
        None => {
            let server = ServerRecord {
                store: Some(store),
                modified: change.revision,
                ..(*known).clone()
            };
            change.put(Record::Server(Arc::new(server)));
            Ok(None)
        }
    }
}

fn retire(change: &mut Change<'_>, id: ServerId) -> Verdict {
    let Some(known) = change.state.servers.get(&id).cloned() else {
        return Err(Reject::new(RejectCode::NotFound, format!("server {id}")));
    };
    if known.status == ServerStatus::Admitted {
        let server = ServerRecord {
            status: ServerStatus::Retired,
            modified: change.revision,
            ..(*known).clone()
        };
        change.put(Record::Server(Arc::new(server)));
    }
    Ok(None)
}

fn admitted(change: &Change<'_>, id: ServerId) -> Result<Arc<ServerRecord>, Reject> {
    match change.state.servers.get(&id) {
        Some(known) if known.status == ServerStatus::Admitted => Ok(known.clone()),
        Some(_) => Err(used(id)),
        None => Err(Reject::new(RejectCode::NotFound, format!("server {id}"))),
    }
}

fn used(id: ServerId) -> Reject {
    Reject::new(RejectCode::ServerIdUsed, format!("server {id}"))
}
