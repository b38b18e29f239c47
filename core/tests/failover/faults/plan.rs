//! What is to happen in a run: drawn from the seed before it begins, so that parts of it can be left out.

use super::kinds::{FAULTS, FaultKind};
use crate::walk::dice::Dice;
use tenure_core::Millis;

/// One fault, and how long nothing else is done after it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number in the whole plan, from 1 on; kept when others are left out.
    pub number: u64,
    /// Its place in the table of kinds.
    pub kind: usize,
    /// The node and the server that it befalls; 0 is the primary's, and the leader.
    pub node: u64,
    pub server: u64,
    pub span: Millis,
}

impl Step {
    pub fn kind(&self) -> &'static FaultKind {
        &FAULTS[self.kind]
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let node = match self.node {
            0 => "the primary's node".to_owned(),
            node => format!("n{node}"),
        };
        let server = match self.server {
            0 => "the leader".to_owned(),
            server => format!("s{server}"),
        };
        write!(
            f,
            "{}: {} ({node}, {server}), then {}",
            self.number,
            self.kind().1,
            self.span
        )
    }
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub steps: Vec<Step>,
}

impl Plan {
    pub fn new(seed: u64, faults: u64, nodes: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x05ee_d0ff_a017);
        let step = |number| {
            let kind = kind(&mut dice);
            let of_primary = dice.percent(35);
            let node = if of_primary { 0 } else { 1 + dice.below(nodes) };
            let of_leader = dice.percent(40);
            let server = if of_leader { 0 } else { 1 + dice.below(3) };
            let most = match dice.below(20) {
                0..6 => 40,
                6..14 => 600,
                14..19 => 2_500,
                _ => 8_000,
            };
            Step {
                number,
                kind,
                node,
                server,
                span: Millis(1 + dice.below(most)),
            }
        };
        Self {
            seed,
            steps: (1..=faults).map(step).collect(),
        }
    }

    /// The same with some of its faults alone.
    pub fn only(&self, kept: &[u64]) -> Self {
        let kept = |step: &&Step| kept.contains(&step.number);
        Self {
            seed: self.seed,
            steps: self.steps.iter().filter(kept).cloned().collect(),
        }
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.steps.iter().map(|step| step.number).collect()
    }

    /// The randomness of what happens within a step, whatever was left out before it.
    pub fn dice(&self, step: u64) -> Dice {
        Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(step))
    }
}

fn kind(dice: &mut Dice) -> usize {
    let all: u64 = FAULTS.iter().map(|(weight, ..)| weight).sum();
    let mut drawn = dice.below(all);
    for (index, (weight, ..)) in FAULTS.iter().enumerate() {
        if drawn < *weight {
            return index;
        }
        drawn -= weight;
    }
    unreachable!("one of them was drawn")
}
