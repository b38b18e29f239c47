//! Whether this leader may grant, and whether it may judge.

use super::Look;
use crate::{Millis, Moment, ServerId, lease};
use std::collections::BTreeMap;

/// A gap between two looks at the clock from which on the leader takes itself to have been stalled.
const STALLED: Millis = Millis(200);
/// How long after its last sign a fellow server's relay counts as up.
const EAR_FRESH: Millis = Millis(250);

/// What a leader knows of itself.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) since: Moment,
    quorum: Option<Moment>,
    last_look: Moment,
    /// Since when it has seen and heard without a break.
    pub(super) listening: Moment,
    ears: BTreeMap<ServerId, Moment>,
}

impl Authority {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            since: now,
            quorum: None,
            last_look: now,
            listening: now,
            ears: BTreeMap::new(),
        }
    }

    pub(super) fn quorum(&mut self, acked: Moment) {
        self.quorum = self.quorum.max(Some(acked));
    }

    pub(super) fn ear(&mut self, server: ServerId, now: Moment) {
        self.ears.insert(server, now);
    }

    /// Promise 7: after a stall of its own, and while it has no quorum, the leader listens anew and
    /// judges nobody.
    pub(super) fn look(&mut self, look: Look<'_>) {
        let stalled = look.now.since(self.last_look) >= STALLED;
        self.last_look = look.now;
        if stalled || !self.may_grant(look) {
            self.listening = look.now;
        }
    }

    /// Whether no other leader can have been elected yet. Rests on followers that vote for nobody
    /// within the Raft lease of their leader's last word, nor within it after they were started; the
    /// quorum's moment is that of the leader's sending.
    pub(super) fn may_grant(&self, look: Look<'_>) -> bool {
        let drift = look.automation().drift_permille;
        let drift = look.site.raft_lease.0.saturating_mul(drift.into()) / 1_000;
        let sure = look.site.raft_lease.minus(Millis(drift.saturating_add(5)));
        self.quorum.is_some_and(|at| look.now < at.after(sure))
    }

    /// Whether a majority of the voters hears, and is heard of, at the moment: silence means
    /// something only then.
    pub(super) fn hears(&self, look: Look<'_>) -> bool {
        let fresh = |server: &&ServerId| {
            let heard = self.ears.get(server);
            heard.is_some_and(|at| look.now.since(*at) < EAR_FRESH) || **server == look.site.server
        };
        let ears = look.voters.iter().filter(fresh).count();
        ears.saturating_mul(2) > look.voters.len()
    }

    /// Until when an earlier leader's grants may run: its Raft lease may have outlived this one's
    /// election when leadership was handed over, and a member counts from when it asked.
    pub(super) fn inherited_until(&self, look: Look<'_>) -> Moment {
        let automation = look.automation();
        let lease = look.site.raft_lease.plus(automation.longest_lease());
        lease::granter_until(self.since, lease, automation.drift_permille)
    }
}
