//! Who may be taking writes, by what was granted: the leader's side of promise 1.

use crate::{Member, Moment};
use std::collections::BTreeMap;

/// Who may be taking the writes of one service, and until when at the longest.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders {
    until: BTreeMap<Member, Moment>,
    /// Until when somebody may that this leader does not know of.
    unknown_until: Moment,
}

impl Holders {
    /// At the beginning of a leadership: the assigned primary, and, where no fence is proven for its
    /// predecessor, anybody.
    pub(super) fn inherit(assigned: Option<Member>, proven: bool, until: Moment) -> Self {
        Self {
            until: assigned.into_iter().map(|member| (member, until)).collect(),
            unknown_until: if proven { Moment(0) } else { until },
        }
    }

    /// A grant was given.
    pub(super) fn granted(&mut self, member: Member, until: Moment) {
        let held = self.until.entry(member).or_default();
        *held = (*held).max(until);
    }

    /// It says itself that it takes none, so that what this leader granted it is void; what an earlier
    /// one did may run until then.
    pub(super) fn let_go(&mut self, member: Member, until: Moment) {
        if let Some(held) = self.until.get_mut(&member) {
            *held = until.min(*held);
        }
    }

    /// The node has begun this life: nothing of an earlier one is left to take writes.
    pub(super) fn begun_anew(&mut self, member: Member) {
        self.until.retain(|other, _| {
            other.node != member.node || other.incarnation >= member.incarnation
        });
    }

    /// It says that it may be taking writes, by a grant of somebody's.
    pub(super) fn claims(&mut self, member: Member, until: Moment) {
        self.until.entry(member).or_insert(until);
    }

    /// Until when a member may be taking writes.
    pub(super) fn until(&self, member: Member) -> Moment {
        self.until.get(&member).copied().unwrap_or_default()
    }

    /// Whether anybody but this member may be taking writes now.
    pub(super) fn others(&self, member: Member, now: Moment) -> bool {
        let others = self.until.iter().filter(|(other, _)| **other != member);
        now < self.unknown_until || others.into_iter().any(|(_, until)| now < *until)
    }

    /// The member was confirmed by the log to be the one that holds: nobody unknown does.
    pub(super) fn nobody_unknown(&mut self) {
        self.unknown_until = Moment(0);
    }

    pub(super) fn forget_past(&mut self, now: Moment) {
        self.until.retain(|_, until| now < *until);
    }
}
