//! Which members have a session with this server, and the way back to each: one grant, the latest,
//! waits for a session that is slow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_core::{Member, limits::NODES_MAX};
use tenure_proto::v1;
use tokio::sync::watch;
use tonic::Status;

/// How a session was ended from this side. None: by the member itself.
type Ending = Option<Status>;

/// What waits for a session's stream.
#[derive(Default)]
struct Waiting {
    grant: Option<v1::Grant>,
    ended: Option<Ending>,
}

/// What comes next on a session's stream.
pub(super) enum Next {
    Grant(v1::Grant),
    Refused(Status),
    Ended,
}

/// One member's session.
pub(crate) struct Seat {
    pub(super) member: Member,
    /// Chosen by the member's agent: its beats carry it.
    pub(super) session: u64,
    waiting: watch::Sender<Waiting>,
}

impl Seat {
    /// Ends the session; the first ending counts.
    pub(super) fn end(&self, ending: Ending) {
        self.waiting.send_modify(|waiting| {
            waiting.ended.get_or_insert(ending);
        });
    }

    /// Returns when the session has ended.
    pub(super) async fn ended(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as `self`.
        let _ended = waiting.wait_for(|waiting| waiting.ended.is_some()).await;
    }

    /// Waits for the next grant, or for the end.
    pub(super) async fn next(&self) -> Next {
        let something = |waiting: &Waiting| waiting.ended.is_some() || waiting.grant.is_some();
        let mut changes = self.waiting.subscribe();
        // The sender lives as long as `self`. What was waited for is locked until it is let go.
        drop(changes.wait_for(something).await);
        let mut next = Next::Ended;
        self.waiting.send_if_modified(|waiting| {
            next = match (waiting.ended.clone(), waiting.grant.take()) {
                (Some(Some(status)), _) => Next::Refused(status),
                (Some(None), _) | (None, None) => Next::Ended,
                (None, Some(grant)) => Next::Grant(grant),
            };
            false
        });
        next
    }
}

/// The sessions of one server.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<Member, Arc<Seat>>>);

impl Registry {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<Member, Arc<Seat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session, in the place of an earlier one of the same member, which is told so. None when
    /// there are as many as there may be nodes.
    pub(super) fn open(&self, member: Member, session: u64) -> Option<Arc<Seat>> {
        let mut seats = self.seats();
        if seats.len() >= NODES_MAX && !seats.contains_key(&member) {
            return None;
        }
        let seat = Arc::new(Seat {
            member,
            session,
            waiting: watch::Sender::default(),
        });
        if let Some(earlier) = seats.insert(member, seat.clone()) {
            earlier.end(Some(super::replaced(member)));
        }
        Some(seat)
    }

    /// Forgets a session, unless another has taken its place.
    pub(super) fn close(&self, seat: &Arc<Seat>) {
        let mut seats = self.seats();
        let known = seats.get(&seat.member);
        if known.is_some_and(|known| Arc::ptr_eq(known, seat)) {
            seats.remove(&seat.member);
        }
    }

    /// Puts a grant on the member's session, in the place of one that still waits.
    pub(crate) fn grant(&self, member: Member, grant: v1::Grant) {
        let seat = self.seats().get(&member).cloned();
        if let Some(seat) = seat {
            seat.waiting
                .send_modify(|waiting| waiting.grant = Some(grant));
        }
    }
}
