//! What came of the runs. What never happened was not tried, and a run in which it never happened fails.

use super::at_once::Sum;
use crate::failover::world::World;
use std::{collections::BTreeMap, time::Duration};

/// What has to happen in any large enough number of runs.
pub const SOMETIMES: &[&str] = &[
    "cause: instance exited",
    "cause: node lost",
    "cause: agent lost",
    "cause: node hears nothing",
    "cause: stuck",
    "cause: switchover",
    "cause: drain",
    "cause: operator",
    "fence: Exited",
    "fence: Confirmed",
    "fence: LeaseOver",
    "fence: Operator",
    "held: completeness not proven",
    "held: not fenced yet",
    "held: no candidate",
    "held: taken back",
    "held: too much was lost at once",
    "held: a failover happened a short while ago",
    "held: automation is paused",
    "held: pinned",
    "rejected",
    "outcome unknown",
    "committed by a later leader",
    "proposal lost",
    "pledged",
    "pledge refused",
    "lived on pledges",
    "watcher told of a gap",
    "loss allowed and counted",
    "loss proven away where it is allowed",
    "held at the end",
    "clock jumped",
    "lease changed",
    "copy fetched",
    "fetch failed",
    "copy deleted",
    "copies needed",
    "item removed",
    "write missed a copy",
    "write refused: TooFewCopies",
    "write refused: Changed",
    "moved off a cut that stays",
    "named before agents had spoken",
];

#[derive(Default)]
pub struct Tally {
    pub happened: BTreeMap<String, u64>,
    pub runs: u64,
    pub acked: usize,
    /// Simulated time, in milliseconds.
    pub simulated: u64,
    pub faults: u64,
}

impl Sum for Tally {
    fn join(&mut self, other: Tally) {
        self.runs += other.runs;
        self.acked += other.acked;
        self.simulated += other.simulated;
        self.faults += other.faults;
        for (what, times) in other.happened {
            self.add(what, times);
        }
    }
}

impl Tally {
    fn add(&mut self, what: impl Into<String>, times: u64) {
        *self.happened.entry(what.into()).or_default() += times;
    }

    /// Takes a run in that has ended well.
    pub fn take(&mut self, world: &World) {
        self.runs += 1;
        self.simulated += world.now.0 / 1_000;
        for (what, times) in &world.counts {
            self.add(what.clone(), *times);
        }
        for (index, service) in world.services.iter().enumerate() {
            let strict = world.is_strict();
            for receipt in world.state.receipts(service) {
                let account = &receipt.account;
                let fence = format!("{:?}", account.fence);
                let fence = fence.split(' ').next().unwrap_or_default().to_owned();
                self.add(format!("cause: {}", account.cause), 1);
                self.add(format!("fence: {fence}"), 1);
                let lossless = account.completeness.is_lossless();
                if !lossless {
                    self.add("loss allowed and counted", 1);
                } else if !strict {
                    self.add("loss proven away where it is allowed", 1);
                }
            }
            let acked = world.checks.acked.get(&index).map_or(0, Vec::len);
            self.acked += acked;
        }
        self.add("watcher told of a gap", world.watching.compacted);
        self.add("terms of office", world.checks.terms_of_office);
        self.add("elections", world.term);
    }

    /// How much was tried in so much time.
    pub fn figures(&self, took: Duration) -> String {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let minutes = self.simulated / 60_000;
        format!(
            "{} seeds, {} faults, {} writes acknowledged, {}.{} hours simulated in {}.{} s: {} seeds a \
             second; {} faults and {} simulated hours a minute",
            self.runs,
            self.faults,
            self.acked,
            minutes / 60,
            minutes % 60 / 6,
            millis / 1_000,
            millis % 1_000 / 100,
            self.runs * 1_000 / millis,
            self.faults * 60_000 / millis,
            minutes * 1_000 / millis,
        )
    }

    /// What never happened although it must have.
    pub fn missing(&self) -> Vec<&'static str> {
        let times = |what: &str| self.happened.get(what).copied().unwrap_or_default();
        let all = SOMETIMES.iter().copied();
        all.filter(|what| times(what) == 0).collect()
    }
}
