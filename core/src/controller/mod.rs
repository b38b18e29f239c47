//! The leader's half of the protocol, as a machine without IO: who is alive, who holds what, and who
//! is to be primary of what. Its driver feeds it, and carries out what it says in order.

mod io;

pub use io::{Explanation, Forecast, Hold, HoldCode, Input, Moved, Output, Wish};

use crate::{Millis, Moment, NodeId, ServerId, ServiceName, State, Timestamp};

/// What the controller decides with, apart from the state and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// This server.
    pub server: ServerId,
    /// For how long after a quorum's acknowledgement no other leader can be elected.
    pub raft_lease: Millis,
}

/// The leader's half of the protocol.
#[derive(Debug)]
pub struct Controller {
    site: Site,
}

impl Controller {
    /// A controller that does not lead.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self { site }
    }

    /// Takes in what happened, and appends to `out` what is to be done about it, in order.
    ///
    /// `now` is the server's own clock, `wall` the wall clock (for what people set by it).
    pub fn handle(
        &mut self,
        now: Moment,
        wall: Timestamp,
        state: &State,
        input: Input,
        out: &mut Vec<Output>,
    ) {
        let _ = (now, wall, state, input, out, self.site);
    }

    /// When [`Input::Tick`] is due at the latest; ticking more often does no harm.
    #[must_use]
    pub fn next_tick(&self, now: Moment) -> Moment {
        now.after(Millis(20))
    }

    /// Why it does what it does about a service, or does nothing. None when it does not lead.
    #[must_use]
    pub fn explain(
        &self,
        now: Moment,
        wall: Timestamp,
        state: &State,
        service: &ServiceName,
    ) -> Option<Explanation> {
        let _ = (now, wall, state, service);
        None
    }

    /// What it would decide if a node were lost now, for each service that it would concern, by the
    /// same function that decides. None when it does not lead.
    #[must_use]
    pub fn what_if_lost(
        &self,
        now: Moment,
        wall: Timestamp,
        state: &State,
        node: NodeId,
    ) -> Option<Vec<Forecast>> {
        let _ = (now, wall, state, node);
        None
    }
}
