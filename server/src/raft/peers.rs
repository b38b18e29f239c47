//! Whom this server talks to, and who may talk to it.
//!
//! Both ends of a link check the other: the cluster, the id, and the data folder. An id that was
//! removed, or that comes with another data folder than the one it was first seen with, has
//! forgotten what it promised and is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tenure_core::{ServerId, ServerRecord, ServerStatus, Settings};
use tenure_proto::raft as pb;
use tenure_storage::state_reader::StateReader;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use super::link::{Link, LinkError};
use super::{Raft, dial};

/// Why a server is not talked to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// It belongs to another cluster.
    #[error(
        "server {id} belongs to cluster {theirs:?}, this one to {ours:?}: correct the address or \
         the cluster's name in one of the configurations"
    )]
    Cluster {
        id: u64,
        theirs: String,
        ours: String,
    },
    /// It meant to reach another server.
    #[error(
        "server {from} looked for server {wanted} here, but this is server {found}: correct the \
         address of server {wanted}"
    )]
    WrongTarget { from: u64, wanted: u64, found: u64 },
    /// It has this server's own id.
    #[error(
        "another server came with this server's own id {0}: every server needs an id of its own"
    )]
    SameId(u64),
    /// Its id was removed from the cluster.
    #[error(
        "server {0} was removed from the cluster and its id is never used again: stop it, or add it \
         anew with an empty data folder and another id"
    )]
    Retired(u64),
    /// It comes with another data folder than the one it was first seen with.
    #[error(
        "server {0} came with another data folder than the one that the cluster knows it by, so it \
         has forgotten its votes: put the right folder back, or remove server {0} and add it under \
         an id that was never used"
    )]
    OtherStore(u64),
    /// It does not understand commands that the cluster uses.
    #[error(
        "server {id} understands commands up to feature level {theirs}, the cluster uses level {ours}: \
         run a newer version of the program there"
    )]
    TooOld { id: u64, theirs: u32, ours: u32 },
    /// It did not say who it is.
    #[error("the caller did not say which server it is")]
    Nameless,
}

/// What a server answered when asked who it is.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    /// Whether it has a log or a vote.
    pub(crate) formed: bool,
    /// The data folder that its state knows this server by.
    pub(crate) known_store: Option<u128>,
    /// Whether its state says that this server was removed.
    pub(crate) retired: bool,
    /// The highest feature level that it understands.
    pub(crate) feature_level: u32,
}

/// The links of this server to the others.
pub(crate) struct Links {
    cluster: String,
    id: u64,
    store: u128,
    reader: StateReader,
    raft: OnceLock<Raft>,
    links: Mutex<BTreeMap<u64, Arc<Link>>>,
    /// The data folders that other servers came with.
    seen: Mutex<BTreeMap<u64, u128>>,
    /// Counts links that came up.
    ups: watch::Sender<u64>,
    /// Until then this server neither votes nor asks for votes.
    quiet_until: Instant,
    /// What was last logged of a server, so that a cause is logged once and not at every attempt.
    logged: Mutex<BTreeMap<u64, String>>,
    closing: watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a question to the leader for a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

impl Links {
    /// `quiet` is for how long this server neither votes nor asks for votes: it does not remember whose
    /// lease it had confirmed before it was started, and its vote could make a second leader beside one
    /// whose lease still runs.
    pub(crate) fn new(
        cluster: String,
        id: u64,
        store: u128,
        reader: StateReader,
        quiet: Duration,
    ) -> Arc<Links> {
        Arc::new(Links {
            cluster,
            id,
            store,
            reader,
            raft: OnceLock::new(),
            links: Mutex::default(),
            seen: Mutex::default(),
            ups: watch::Sender::new(0),
            quiet_until: Instant::now() + quiet,
            logged: Mutex::default(),
            closing: watch::Sender::new(false),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether this server has just started, and neither votes nor asks for votes.
    pub(super) fn is_quiet(&self) -> bool {
        Instant::now() < self.quiet_until
    }

    /// Makes the Raft core known, which is built after its network.
    pub(crate) fn attach(&self, raft: Raft) {
        // Set once, by the start of the server; a second core for the same links does not exist.
        let _first = self.raft.set(raft);
    }

    /// The link to a server; a new one when its address has changed.
    pub(crate) fn link(self: &Arc<Self>, target: u64, address: &str) -> Arc<Link> {
        let mut links = lock(&self.links);
        match links.get(&target) {
            Some(link) if link.address() == address => link.clone(),
            Some(_) | None => {
                let link = Link::new(Arc::downgrade(self), target, address.to_owned());
                links.insert(target, link.clone());
                link
            }
        }
    }

    /// Asks the leader up to where a reader must have applied.
    pub(crate) async fn read_index(self: &Arc<Self>, leader: u64) -> Result<u64, LinkError> {
        let link = self
            .link_to(leader)
            .ok_or_else(|| LinkError::Unreachable("its address is not known".into()))?;
        let body = pb::link_request::Body::ReadIndex(pb::ReadIndexRequest {});
        let answer = link.call(body, READ_TIMEOUT).await?;
        let pb::link_response::Body::ReadIndex(answer) = answer else {
            return Err(LinkError::unexpected(&answer));
        };
        Ok(answer.index)
    }

    /// The link to a server of the group; None when it is not known where that is.
    pub(super) fn link_to(self: &Arc<Self>, server: u64) -> Option<Arc<Link>> {
        Some(self.link(server, &self.address(server)?))
    }

    fn address(&self, server: u64) -> Option<String> {
        let metrics = self.raft.get()?.server_metrics();
        let metrics = metrics.borrow_watched();
        Some(metrics.membership_config.get_node(&server)?.raft.clone())
    }

    /// Asks the server at an address who it is, over a connection of its own.
    pub(crate) async fn hello(&self, target: u64, address: &str) -> Result<Hello, LinkError> {
        let (_, hello) = dial::hello(self, target, address).await?;
        Ok(hello)
    }

    /// Whether the stream to a server is open.
    pub(crate) fn is_up(&self, target: u64) -> bool {
        lock(&self.links)
            .get(&target)
            .is_some_and(|link| link.is_up())
    }

    /// The highest feature level that a server understands: this one, or one to which the stream is open,
    /// for it may be another program tomorrow.
    pub(crate) fn level(&self, id: u64) -> Option<u32> {
        if id == self.id {
            return Some(Settings::FEATURE_LEVEL_SUPPORTED);
        }
        lock(&self.links).get(&id)?.level()
    }

    /// Follows how many links came up.
    pub(crate) fn ups(&self) -> watch::Receiver<u64> {
        self.ups.subscribe()
    }

    /// A link came up.
    pub(super) fn is_now_up(&self) {
        self.ups.send_modify(|ups| *ups += 1);
    }

    /// Who this server is, to `target`.
    pub(crate) fn identity(&self, target: u64) -> pb::Identity {
        pb::Identity {
            cluster: self.cluster.clone(),
            from: self.id,
            to: target,
            store: self.store.to_be_bytes().to_vec().into(),
        }
    }

    /// Answers a server that asks who this one is.
    pub(crate) fn describe(&self, asker: u64, formed: bool) -> pb::HelloResponse {
        let known = self.record(asker);
        let known_store = known.as_ref().and_then(|record| record.store);
        pb::HelloResponse {
            cluster: self.cluster.clone(),
            server: self.id,
            store: self.store.to_be_bytes().to_vec().into(),
            formed,
            known_store: known_store
                .map(|store| store.to_be_bytes().to_vec().into())
                .unwrap_or_default(),
            retired: known.is_some_and(|record| record.status == ServerStatus::Retired),
            feature_level: Settings::FEATURE_LEVEL_SUPPORTED,
        }
    }

    /// Checks a server that calls this one. Answers with its id.
    pub(crate) fn check_caller(&self, identity: Option<&pb::Identity>) -> Result<u64, Refusal> {
        let identity = identity.ok_or(Refusal::Nameless)?;
        let from = identity.from;
        self.check_addressed(identity)?;
        let store = store_id(&identity.store).ok_or(Refusal::Nameless)?;
        self.check_known(from, Some(store))?;
        lock(&self.seen).insert(from, store);
        Ok(from)
    }

    /// Checks only that a caller means this server of this cluster: all that is asked of `Hello`,
    /// for a server that is refused otherwise is to learn why.
    pub(crate) fn check_addressed(&self, identity: &pb::Identity) -> Result<(), Refusal> {
        let from = identity.from;
        if identity.cluster != self.cluster {
            return Err(Refusal::Cluster {
                id: from,
                theirs: identity.cluster.clone(),
                ours: self.cluster.clone(),
            });
        }
        if identity.to != self.id {
            return Err(Refusal::WrongTarget {
                from,
                wanted: identity.to,
                found: self.id,
            });
        }
        if from == self.id {
            return Err(Refusal::SameId(from));
        }
        Ok(())
    }

    /// Checks the server that answered this one's call.
    pub(crate) fn check_answerer(
        &self,
        target: u64,
        answer: &pb::HelloResponse,
    ) -> Result<Hello, Refusal> {
        if answer.cluster != self.cluster {
            return Err(Refusal::Cluster {
                id: answer.server,
                theirs: answer.cluster.clone(),
                ours: self.cluster.clone(),
            });
        }
        if answer.server != target {
            return Err(Refusal::WrongTarget {
                from: self.id,
                wanted: target,
                found: answer.server,
            });
        }
        let store = store_id(&answer.store).ok_or(Refusal::Nameless)?;
        self.check_known(target, Some(store))?;
        let ours = self.reader.read(|state| state.settings().feature_level);
        if answer.feature_level < ours {
            return Err(Refusal::TooOld {
                id: target,
                theirs: answer.feature_level,
                ours,
            });
        }
        lock(&self.seen).insert(target, store);
        Ok(Hello {
            formed: answer.formed,
            known_store: store_id(&answer.known_store),
            retired: answer.retired,
            feature_level: answer.feature_level,
        })
    }

    /// Checks a server against what the state remembers of it.
    ///
    /// A retired server counts until it has left the membership: its vote may be needed to commit
    /// the very change that removes it.
    pub(crate) fn check_known(&self, id: u64, store: Option<u128>) -> Result<(), Refusal> {
        let Some(record) = self.record(id) else {
            return Ok(());
        };
        if record.status == ServerStatus::Retired && self.address(id).is_none() {
            return Err(Refusal::Retired(id));
        }
        match (record.store, store) {
            (Some(bound), Some(store)) if bound != store => Err(Refusal::OtherStore(id)),
            (Some(_), Some(_)) | (Some(_), None) | (None, _) => Ok(()),
        }
    }

    fn record(&self, id: u64) -> Option<Arc<ServerRecord>> {
        self.reader
            .read(|state| state.servers().get(&ServerId(id)).cloned())
    }

    /// The data folder that a server was seen with.
    pub(crate) fn seen_store(&self, id: u64) -> Option<u128> {
        if id == self.id {
            return Some(self.store);
        }
        lock(&self.seen).get(&id).copied()
    }

    /// From here on nothing is taken from other servers: the Raft core is about to stop.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when [`Links::close`] was called.
    pub(super) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as `self`.
        let _closing = closing.wait_for(|closing| *closing).await;
    }

    /// Logs trouble with a server once per cause.
    pub(crate) fn log_trouble(&self, peer: u64, why: &str) {
        let mut logged = lock(&self.logged);
        if logged.get(&peer).is_none_or(|last| last != why) {
            tracing::warn!(server = self.id, peer, "{why}");
            logged.insert(peer, why.to_owned());
        }
    }

    /// Logs that trouble with a server has ended.
    pub(crate) fn log_recovery(&self, peer: u64) {
        if lock(&self.logged).remove(&peer).is_some() {
            tracing::info!(server = self.id, peer, "connected again");
        }
    }
}

fn store_id(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().ok().map(u128::from_be_bytes)
}

#[cfg(test)]
mod tests;
