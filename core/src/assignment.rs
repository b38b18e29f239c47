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
    /// The instances that hold every write acknowledged before this set was stated; the primary is one
    /// of them. Of what is acknowledged since, each write is on as many of the others (and of those
    /// that are syncing) as the policy's `write_acks`.
    pub in_sync: BTreeSet<NodeId>,
    /// The instances that follow the primary and may acknowledge writes, but may lack older ones.
    pub syncing: BTreeSet<NodeId>,
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
            syncing: BTreeSet::new(),
            reason: Note::default(),
            modified: at,
        }
    }

    /// Whoever may acknowledge a write to the primary, the primary itself not among them.
    pub fn acknowledgers(&self) -> impl Iterator<Item = NodeId> {
        let primary = self.primary.map(|primary| primary.node);
        let all = self.in_sync.union(&self.syncing).copied();
        all.filter(move |node| Some(*node) != primary)
    }

    /// The same members, of whom the primary alone is known to have everything: what had been acknowledged by
    /// other rules has to reach the others first.
    pub(crate) fn stated_anew(&self) -> Self {
        let primary = self.primary.map(|primary| primary.node);
        Self {
            in_sync: primary.into_iter().collect(),
            syncing: self.acknowledgers().collect(),
            ..self.clone()
        }
    }

    /// Whether the most advanced of those heard from holds every acknowledged write, when they have
    /// said how far they have got after the primary was fenced.
    ///
    /// A write acknowledged since the in-sync set was stated is on `write_acks` of those who may
    /// acknowledge: of more than all but so many, one has it. An older one is on every member of the
    /// in-sync set: one of those must be among them. Positions of one history are prefixes of one
    /// another, so the most advanced has what any of them has.
    #[must_use]
    pub fn proves_complete(&self, heard: &BTreeSet<NodeId>, write_acks: u32) -> bool {
        let acks = usize::try_from(write_acks).unwrap_or(usize::MAX);
        let may_acknowledge: BTreeSet<NodeId> = self.acknowledgers().collect();
        let counted = heard.intersection(&may_acknowledge).count();
        acks > 0
            && counted.saturating_add(acks) > may_acknowledge.len()
            && heard
                .intersection(&may_acknowledge)
                .any(|node| self.in_sync.contains(node))
    }
}
