//! What is to happen, in order of time.

use std::{cmp::Reverse, collections::BinaryHeap, rc::Rc};
use tenure_core::{
    Grant, Heartbeat, Member, Moment, Outcome, PledgeRequest,
    agent::{self, Action},
};

/// What is to happen.
#[derive(Clone)]
pub enum Event {
    /// Every server that leads looks at its clock.
    Tick,
    /// Every server that leads asks the others to acknowledge it.
    Append,
    /// Servers that hear no leader stand for election.
    Elect,
    /// The state of a server that was elected has what earlier leaders committed.
    Settled {
        server: u64,
        term: u64,
    },
    /// A server that stood still goes on.
    ServerWakes(u64),
    Quorum {
        server: u64,
        term: u64,
        sent: Moment,
    },
    Beat {
        server: u64,
        member: Member,
        beat: Rc<Heartbeat>,
    },
    Relayed {
        via: u64,
        to: u64,
        member: Member,
        beat: Rc<Heartbeat>,
    },
    Ear {
        from: u64,
        to: u64,
    },
    Carry {
        via: u64,
        node: u64,
        grant: Rc<Grant>,
    },
    Grant {
        node: u64,
        grant: Rc<Grant>,
    },
    /// A proposal reaches a quorum, if its proposer has one.
    Decide(u64),
    Outcome {
        server: u64,
        term: u64,
        proposal: u64,
        outcome: Option<Outcome>,
    },
    /// A node that stood still goes on.
    NodeWakes(u64),
    Wake {
        node: u64,
        session: u64,
    },
    Observe {
        node: u64,
        session: u64,
        again: bool,
    },
    /// An action takes effect.
    Act {
        node: u64,
        session: u64,
        service: usize,
        action: u64,
        what: Rc<Action>,
    },
    /// An agent is told something by its own machine.
    Tell {
        node: u64,
        session: u64,
        input: Rc<agent::Input>,
    },
    PledgeAsk {
        from: u64,
        to: u64,
        request: u64,
        what: Rc<PledgeRequest>,
    },
    PledgeAnswer {
        to: u64,
        from: u64,
        request: u64,
        pledged: bool,
    },
    /// Stores replicate, clients write, and writes are acknowledged.
    Data,
}

/// What is to happen, in order of time and then of when it was said.
#[derive(Clone, Default)]
pub struct Queue {
    due: BinaryHeap<Reverse<(Moment, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    order: u64,
}

impl Queue {
    pub fn put(&mut self, when: Moment, event: Event) {
        self.order += 1;
        let slot = self.free.pop().unwrap_or(self.events.len());
        if slot == self.events.len() {
            self.events.push(None);
        }
        self.events[slot] = Some(event);
        self.due.push(Reverse((when, self.order, slot)));
    }

    /// The next thing to happen up to a moment.
    pub fn next(&mut self, end: Moment) -> Option<(Moment, Event)> {
        let Reverse((when, ..)) = *self.due.peek()?;
        if when > end {
            return None;
        }
        let Reverse((when, _, slot)) = self.due.pop()?;
        self.free.push(slot);
        Some((when, self.events[slot].take()?))
    }
}
