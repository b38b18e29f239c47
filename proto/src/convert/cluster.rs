//! The cluster itself: servers, settings, history.

use super::field;
use crate::{ParseError, v1};
use tenure_core::{
    HistoryEntry, Revision, ServerId, ServerRecord, ServerStatus, Settings, Timestamp,
};

fn status(field: &str, number: i32) -> Result<ServerStatus, ParseError> {
    match field::known(field, number)? {
        v1::ServerStatus::Unspecified => Err(field::unspecified(field)),
        v1::ServerStatus::Admitted => Ok(ServerStatus::Admitted),
        v1::ServerStatus::Retired => Ok(ServerStatus::Retired),
    }
}

impl From<ServerStatus> for v1::ServerStatus {
    fn from(status: ServerStatus) -> Self {
        match status {
            ServerStatus::Admitted => Self::Admitted,
            ServerStatus::Retired => Self::Retired,
        }
    }
}

fn store(bytes: &[u8]) -> Result<Option<u128>, ParseError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let wrong = |_| ParseError::new("store", format!("has {} bytes, not 16", bytes.len()));
    let id = <[u8; 16]>::try_from(bytes).map_err(wrong)?;
    Ok(Some(u128::from_be_bytes(id)))
}

pub(super) fn server_id(field: &str, id: u64) -> Result<ServerId, ParseError> {
    if id == 0 {
        return Err(ParseError::new(field, "is 0, which is no server's id"));
    }
    Ok(ServerId(id))
}

impl TryFrom<v1::ServerRecord> for ServerRecord {
    type Error = ParseError;

    fn try_from(wire: v1::ServerRecord) -> Result<Self, ParseError> {
        Ok(Self {
            id: server_id("id", wire.id)?,
            raft: field::endpoint("raft", &wire.raft)?,
            api: field::endpoint("api", &wire.api)?,
            store: store(&wire.store)?,
            status: status("status", wire.status)?,
            modified: Revision(wire.modified),
        })
    }
}

impl From<&ServerRecord> for v1::ServerRecord {
    fn from(server: &ServerRecord) -> Self {
        let store = server.store.map(|id| id.to_be_bytes().to_vec());
        Self {
            id: server.id.0,
            raft: server.raft.as_str().to_owned(),
            api: server.api.as_str().to_owned(),
            store: store.unwrap_or_default().into(),
            status: v1::ServerStatus::from(server.status).into(),
            modified: server.modified.0,
        }
    }
}

impl From<v1::Settings> for Settings {
    fn from(wire: v1::Settings) -> Self {
        Self {
            history_max: wire.history_max,
            clients_max: wire.clients_max,
            feature_level: wire.feature_level,
            modified: Revision(wire.modified),
        }
    }
}

impl From<&Settings> for v1::Settings {
    fn from(settings: &Settings) -> Self {
        Self {
            history_max: settings.history_max,
            clients_max: settings.clients_max,
            feature_level: settings.feature_level,
            modified: settings.modified.0,
        }
    }
}

impl TryFrom<v1::HistoryEntry> for HistoryEntry {
    type Error = ParseError;

    fn try_from(wire: v1::HistoryEntry) -> Result<Self, ParseError> {
        Ok(Self {
            revision: Revision(wire.revision),
            stamp: Timestamp(wire.stamp_ms),
            actor: field::note("actor", &wire.actor)?,
            what: field::note("what", &wire.what)?,
        })
    }
}

impl From<&HistoryEntry> for v1::HistoryEntry {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            revision: entry.revision.0,
            stamp_ms: entry.stamp.0,
            actor: entry.actor.as_str().to_owned(),
            what: entry.what.as_str().to_owned(),
        }
    }
}
