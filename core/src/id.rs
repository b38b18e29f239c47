//! Numbers that identify or order things. Each has a type of its own so that none is mistaken for another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            ///
            /// # Panics
            /// After 2^64 steps, which no cluster lives to see; wrapping would break every order built on it.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("2^64 steps are never taken"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A managed machine. Allocated by the cluster, never used twice.
    NodeId
);
number!(
    /// A process of Tenure in the Raft group. Chosen by the operator, never used twice.
    ServerId
);
number!(
    /// Counts a node's joins: a restarted node is a different member.
    Incarnation
);
number!(
    /// Per service, one more at each change of primary: the fencing token.
    Epoch
);
number!(
    /// Per service, one more whenever a change of primary was allowed to drop acknowledged writes.
    Loss
);
number!(
    /// Index of the last applied log entry that changed visible state.
    Revision
);
number!(
    /// Index of a log entry.
    LogIndex
);
number!(
    /// A client's registration, by which its retries are recognised. Allocated by the cluster.
    ClientId
);

/// A node in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The machine.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} (incarnation {})", self.node, self.incarnation)
    }
}
