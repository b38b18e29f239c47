//! What the machine asks of a driver, and what a driver tells it: the same for every kind of store.

use crate::{
    Attributes, Endpoint, Epoch, Health, Millis, NodeId, Note, Position, Presence, Rejoin, Role,
};
use std::collections::BTreeMap;

/// What a driver is to do with its instance. Each may be repeated without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take writes as primary; ends a fence and a quiescence. A process that is started again later must
    /// come up fenced all the same: what is on its disk says so. Must fail on another process than was shown
    /// last: one that was started anew may have lost what it was chosen for.
    Promote {
        /// By this epoch.
        epoch: Epoch,
        /// How many replicas must have a write before it is acknowledged.
        write_acks: u32,
        /// Whether no write may be acknowledged with fewer.
        strict: bool,
    },
    /// Follow a primary. A former primary compares histories first, and saves what nobody else has.
    Follow {
        /// The epoch of that primary.
        epoch: Epoch,
        /// Where it is reached.
        primary: Endpoint,
    },
    /// Take no writes from now on. Must work in whatever state the instance is.
    Fence {
        /// In the course of a switchover: replicas stay attached, for the successor may lack the last
        /// bytes, and clients whose writes are held back stay connected, to be told that nothing was done.
        ///
        /// Otherwise nothing may be acknowledged any more by whatever attaches later: replicas are
        /// dropped and kept away, and clients that still wait for an acknowledgement of an earlier write
        /// are cut off (in Redis: it becomes a replica of nobody beside refusing writes, since a client
        /// that waits on a primary is answered when a stray replica attaches).
        orderly: bool,
    },
    /// As replica: stop following, and keep what is there.
    Detach,
    /// As primary: hold writes back, for at most so long; what was acknowledged stays.
    Quiesce {
        /// After which the instance takes writes again by itself.
        lasting: Millis,
    },
    /// Take writes again after a quiescence.
    Resume,
    /// As primary: let no other than these acknowledge; detach any other.
    Permit {
        /// Who may, and where their instances are reached.
        members: BTreeMap<NodeId, Endpoint>,
    },
    /// Say how far it has got, freshly.
    Measure,
    /// Say whether the primary at this endpoint answers.
    Probe {
        /// Where it is reached.
        primary: Endpoint,
    },
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feat {
    /// It was done.
    Done,
    /// How far the instance has got: of [`Action::Measure`], [`Action::Detach`],
    /// [`Action::Quiesce`] and [`Action::Fence`], after it was done.
    At(Option<Position>),
    /// Of [`Action::Follow`]: it follows; how its history compared, when it was primary before.
    Follows(Option<(Rejoin, Note)>),
    /// Of [`Action::Permit`]: whoever else was attached is no more. How far the primary has got.
    Permits(Option<Position>),
    /// Of [`Action::Probe`]: whether the primary answers.
    Sees(bool),
}

/// The role that an instance's own state shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observed {
    /// It cannot be asked.
    Nothing,
    /// It would take writes.
    Writable,
    /// It is a primary that takes none: fenced.
    Fenced,
    /// It is a replica; whether its link to its primary is up.
    Following {
        /// Whether it is.
        linked: bool,
    },
    /// It is one of equals.
    Peer,
}

/// What a driver sees of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Whether there is a process.
    pub presence: Presence,
    /// Identifies the process; where what it acknowledged survives its restart, what it stores. 0 while
    /// that is not known.
    pub run: u64,
    /// How it is.
    pub health: Health,
    /// What its own state shows.
    pub role: Observed,
    /// How far it has got.
    pub position: Option<Position>,
    /// As primary: for how long a real write has made no progress; nothing while it does.
    pub stalled: Millis,
    /// A remark, such as the error that makes it failing.
    pub note: Note,
    /// Small facts for those who resolve it, such as a version or its load.
    pub attributes: Attributes,
}

impl Observation {
    /// Of an instance that was not looked at yet.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            presence: Presence::Unknown,
            run: 0,
            health: Health::Unknown,
            role: Observed::Nothing,
            position: None,
            stalled: Millis(0),
            note: Note::default(),
            attributes: Attributes::default(),
        }
    }

    /// The role as others are told of it.
    #[must_use]
    pub fn shown_role(&self) -> Option<Role> {
        match self.role {
            Observed::Nothing | Observed::Fenced => None,
            Observed::Writable => Some(Role::Primary),
            Observed::Following { .. } => Some(Role::Replica),
            Observed::Peer => Some(Role::Peer),
        }
    }
}
