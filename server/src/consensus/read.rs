//! Read rounds: one question to the quorum answers every reader that was waiting when it was asked.

use std::sync::Arc;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tenure_core::LogIndex;
use tokio::sync::{mpsc, oneshot};

use super::fatal;
use crate::error::ReadError;
use crate::raft::{Links, Raft};

/// A reader that waits for an index.
pub(super) type Waiter = oneshot::Sender<Result<LogIndex, ReadError>>;

/// How many readers one round answers.
const ROUND_MAX: usize = 4_096;

/// Runs rounds, one after the other, until every sender is gone.
///
/// The waiters of a round are taken from the queue before its question is asked, and nobody joins
/// later: whatever was acknowledged before a reader began is therefore included in its index.
pub(super) async fn serve(mut waiters: mpsc::Receiver<Waiter>, raft: Raft, links: Arc<Links>) {
    let mut round = Vec::new();
    while waiters.recv_many(&mut round, ROUND_MAX).await > 0 {
        let result = ask(&raft, &links).await;
        for waiter in round.drain(..) {
            // A reader that has gone away wants no answer.
            let _gone = waiter.send(result.clone());
        }
    }
}

async fn ask(raft: &Raft, links: &Arc<Links>) -> Result<LogIndex, ReadError> {
    match confirm(raft).await {
        Ok(index) => Ok(LogIndex(index)),
        Err(Unconfirmed::Elsewhere(Some(leader))) => links
            .read_index(leader)
            .await
            .map(LogIndex)
            .map_err(|_| ReadError::NoLeader),
        Err(Unconfirmed::Elsewhere(None)) => Err(ReadError::NoLeader),
        Err(Unconfirmed::NoQuorum(why)) => Err(ReadError::NoQuorum(why)),
        Err(Unconfirmed::Fatal(why)) => Err(ReadError::Fatal(why)),
    }
}

/// Why this server could not say up to where a reader must have applied.
pub(crate) enum Unconfirmed {
    /// It does not lead; this one does, as far as it knows.
    Elsewhere(Option<u64>),
    /// It could not confirm that it leads.
    NoQuorum(String),
    /// Consensus has stopped.
    Fatal(String),
}

/// As leader: confirms with a quorum that this server leads still, and says up to where a reader
/// must have applied.
///
/// By a round of heartbeats, never by the lease: a follower that restarts forgets the lease it
/// granted.
pub(crate) async fn confirm(raft: &Raft) -> Result<u64, Unconfirmed> {
    match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(read) => Ok(read.read_log_id().index()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
            let other = forward.leader_id.filter(|id| id != raft.node_id());
            Err(Unconfirmed::Elsewhere(other))
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(error))) => {
            Err(Unconfirmed::NoQuorum(error.to_string()))
        }
        Err(RaftError::Fatal(error)) => Err(Unconfirmed::Fatal(fatal(&error))),
    }
}
