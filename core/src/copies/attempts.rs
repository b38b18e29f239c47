//! Transfers under way and failed, and how long a failed one waits.

use super::ItemId;
use super::repair::{Limits, Transfer};
use crate::{Millis, Moment, NodeId};
use std::collections::BTreeMap;

/// A transfer that runs, or that failed and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    /// From where it runs; None while it waits.
    pub(super) from: Option<NodeId>,
    pub(super) failures: u32,
    pub(super) not_before: Moment,
}

/// Transfers under way and failed, as the leader remembers them. A new leader starts with none: orders are
/// told anew, and a node that is at it already goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts(pub(super) BTreeMap<(ItemId, NodeId), Attempt>);

impl Attempts {
    /// How many transfers are under way.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        let all = self.0.values().filter(|attempt| attempt.from.is_some());
        u32::try_from(all.count()).unwrap_or(u32::MAX)
    }

    /// A transfer was ordered.
    pub fn started(&mut self, transfer: &Transfer) {
        let key = (transfer.item, transfer.to);
        let failures = self.0.get(&key).map_or(0, |attempt| attempt.failures);
        let (from, not_before) = (Some(transfer.from), Moment(0));
        self.0.insert(
            key,
            Attempt {
                from,
                failures,
                not_before,
            },
        );
    }

    /// A transfer ended well, was cancelled, or is no longer wanted.
    pub fn ended(&mut self, item: ItemId, to: NodeId) {
        self.0.remove(&(item, to));
    }

    /// A transfer failed: it waits before it is tried again, twice as long each time.
    pub fn failed(&mut self, item: ItemId, to: NodeId, now: Moment, limits: &Limits) {
        let failures = self
            .0
            .get(&(item, to))
            .map_or(0, |attempt| attempt.failures);
        let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        let wait = limits
            .backoff
            .0
            .saturating_mul(factor)
            .min(limits.backoff_max.0);
        let attempt = Attempt {
            from: None,
            failures: failures.saturating_add(1),
            not_before: now.after(Millis(wait)),
        };
        self.0.insert((item, to), attempt);
    }

    /// Forgets what failed of copies that are not to be made any more.
    pub fn retain(&mut self, keep: impl Fn(ItemId, NodeId) -> bool) {
        self.0
            .retain(|(item, to), attempt| attempt.from.is_some() || keep(*item, *to));
    }

    /// Every transfer from or to a node that is lost has failed.
    pub fn lost(&mut self, node: NodeId, now: Moment, limits: &Limits) {
        let of = |((item, to), attempt): (&(ItemId, NodeId), &Attempt)| {
            (*to == node || attempt.from == Some(node)).then_some((*item, *to))
        };
        let ended: Vec<_> = self.0.iter().filter_map(of).collect();
        for (item, to) in ended {
            self.failed(item, to, now, limits);
        }
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0
            .values()
            .filter(|attempt| attempt.from.is_some())
            .count()
    }
}
