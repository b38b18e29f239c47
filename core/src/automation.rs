//! How the cluster decides by itself: its tempos, its patience and its bounds. Replicated, so that
//! every leader decides alike.

use crate::{Millis, PolicyError, Revision, policy::within};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a primary does when no leader can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlLoss {
    /// It goes on while every member that could be promoted in its place has pledged not to be.
    Pledge,
    /// It stops when its lease ends.
    Fence,
}

impl fmt::Display for ControlLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pledge => "pledge",
            Self::Fence => "fence",
        })
    }
}

/// How the cluster decides by itself.
///
/// The defaults suit nodes of one site: round trips well below a millisecond, stalls well below half
/// a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Automation {
    /// How often a member beats that holds or may take a role of primary; 10 to 10,000.
    pub fast_heartbeat: Millis,
    /// How long what it is granted holds; at least three heartbeats, at most 60,000.
    pub fast_lease: Millis,
    /// How often every other member beats; 100 to 60,000.
    pub slow_heartbeat: Millis,
    /// How long such a member may be silent before it counts as lost; at least three heartbeats.
    pub slow_lease: Millis,
    /// By how many thousandths two clocks may differ in rate; 0 to 100.
    pub drift_permille: u32,
    /// What a primary does when no leader can be reached.
    pub control_loss: ControlLoss,
    /// How long a node may be silent whose instance still serves its replicas: its agent is being
    /// restarted. At least the fast lease, at most an hour.
    pub agent_grace: Millis,
    /// How long a replica may be silent, or behind, before its acknowledgement no longer counts.
    pub replica_grace: Millis,
    /// How long a primary that answers may take no write before it counts as stuck.
    pub stuck_after: Millis,
    /// How long candidates may take to say how far they have got; 10 to 10,000.
    pub survey: Millis,
    /// How long writes may be paused by a switchover before it is taken back; 10 to 60,000.
    pub switchover: Millis,
    /// Within which time losses count as one storm.
    pub storm_window: Millis,
    /// How many members of one zone may be lost within the window before only services with a provably
    /// complete candidate move; 1 to 10,000.
    pub storm_budget: u32,
    /// The longest fast lease that was ever set, where that is not the present one; else 0. Kept by the cluster: what
    /// a command says of it counts for nothing.
    #[serde(skip)]
    pub earlier_lease: Millis,
    /// When these were last changed.
    #[serde(skip)]
    pub modified: Revision,
}

impl Default for Automation {
    fn default() -> Self {
        Self {
            fast_heartbeat: Millis(100),
            fast_lease: Millis(1_000),
            slow_heartbeat: Millis(1_000),
            slow_lease: Millis(10_000),
            drift_permille: 10,
            control_loss: ControlLoss::Pledge,
            agent_grace: Millis(10_000),
            replica_grace: Millis(5_000),
            stuck_after: Millis(2_000),
            survey: Millis(200),
            switchover: Millis(1_000),
            storm_window: Millis(10_000),
            storm_budget: 2,
            earlier_lease: Millis(0),
            modified: Revision(0),
        }
    }
}

fn at_least(name: &str, value: Millis, of: &str, least: u64) -> Result<(), PolicyError> {
    if value.0 >= least {
        return Ok(());
    }
    Err(PolicyError(format!(
        "{name} ({value}) must be at least {of} ({least} ms)"
    )))
}

impl Automation {
    /// Promise 1: how long a grant or a pledge of anybody may run, that of a leader before the lease was made
    /// shorter included. A member that hears nobody lives by the rules that it heard last.
    #[must_use]
    pub fn longest_lease(&self) -> Millis {
        self.fast_lease.max(self.earlier_lease)
    }

    /// Checks ranges and the relations between settings.
    ///
    /// # Errors
    /// [`PolicyError`] with a sentence for the person who set it; a retry cannot help.
    pub fn validate(&self) -> Result<(), PolicyError> {
        within("fast_heartbeat", self.fast_heartbeat.0, 10, 10_000)?;
        within("fast_lease", self.fast_lease.0, 30, 60_000)?;
        within("slow_heartbeat", self.slow_heartbeat.0, 100, 60_000)?;
        within("slow_lease", self.slow_lease.0, 300, 3_600_000)?;
        within("drift_permille", self.drift_permille.into(), 0, 100)?;
        within("agent_grace", self.agent_grace.0, 30, 3_600_000)?;
        within("replica_grace", self.replica_grace.0, 30, 3_600_000)?;
        within("stuck_after", self.stuck_after.0, 100, 3_600_000)?;
        within("survey", self.survey.0, 10, 10_000)?;
        within("switchover", self.switchover.0, 10, 60_000)?;
        within("storm_window", self.storm_window.0, 100, 3_600_000)?;
        within("storm_budget", self.storm_budget.into(), 1, 10_000)?;
        let beats = |beat: Millis| beat.0.saturating_mul(3);
        let three = "three heartbeats";
        at_least(
            "fast_lease",
            self.fast_lease,
            three,
            beats(self.fast_heartbeat),
        )?;
        at_least(
            "slow_lease",
            self.slow_lease,
            three,
            beats(self.slow_heartbeat),
        )?;
        let lease = self.fast_lease.0;
        at_least("agent_grace", self.agent_grace, "the fast lease", lease)?;
        at_least("replica_grace", self.replica_grace, "the fast lease", lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_a_sentence() {
        assert_eq!(Automation::default().validate(), Ok(()));
        let short = Automation {
            fast_lease: Millis(250),
            ..Automation::default()
        };
        let sentence = "fast_lease (250 ms) must be at least three heartbeats (300 ms)";
        assert_eq!(short.validate(), Err(PolicyError(sentence.to_owned())));
        let hasty = Automation {
            agent_grace: Millis(999),
            ..Automation::default()
        };
        let sentence = "agent_grace (999 ms) must be at least the fast lease (1000 ms)";
        assert_eq!(hasty.validate(), Err(PolicyError(sentence.to_owned())));
    }
}
