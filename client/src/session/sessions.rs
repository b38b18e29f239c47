//! The sessions of a member: one with each server, whichever servers there are.

use super::attend::Attending;
use crate::{Client, Watch, WatchEvent, servers::Server, shared::Shared};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tenure_core::{
    Endpoint, Event, Filter, Grant, Heartbeat, Key, Member, Record, RecordKind, ServerId,
    ServerStatus,
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

/// Grants that were not taken yet, of all servers together; then the servers' streams are held back.
const GRANTS_MAX: usize = 64;

/// How long to wait before the servers are watched again, when that was refused.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// The sessions of a member: one with each server of its cluster, each on a connection of its own.
///
/// Every heartbeat goes to every server. Sessions that end are opened again, after 10 ms at first and
/// half a second at most; servers that are added or removed are followed. Dropping this ends all.
#[derive(Debug)]
pub struct Sessions {
    beats: watch::Sender<Option<Arc<Heartbeat>>>,
    grants: mpsc::Receiver<Grant>,
    attendance: Attendance,
    /// Held for its end: it takes all sessions along.
    _tasks: JoinSet<()>,
}

/// How the sessions of a member stand, for those who look while it uses them.
#[derive(Debug, Clone, Default)]
pub struct Attendance(Arc<Mutex<BTreeMap<Endpoint, Attended>>>);

impl Attendance {
    /// How the sessions stand now, in the order of the endpoints.
    #[must_use]
    pub fn now(&self) -> Vec<Attended> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Attended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the session with one server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attended {
    /// Where the server is reached.
    pub api: Endpoint,
    /// The server, while there is a session with it.
    pub server: Option<ServerId>,
    /// Why there is none, or why the last one ended. None while there is one.
    pub trouble: Option<String>,
}

impl Sessions {
    /// Opens a session with every server that the client knows, and with those that it learns of.
    /// Must be called within a runtime; returns at once.
    ///
    /// `session` names this run of the agent, in its heartbeats too: larger than that of any earlier run
    /// of the member's agent. `cluster` is the cluster's id, which servers of another one refuse; empty
    /// when any will do.
    #[must_use]
    pub fn start(client: &Client, member: Member, session: u64, cluster: &str) -> Self {
        let (beats, to_send) = watch::channel(None);
        let (grant, grants) = mpsc::channel(GRANTS_MAX);
        let attendance = Attendance::default();
        let attending = Attending {
            shared: client.shared().clone(),
            member,
            session,
            cluster: cluster.to_owned(),
            beats: to_send,
            grants: grant,
            attendance: attendance.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Group::new(attending).run().await });
        Self {
            beats,
            grants,
            attendance,
            _tasks: tasks,
        }
    }

    /// Sends a heartbeat to every server. Never waits: a server that is too slow to take every
    /// heartbeat is sent the latest, and one that is reached later begins with it.
    pub fn beat(&self, beat: Heartbeat) {
        self.beats.send_replace(Some(Arc::new(beat)));
    }

    /// The next grant, from whichever server. None when the runtime is shutting down. May be dropped and
    /// called again without losing anything.
    pub async fn next(&mut self) -> Option<Grant> {
        self.grants.recv().await
    }

    /// How the sessions stand, also for others to look at.
    #[must_use]
    pub fn attendance(&self) -> Attendance {
        self.attendance.clone()
    }
}

/// The sessions that are held, and the servers of which they are.
struct Group {
    attending: Attending,
    sessions: JoinSet<()>,
    held: BTreeMap<Endpoint, AbortHandle>,
    named: BTreeMap<ServerId, Endpoint>,
}

impl Group {
    fn new(attending: Attending) -> Self {
        Self {
            attending,
            sessions: JoinSet::new(),
            held: BTreeMap::new(),
            named: BTreeMap::new(),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.attending.shared
    }

    /// Holds the sessions with the servers that there are, for as long as this is polled. Until the
    /// cluster has said which they are, these are the servers that the client was given.
    async fn run(&mut self) {
        self.hold(&self.shared().servers.all());
        let filter = Filter {
            kinds: [RecordKind::Server].into(),
            services: BTreeSet::new(),
        };
        loop {
            let mut watch = Watch::new(self.shared().clone(), &filter);
            let error = loop {
                match watch.next().await {
                    Ok(event) => self.take(event),
                    Err(error) => break error,
                }
            };
            tracing::warn!(%error, "the servers cannot be watched");
            tokio::time::sleep(WATCH_AGAIN).await;
        }
    }

    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Snapshot { records, .. } => {
                self.named.clear();
                for record in records {
                    self.name(record);
                }
            }
            WatchEvent::Changes { events, .. } => {
                for Event { key, after } in events {
                    match (key, after) {
                        (_, Some(record)) => self.name(record),
                        (Key::Server(id), None) => drop(self.named.remove(&id)),
                        (_, None) => {}
                    }
                }
            }
            WatchEvent::Progress { .. }
            | WatchEvent::Compacted { .. }
            | WatchEvent::Interrupted { .. } => return,
        }
        if self.named.is_empty() {
            return;
        }
        let named: Vec<(ServerId, Endpoint)> = self.named.clone().into_iter().collect();
        let servers = &self.shared().servers;
        servers.replace(&named);
        let named: Vec<Arc<Server>> = named
            .iter()
            .filter_map(|(id, _)| servers.by_id(*id))
            .collect();
        self.hold(&named);
    }

    fn name(&mut self, record: Record) {
        let Record::Server(server) = record else {
            return;
        };
        match server.status {
            ServerStatus::Admitted => self.named.insert(server.id, server.api.clone()),
            ServerStatus::Retired => self.named.remove(&server.id),
        };
    }

    /// Holds a session with these and with no others.
    fn hold(&mut self, servers: &[Arc<Server>]) {
        let attendance = self.attending.attendance.clone();
        let mut attended = attendance.lock();
        let is_wanted = |api: &Endpoint| servers.iter().any(|server| server.endpoint() == api);
        attended.retain(|api, _| is_wanted(api));
        self.held.retain(|api, session| {
            let wanted = is_wanted(api);
            if !wanted {
                session.abort();
            }
            wanted
        });
        for server in servers {
            let api = server.endpoint().clone();
            if self.held.contains_key(&api) {
                continue;
            }
            let now = Attended {
                api: api.clone(),
                server: None,
                trouble: Some("it was not reached yet".to_owned()),
            };
            attended.insert(api.clone(), now);
            let session = self.attending.clone().attend(server.clone());
            self.held.insert(api, self.sessions.spawn(session));
        }
        while self.sessions.try_join_next().is_some() {}
    }
}
