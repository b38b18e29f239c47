//! Consensus as the rest of the server sees it: propose, read, and change the group. No type of
//! openraft passes through here.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader};
use tenure_core::{Command, LogIndex, Outcome, ServerId};
use tenure_storage::state_reader::StateReader;
use tenure_storage::types::{Payload, ServerAddr, TypeConfig};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

pub use crate::error::{MembershipError, Peer, ProposeError, ReadError};
use crate::raft::{Links, Raft};

mod checkpoint;
pub(crate) mod duties;
mod group;
mod leadership;
mod membership;
mod read;
mod write;

pub use group::{GroupStatus, PeerStatus, ServerRole};
pub(crate) use leadership::{Lead, Leadership};
pub(crate) use read::{Unconfirmed, confirm};

/// How many proposals may be under way at once on one server. Beyond it callers are refused at
/// once, which keeps the wait of those admitted bounded.
const PROPOSALS_MAX: usize = 16_384;

/// How many callers may wait for a read round.
const READS_MAX: usize = 65_536;

/// One server's part in the group. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Consensus(Arc<Inner>);

pub(crate) struct Inner {
    id: ServerId,
    cluster: String,
    raft: Raft,
    reader: StateReader,
    links: Arc<Links>,
    /// The runtime that consensus has for itself, so that load on the API cannot delay it.
    runtime: Handle,
    proposals: Arc<Semaphore>,
    writes: mpsc::Sender<write::Write>,
    reads: mpsc::Sender<read::Waiter>,
    /// One change of the group at a time on this server.
    changes: Mutex<()>,
    closing: watch::Sender<bool>,
    leadership: watch::Sender<Leadership>,
    cession: leadership::Cession,
}

impl Consensus {
    /// Takes up a running Raft core. The tasks it needs run on `runtime` and end with the core.
    pub(crate) fn new(
        cluster: String,
        raft: Raft,
        reader: StateReader,
        links: Arc<Links>,
        runtime: Handle,
    ) -> Consensus {
        let (reads, waiters) = mpsc::channel(READS_MAX);
        let (writes, proposed) = mpsc::channel(PROPOSALS_MAX);
        runtime.spawn(read::serve(waiters, raft.clone(), links.clone()));
        runtime.spawn(write::serve(proposed, raft.clone()));
        let leadership = watch::Sender::default();
        runtime.spawn(leadership::publish(raft.clone(), leadership.clone()));
        Consensus(Arc::new(Inner {
            id: ServerId(*raft.node_id()),
            cluster,
            raft,
            reader,
            links,
            runtime,
            proposals: Arc::new(Semaphore::new(PROPOSALS_MAX)),
            writes,
            reads,
            changes: Mutex::new(()),
            closing: watch::Sender::new(false),
            leadership,
            cession: leadership::Cession::new(),
        }))
    }

    /// This server's id.
    pub fn id(&self) -> ServerId {
        self.0.id
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.0.cluster
    }

    /// The state as this server has applied it.
    pub fn reader(&self) -> &StateReader {
        &self.0.reader
    }

    /// Commits a command and answers with what came of it once this server has applied it.
    ///
    /// # Errors
    /// See [`ProposeError`]: only [`ProposeError::Unknown`] and [`ProposeError::Fatal`] leave open
    /// whether the command was committed.
    pub async fn propose(&self, payload: Payload) -> Result<Outcome, ProposeError> {
        self.submit(payload)?.await
    }

    /// Puts a command in line at once; commands come to the log in the order of these calls. The future
    /// gives what came of it.
    fn submit(
        &self,
        payload: Payload,
    ) -> Result<impl Future<Output = Result<Outcome, ProposeError>> + use<>, ProposeError> {
        if self.is_shutting_down() {
            return Err(ProposeError::ShuttingDown);
        }
        let permit = self.0.proposals.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ProposeError::Overloaded)?;
        let (answer, outcome) = oneshot::channel();
        let sent = self.0.writes.try_send(write::Write { payload, answer });
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => {
                ProposeError::Fatal("consensus was stopped".into())
            }
        })?;
        Ok(async move {
            let _permit = permit;
            match tokio::time::timeout(write::PROPOSAL_TIMEOUT, outcome).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(ProposeError::Unknown(
                    "consensus stopped before it answered".into(),
                )),
                Err(_) => Err(ProposeError::Unknown(format!(
                    "no quorum stored it within {} s",
                    write::PROPOSAL_TIMEOUT.as_secs()
                ))),
            }
        })
    }

    /// The same for a command of the server's own, which is harmless to repeat and so needs no request id.
    pub(crate) fn submit_own(
        &self,
        actor: &str,
        command: Command,
    ) -> Result<impl Future<Output = Result<Outcome, ProposeError>> + use<>, String> {
        let payload = duties::payload(actor, command)?;
        self.submit(payload).map_err(|error| error.to_string())
    }

    /// Finds an index such that a state that includes it is linearizable for this caller: wait with
    /// `reader().wait_applied(index)` and then read.
    ///
    /// Callers share rounds. A caller that arrives while a round is under way waits for the next
    /// one: the running round may have taken its index before this caller's request began, and a
    /// write acknowledged in between would be missing.
    ///
    /// # Errors
    /// See [`ReadError`]. A retry is always safe.
    pub async fn read_index(&self) -> Result<LogIndex, ReadError> {
        if self.is_shutting_down() {
            return Err(ReadError::ShuttingDown);
        }
        let (answer, index) = oneshot::channel();
        if self.0.reads.send(answer).await.is_err() {
            return Err(ReadError::ShuttingDown);
        }
        index.await.unwrap_or(Err(ReadError::ShuttingDown))
    }

    /// Who leads, as far as this server knows.
    pub fn leader(&self) -> Option<Peer> {
        group::leader(&self.0.raft)
    }

    /// This server's view of the group. A snapshot; nothing is held up by keeping it.
    pub fn group(&self) -> GroupStatus {
        group::status(&self.0.raft)
    }

    /// Adds a server: it is remembered, receives the log as learner and, unless `learner` is set,
    /// becomes a voter once it has caught up. Answers whether it is a voter now.
    ///
    /// Goes on when the caller goes away.
    ///
    /// # Errors
    /// [`MembershipError`]; the call may be repeated and takes up where it stopped.
    pub async fn add_server(&self, peer: Peer, learner: bool) -> Result<bool, MembershipError> {
        let this = self.clone();
        self.detached(async move { membership::add(&this, peer, learner).await })
            .await
    }

    /// Removes a server for good: its id is never accepted again. A leader that is to be removed
    /// hands over first and answers [`MembershipError::NotLeader`] with its successor.
    ///
    /// Goes on when the caller goes away.
    ///
    /// # Errors
    /// [`MembershipError`]; the call may be repeated and takes up where it stopped.
    pub async fn remove_server(&self, id: ServerId) -> Result<(), MembershipError> {
        let this = self.clone();
        self.detached(async move { membership::remove(&this, id).await })
            .await
    }

    /// Hands leadership to `to`, or to the most complete other voter. Answers who leads then.
    ///
    /// # Errors
    /// [`MembershipError`]; a retry is safe.
    pub async fn transfer_leader(&self, to: Option<ServerId>) -> Result<ServerId, MembershipError> {
        membership::transfer(self, to).await
    }

    /// Writes a checkpoint of this server's state now, which lets its log shrink. Answers with the
    /// index that it covers.
    ///
    /// # Errors
    /// A sentence that says why there is no new checkpoint; a retry is safe.
    pub async fn checkpoint(&self) -> Result<LogIndex, String> {
        checkpoint::write(self).await
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.0.raft
    }

    pub(crate) fn links(&self) -> &Arc<Links> {
        &self.0.links
    }

    /// Whether this server leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.0.raft.is_leader()
    }

    /// Returns when the server begins to stop: streams that have no end of their own end then.
    pub async fn closed(&self) {
        let mut closing = self.0.closing.subscribe();
        // The sender lives as long as `self`.
        let _closing = closing.wait_for(|closing| *closing).await;
    }

    /// Whether this server is stopping.
    pub fn is_shutting_down(&self) -> bool {
        *self.0.closing.borrow()
    }

    /// From here on callers are refused.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Stops the Raft core and waits until it has ended.
    pub(crate) async fn stop_core(&self) -> Result<(), String> {
        let raft = self.0.raft.clone();
        let stopping = self.0.runtime.spawn(async move { raft.shutdown().await });
        match tokio::time::timeout(SHORT, stopping).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it took too long".into()),
        }
    }

    /// Runs a change of the group to its end even if the caller goes away half-way.
    async fn detached<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, MembershipError>> + Send + 'static,
    ) -> Result<T, MembershipError> {
        if self.is_shutting_down() {
            return Err(MembershipError::ShuttingDown);
        }
        let this = self.clone();
        let run = async move {
            let Ok(_only) = this.0.changes.try_lock() else {
                return Err(MembershipError::Busy);
            };
            change.await
        };
        match self.0.runtime.spawn(run).await {
            Ok(result) => result,
            Err(ended) => Err(MembershipError::Unknown(ended.to_string())),
        }
    }
}

/// How long to wait for something that should take a few round trips.
const SHORT: Duration = Duration::from_secs(5);

/// The server that a refusal names.
fn named(forward: &ForwardToLeader<TypeConfig>) -> Option<Peer> {
    let (id, node) = (forward.leader_id?, forward.leader_node.as_ref()?);
    Some(peer(id, node))
}

fn peer(id: u64, node: &ServerAddr) -> Peer {
    Peer {
        id: ServerId(id),
        raft: node.raft.clone(),
        api: node.api.clone(),
    }
}

fn write_error(error: ClientWriteError<TypeConfig>) -> ProposeError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => refused(&forward),
        ClientWriteError::LogEntryDiscarded(_) => {
            ProposeError::Unknown("another server took over before it was committed".into())
        }
        ClientWriteError::ChangeMembershipError(error) => ProposeError::Fatal(error.to_string()),
        ClientWriteError::PreconditionFailed(error) => ProposeError::Fatal(error.to_string()),
    }
}

/// Turned away before anything was appended.
fn refused(forward: &ForwardToLeader<TypeConfig>) -> ProposeError {
    match named(forward) {
        Some(leader) => ProposeError::NotLeader {
            leader: Some(leader),
        },
        None => ProposeError::NoLeader,
    }
}

fn fatal(error: &Fatal<TypeConfig>) -> String {
    match error {
        Fatal::StorageError(error) => error.to_string(),
        Fatal::Panicked => "it panicked".into(),
        Fatal::Stopped => "it was shut down".into(),
    }
}
