//! The leader's half of the protocol, as a machine without IO: who is alive, who holds what, and who
//! is to be primary of what. Its driver feeds it, and carries out what it says in order.
//!
//! A controller that does not lead keeps nothing. One that leads begins with an empty memory: it takes
//! every holder to be leased until the longest lease that an earlier leader can have granted is over,
//! and judges nobody before it has listened for as long ([`Leading`]).

mod ask;
mod authority;
mod case;
mod copies;
mod course;
mod explain;
mod failing;
mod gate;
mod grants;
mod holders;
mod io;
mod known;
mod leading;
mod members;
mod promoted;
mod reports;
mod switching;
mod verdict;

pub use copies::{CopiesProgress, RebalanceProgress, RepairProgress, VerifyProgress};
pub use io::{Explanation, Forecast, Hold, HoldCode, Input, Moved, Output, Wish};

use crate::copies::ItemName;
use crate::{Automation, Millis, Moment, NodeId, ServerId, ServiceName, State, Timestamp};
use leading::Leading;
use std::collections::BTreeSet;

/// How often the clock is looked at.
const TICK: Millis = Millis(20);

/// What the controller decides with, apart from the state and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// This server.
    pub server: ServerId,
    /// For how long after a quorum's acknowledgement no other leader can be elected.
    pub raft_lease: Millis,
}

/// The leader's half of the protocol.
#[derive(Debug, Clone)]
pub struct Controller {
    site: Site,
    voters: BTreeSet<ServerId>,
    leading: Option<Leading>,
}

/// What is looked at in one step: the time, and the state as it is then.
#[derive(Clone, Copy)]
struct Look<'a> {
    site: Site,
    now: Moment,
    wall: Timestamp,
    state: &'a State,
    voters: &'a BTreeSet<ServerId>,
}

impl Look<'_> {
    fn automation(&self) -> &Automation {
        self.state.automation()
    }
}

impl Controller {
    /// A controller that does not lead.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self {
            site,
            voters: BTreeSet::new(),
            leading: None,
        }
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
        let input = match input {
            Input::Voters(voters) => {
                self.voters = voters;
                return;
            }
            Input::Lead { term } => {
                self.stop_leading(out);
                self.leading = Some(Leading::new(term, now));
                return;
            }
            Input::Follow => return self.stop_leading(out),
            other @ (Input::Quorum(_)
            | Input::Ear(_)
            | Input::Beat { .. }
            | Input::Applied
            | Input::Outcome { .. }
            | Input::Ask { .. }
            | Input::Tick) => other,
        };
        let look = Look {
            site: self.site,
            now,
            wall,
            state,
            voters: &self.voters,
        };
        match &mut self.leading {
            Some(leading) => leading.take(look, input, out),
            None => refuse(input, out),
        }
    }

    fn stop_leading(&mut self, out: &mut Vec<Output>) {
        if let Some(leading) = self.leading.take() {
            for ask in leading.open_asks() {
                let answer = Err(not_leading());
                out.push(Output::Answer { ask, answer });
            }
        }
    }

    /// When [`Input::Tick`] is due at the latest; ticking more often does no harm.
    #[must_use]
    pub fn next_tick(&self, now: Moment) -> Moment {
        now.after(TICK)
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
        let look = self.look(now, wall, state);
        Some(self.leading.as_ref()?.explain(look, service))
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
        let look = self.look(now, wall, state);
        Some(self.leading.as_ref()?.what_if_lost(look, node))
    }

    /// How far repair, rebalance and verification of a service's copies have got. None when it does not lead.
    #[must_use]
    pub fn copies_progress(
        &self,
        now: Moment,
        state: &State,
        service: &ServiceName,
    ) -> Option<CopiesProgress> {
        let leading = self.leading.as_ref()?;
        let ledger = state.ledger(service)?;
        let rebalance = state.rebalance(service).map(AsRef::as_ref);
        let fresh = copies::Tending::default();
        let tending = leading.copies.get(service).unwrap_or(&fresh);
        Some(tending.progress(now, ledger, rebalance))
    }

    /// Has nodes read their copies of these items, of all when none is named, and compares what they find. Says how many
    /// copies there are to read. None when it does not lead; a verification that runs is begun anew.
    pub fn verify_copies(
        &mut self,
        state: &State,
        service: &ServiceName,
        items: Vec<ItemName>,
    ) -> Option<u64> {
        let leading = self.leading.as_mut()?;
        let ledger = state.ledger(service)?;
        let tending = leading.copies.entry(service.clone()).or_default();
        tending.end_verification();
        Some(tending.begin_verification(ledger, items))
    }

    /// Ends a verification that runs. None when it does not lead.
    pub fn stop_verification(&mut self, service: &ServiceName) -> Option<()> {
        let leading = self.leading.as_mut()?;
        if let Some(tending) = leading.copies.get_mut(service) {
            tending.end_verification();
        }
        Some(())
    }

    fn look<'a>(&'a self, now: Moment, wall: Timestamp, state: &'a State) -> Look<'a> {
        Look {
            site: self.site,
            now,
            wall,
            state,
            voters: &self.voters,
        }
    }
}

fn not_leading() -> Hold {
    let why = "another server leads now, or none does; ask again";
    Hold::new(HoldCode::NotLeading, why)
}

fn refuse(input: Input, out: &mut Vec<Output>) {
    if let Input::Ask { ask, .. } = input {
        let answer = Err(not_leading());
        out.push(Output::Answer { ask, answer });
    }
}
