//! Assignments: who was decided to be primary.

use crate::{Epoch, Loss, Member, NodeId, Note, Revision, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who is primary of a service, by which epoch, and who holds every acknowledged write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The service.
    pub service: ServiceName,
    /// The primary, in the life in which it was assigned. None before the first assignment.
    pub primary: Option<Member>,
    /// The fencing token: one more at each change.
    pub epoch: Epoch,
    /// One more whenever a change was allowed to drop acknowledged writes.
    pub loss: Loss,
    /// The instances known to hold every acknowledged write; the primary is one of them.
    pub in_sync: BTreeSet<NodeId>,
    /// Why it was last changed.
    pub reason: Note,
    /// When it was last changed.
    pub modified: Revision,
}

impl Assignment {
    /// The assignment of a service that never had a primary.
    #[must_use]
    pub fn vacant(service: ServiceName, at: Revision) -> Self {
        Self {
            service,
            primary: None,
            epoch: Epoch(0),
            loss: Loss(0),
            in_sync: BTreeSet::new(),
            reason: Note::default(),
            modified: at,
        }
    }
}
