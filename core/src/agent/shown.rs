//! What an instance shows: taking in what its driver sees, and what is said of it.

use super::{Observation, Observed, instance::Instance};
use crate::{Epoch, Millis, Moment, Presence, Report, Role, ServiceName, Sign, Standing, Surveyed};

impl Instance {
    /// Takes in what its driver sees; `next` is the next heartbeat.
    pub(super) fn see(&mut self, seen: Observation, next: u64) {
        let other = seen.run != 0 && self.run != 0 && seen.run != self.run;
        if seen.run != 0 {
            self.run = seen.run;
        }
        if other {
            self.whole = false;
        }
        if other || seen.presence == Presence::Exited {
            self.let_go(next);
            // What was granted before the leader could know of it was not granted to this process.
            self.idle_since = next;
            self.follows = None;
        }
        if self.is_fallen_back(seen.role) {
            self.promoted = None;
        }
        if self.follows.is_some() && seen.role == (Observed::Following { linked: true }) {
            self.whole = true;
        }
        self.seen = seen;
    }

    /// Whether it holds, and shows that it takes no writes all the same: an earlier process of the agent
    /// was stopped in the middle of a promotion, or of a fence. It is promoted once more.
    fn is_fallen_back(&self, role: Observed) -> bool {
        let holds = self.standing.holds();
        let done = holds.is_some() && self.promoted == holds && !self.is_fencing();
        done && match role {
            Observed::Fenced => true,
            Observed::Following { .. } => self.taken_over,
            Observed::Nothing | Observed::Writable | Observed::Peer => false,
        }
    }

    /// What is said of it.
    pub(super) fn sign(&self, service: &ServiceName, now: Moment) -> Sign {
        let role = match (self.seen.shown_role(), self.standing, self.follows) {
            (_, Standing::Primary(epoch) | Standing::Quiesced(epoch), _)
                if self.promoted == Some(epoch) =>
            {
                Some((Role::Primary, epoch))
            }
            (Some(Role::Replica), Standing::Idle(_), Some((epoch, _))) => {
                Some((Role::Replica, epoch))
            }
            (Some(Role::Peer), _, _) => Some((Role::Peer, Epoch(0))),
            (Some(Role::Primary | Role::Replica) | None, _, _) => None,
        };
        let surveyed = self.surveyed.clone().map(|surveyed| Surveyed {
            pledged: now_to(now, self.pledged_until),
            ..surveyed
        });
        Sign {
            service: service.clone(),
            report: Report {
                health: self.seen.health,
                role,
                position: self.seen.position.clone(),
                note: self.seen.note.clone(),
                attributes: self.seen.attributes.clone(),
            },
            presence: if self.is_bereft() {
                Presence::Exited
            } else {
                self.seen.presence
            },
            whole: self.whole,
            standing: self.standing,
            permits: self.permits.iter().copied().collect(),
            linked: self.follows.is_some()
                && self.seen.role == Observed::Following { linked: true },
            stalled: self.seen.stalled,
            sees_primary: self.sees_primary,
            surveyed,
            returned: self.returned.clone(),
            store: self.store.clone(),
        }
    }
}

/// How long it is until a moment, rounded up.
fn now_to(now: Moment, until: Moment) -> Millis {
    Millis(until.0.saturating_sub(now.0).div_ceil(1_000))
}
