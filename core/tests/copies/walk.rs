//! Random sequences of everything that can happen to copies, against what lies on the nodes' disks; then the faults heal,
//! and every item must come back to the copies wanted of it.

use super::dice::Dice;
use super::{ledger, name, number, sum};
use std::collections::BTreeMap;
use tenure_core::copies::repair::{Limits, NodeView, Transfer};
use tenure_core::copies::{
    Attempts, CopyState, ItemName, Ledger, Stage, check, check_step, rebalance,
};
use tenure_core::{Millis, Moment, NodeId};

const ITEMS: u64 = 24;
pub const NODES_MIN: usize = 5;

#[derive(Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(super) fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

pub struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) ledger: Ledger,
    /// What lies on the disks: version and checksum.
    pub(super) disks: BTreeMap<(NodeId, ItemName), (u64, u64)>,
    pub(super) attempts: Attempts,
    pub(super) transfers: Vec<Transfer>,
    pub(super) lost: BTreeMap<NodeId, Moment>,
    pub(super) now: Moment,
    pub(super) next_node: u64,
    pub(super) limits: Limits,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (nodes, zones) = (5 + dice.below(4), 1 + dice.below(4));
        let limits = Limits {
            per_node: 1 + dice.below(4) as u32,
            cluster: 1 + dice.below(16) as u32,
            grace: Millis(dice.below(20_000)),
            ..Limits::default()
        };
        Self {
            seed,
            dice,
            ledger: ledger(nodes, zones),
            disks: BTreeMap::new(),
            attempts: Attempts::default(),
            transfers: Vec::new(),
            lost: BTreeMap::new(),
            now: Moment(1),
            next_node: nodes + 1,
            limits,
        }
    }

    /// Does something to the ledger and checks every rule; `lossy` when it may report or accept a loss.
    pub(super) fn step<R: std::fmt::Debug>(
        &mut self,
        lossy: bool,
        what: &str,
        act: impl FnOnce(&mut Ledger) -> R,
    ) -> R {
        let before = self.ledger.clone();
        let answer = act(&mut self.ledger);
        let label = format!("TENURE_COPIES_SEED={} {what}: {answer:?}", self.seed);
        let broken = check(&self.ledger);
        assert!(broken.is_empty(), "{label}: {broken:?}");
        let broken = check_step(&before, &self.ledger, lossy);
        assert!(broken.is_empty(), "{label}: {broken:?}");
        answer
    }

    /// What the ledger calls fresh is on the disk, byte for byte.
    fn compare_disks(&self) {
        for item in self.ledger.list(None, 1_000) {
            for (node, state) in &item.copies {
                if matches!(state, CopyState::InSync | CopyState::Leaving) {
                    let on_disk = self.disks.get(&(*node, item.name.clone())).copied();
                    let on_disk = on_disk.map(|(version, of)| (version, Some(sum(of))));
                    let (seed, name) = (self.seed, &item.name);
                    assert_eq!(
                        on_disk,
                        Some((item.version, item.checksum)),
                        "seed {seed}: {name} on {node}"
                    );
                }
            }
        }
    }

    pub(super) fn any_item(&mut self) -> ItemName {
        name(&format!("item-{}", self.dice.below(ITEMS)))
    }

    pub(super) fn any_node(&mut self) -> NodeId {
        let nodes: Vec<NodeId> = self.ledger.stores().map(|store| store.node()).collect();
        self.dice.pick(nodes).unwrap()
    }

    pub(super) fn views(&self) -> BTreeMap<NodeId, NodeView> {
        let view = |(node, at): (&NodeId, &Moment)| {
            let lost_at = Some(*at);
            (
                *node,
                NodeView {
                    lost_at,
                    ..NodeView::default()
                },
            )
        };
        self.lost.iter().map(view).collect()
    }

    fn happen(&mut self, counts: &mut Counts) {
        self.now = self.now.after(Millis(self.dice.below(1_000)));
        match self.dice.below(100) {
            0..35 => self.write(counts),
            35..40 => self.rot(counts),
            40..46 => self.lose_or_regain(counts),
            46..50 => self.drain_or_not(counts),
            50..53 => self.remove_or_add(counts),
            53..55 => {
                let moves = rebalance::rebalance(&self.ledger, &self.views(), None, 1_000, 3);
                for assign in moves.assign {
                    counts.see("moved");
                    self.assign(assign);
                }
            }
            55..56 => {
                let item = self.any_item();
                if let Some(known) = self.ledger.find(&item).and_then(|id| self.ledger.item(id)) {
                    let id = self.ledger.find(&item).unwrap();
                    self.step(true, "remove item", |ledger| {
                        ledger.remove_item(&item, known.version)
                    })
                    .unwrap();
                    self.transfers.retain(|transfer| transfer.item != id);
                    for (node, _) in known.copies {
                        self.attempts.ended(id, node);
                    }
                    counts.see("items removed");
                }
            }
            56..75 => drop(self.repair(counts)),
            _ => self.transfer(20, counts),
        }
        self.compare_disks();
    }

    /// All nodes are back and nobody drains: every item comes to rest with exactly the fresh copies wanted of it.
    fn heal(&mut self, counts: &mut Counts) {
        let nodes: Vec<NodeId> = self.ledger.stores().map(|store| store.node()).collect();
        for node in nodes {
            self.lost.remove(&node);
            self.step(false, "regain", |ledger| ledger.regain(node))
                .unwrap();
            self.step(false, "stop drain", |ledger| ledger.stop_drain(node))
                .unwrap();
        }
        for _ in 0..2_000 {
            self.now = self.now.after(Millis(1_000));
            let plan = self.repair(counts);
            while !self.transfers.is_empty() {
                self.transfer(0, counts);
            }
            let idle = plan.assign.is_empty() && plan.transfer.is_empty() && plan.drop.is_empty();
            let summary = self.ledger.summary();
            if idle && summary.under_replicated == 0 && summary.spare == 0 {
                break;
            }
        }
        self.compare_disks();
        for item in self
            .ledger
            .list(None, 1_000)
            .into_iter()
            .filter(|item| item.stage == Stage::Written)
        {
            let fresh = item
                .copies
                .iter()
                .filter(|(_, state)| *state == CopyState::InSync);
            let (seed, wanted) = (self.seed, usize::from(item.wanted));
            assert_eq!(
                (fresh.count(), item.copies.len()),
                (wanted, wanted),
                "seed {seed}: {item:?}"
            );
        }
    }

    /// A ledger made again from what is stored of this one says the same.
    fn restore(&self) {
        let mut restored = Ledger::new(*self.ledger.policy());
        for store in self.ledger.stores() {
            restored
                .add_node(store.node(), store.zone().cloned(), store.weight())
                .unwrap();
        }
        let items: Vec<_> = self.ledger.all_stored().collect();
        for item in &items {
            restored.restore(item).unwrap();
        }
        for store in self.ledger.stores() {
            if store.is_draining() {
                restored
                    .drain(store.node(), super::TooFew::AcceptLoss)
                    .unwrap();
            }
            if store.is_lost() {
                restored.lose(store.node()).unwrap();
            }
        }
        assert_eq!(restored, self.ledger);
        assert_eq!(restored.summary(), self.ledger.summary());
        assert!(restored.census().eq(self.ledger.census()));
        let broken = check(&restored);
        assert!(broken.is_empty(), "{broken:?}");
        assert!(items.is_empty() || restored.restore(&items[0]).is_err());
    }
}

#[test]
fn redundancy_shrinks_by_decision_only_and_comes_back_when_faults_heal() {
    let first = number("TENURE_COPIES_SEED", 1);
    let seeds = number("TENURE_COPIES_SEEDS", 60);
    let mut counts = Counts::default();
    for seed in first..first + seeds {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.happen(&mut counts);
        }
        world.restore();
        world.heal(&mut counts);
        world.restore();
    }
    println!("{:?}", counts.0);
    if seeds >= 60 {
        let all = [
            "placed",
            "written",
            "writes that reached too few",
            "found rotten",
            "lost",
            "returned",
            "drained",
            "drains refused",
            "drains stopped",
            "added",
            "removed",
            "removals refused",
            "moved",
            "items removed",
            "let go",
            "dropped",
            "transfers failed",
            "caught up",
            "overtaken",
            "transfers discarded",
        ];
        for what in all {
            assert!(
                counts.0.contains_key(what),
                "it never happened that there were {what}"
            );
        }
    }
}
