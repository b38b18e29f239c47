//! What `GET /status` tells: the agent as it sees itself.

use std::collections::BTreeMap;

use serde::Serialize;
use tenure_client::Attended;
use tenure_core::agent::Observed;
use tenure_core::{Attributes, Health, Member, Moment, Position, Presence, ServiceName};

use crate::board::Inner;

/// The agent as it sees itself. Fields are added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    pub(super) cluster: &'a str,
    pub(super) node: &'a str,
    pub(super) version: &'static str,
    /// None until the node has joined.
    pub(super) member: Option<Member>,
    /// What somebody should look at, as sentences.
    pub(super) troubles: Vec<String>,
    pub(super) servers: Vec<Server>,
    pub(super) services: BTreeMap<ServiceName, Service>,
}

/// A server, and how the session with it stands.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    api: String,
    /// Its id, while there is a session with it.
    server: Option<u64>,
    trouble: Option<String>,
}

impl From<Attended> for Server {
    fn from(attended: Attended) -> Self {
        Self {
            api: attended.api.to_string(),
            server: attended.server.map(|id| id.0),
            trouble: attended.trouble,
        }
    }
}

/// An instance, as it was seen last.
#[derive(Debug, Serialize)]
pub(super) struct Service {
    /// The epoch by which it may take writes now.
    primary_by: Option<u64>,
    presence: &'static str,
    health: Health,
    role: &'static str,
    /// As replica: whether its link is up.
    linked: Option<bool>,
    position: Option<Position>,
    stalled_ms: u64,
    note: String,
    attributes: Attributes,
    /// How long ago it was looked at; None when it never was.
    seen_ms_ago: Option<u64>,
    /// Why the latest order was not carried out.
    failure: Option<String>,
}

/// All instances.
pub(super) fn services(inner: &Inner, now: Moment) -> BTreeMap<ServiceName, Service> {
    let service = |(name, seen): (&ServiceName, &crate::board::Seen)| {
        let observation = &seen.observation;
        let (role, linked) = role(observation.role);
        let service = Service {
            primary_by: inner.machine.primary_of(name, now).map(|epoch| epoch.0),
            presence: match observation.presence {
                Presence::Running => "running",
                Presence::Exited => "exited",
                Presence::Unknown => "unknown",
            },
            health: observation.health,
            role,
            linked,
            position: observation.position.clone(),
            stalled_ms: observation.stalled.0,
            note: observation.note.as_str().to_owned(),
            attributes: observation.attributes.clone(),
            seen_ms_ago: (seen.at > Moment(0)).then(|| now.since(seen.at).0),
            failure: seen.failure.clone(),
        };
        (name.clone(), service)
    };
    inner.seen.iter().map(service).collect()
}

fn role(role: Observed) -> (&'static str, Option<bool>) {
    match role {
        Observed::Nothing => ("unknown", None),
        Observed::Writable => ("primary", None),
        Observed::Fenced => ("fenced", None),
        Observed::Following { linked } => ("replica", Some(linked)),
        Observed::Peer => ("peer", None),
    }
}
