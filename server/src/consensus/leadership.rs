//! Who leads, as plain values: for relays, and for the driver of the controller, which must know in one
//! look whether this server leads, in which term, and when a quorum last said so.

use std::collections::BTreeSet;
use std::time::Instant;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use tenure_core::ServerId;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Consensus, SHORT};
use crate::error::MembershipError;
use crate::raft::Raft;

/// What a server knows of who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Leadership {
    /// The term it is in.
    pub(crate) term: u64,
    /// Who leads, if it knows.
    pub(crate) leader: Option<ServerId>,
}

/// This server leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lead {
    /// In this term.
    pub(crate) term: u64,
    /// When the latest append was *sent* that a quorum has acknowledged in this term; None before the
    /// first.
    pub(crate) quorum: Option<Instant>,
    /// Who votes, in either configuration while it is being changed.
    pub(crate) voters: BTreeSet<ServerId>,
}

/// Terms in which this server gave leadership away.
pub(super) struct Cession {
    /// The latest term in which this server asked another to take over.
    asked: watch::Sender<u64>,
    /// Up to which term the driver of the controller grants nothing more.
    taken_in: watch::Sender<u64>,
}

impl Cession {
    pub(super) fn new() -> Cession {
        Cession {
            asked: watch::Sender::new(0),
            taken_in: watch::Sender::new(0),
        }
    }
}

/// Publishes who leads until the core ends.
pub(super) async fn publish(raft: Raft, leadership: watch::Sender<Leadership>) {
    let mut changes = raft.server_metrics();
    loop {
        let known = {
            let metrics = changes.borrow_and_update();
            Leadership {
                term: metrics.vote.leader_id.term,
                leader: metrics.current_leader.map(ServerId),
            }
        };
        leadership.send_if_modified(|last| std::mem::replace(last, known) != known);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

impl Consensus {
    /// Follows who leads.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.subscribe()
    }

    /// Whether this server leads and has not asked another to take over, in one look: the core
    /// publishes term and quorum together, after every message that it has taken in.
    pub(crate) fn lead(&self) -> Option<Lead> {
        let (term, voters, acknowledged) = {
            let metrics = self.0.raft.metrics();
            let metrics = metrics.borrow_watched();
            if !metrics.state.is_leader() {
                return None;
            }
            let voters = metrics.membership_config.voter_ids();
            let voters: BTreeSet<ServerId> = voters.map(ServerId).collect();
            (metrics.current_term, voters, metrics.last_quorum_acked)
        };
        // After the metrics, and while they are not borrowed: the core stands still as long as they are.
        if term <= *self.0.cession.asked.borrow() {
            return None;
        }
        // Looked at first: should this thread be stopped in between, the moment comes out too early.
        let now = Instant::now();
        let quorum = if voters.iter().eq([&self.id()]) {
            // Nobody is asked by whom it could be acknowledged, and nobody else can be elected.
            Some(now)
        } else {
            acknowledged.and_then(|at| now.checked_sub(at.into_inner().elapsed()))
        };
        Some(Lead {
            term,
            quorum,
            voters,
        })
    }

    /// Returns when the driver of the controller grants nothing more in the present term. Comes before
    /// leadership is handed over: voters then vote while this leader's lease runs.
    pub(super) async fn cede(&self) -> Result<(), MembershipError> {
        let Some(lead) = self.lead() else {
            return Ok(());
        };
        let latest = |known: &mut u64| *known = lead.term.max(*known);
        self.0.cession.asked.send_modify(latest);
        let mut taken_in = self.0.cession.taken_in.subscribe();
        match timeout(SHORT, taken_in.wait_for(|upto| *upto >= lead.term)).await {
            // The sender lives as long as `self`.
            Ok(_) => Ok(()),
            Err(_) => Err(MembershipError::TimedOut(format!(
                "the controller did not let go of term {}: leadership was not handed over",
                lead.term
            ))),
        }
    }

    /// Follows in which term another was asked to take over.
    pub(crate) fn ceded(&self) -> watch::Receiver<u64> {
        self.0.cession.asked.subscribe()
    }

    /// The driver of the controller grants nothing more up to a term.
    pub(crate) fn grants_nothing(&self, upto: u64) {
        self.0.cession.taken_in.send_if_modified(|known| {
            let more = upto > *known;
            *known = upto.max(*known);
            more
        });
    }
}
