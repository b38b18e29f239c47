//! Random commands on copies: most of them rest on what is so, some on what was or never will be.

use super::dice::Dice;
use super::generate::Generator;
use crate::fixture::{member, service};
use std::collections::BTreeSet;
use tenure_core::copies::{
    Checked, Checksum, CopiesCommand, Item, ItemName, OneCopy, Placing, RebalanceStep, Removing,
    Reported, Stage,
};
use tenure_core::{Command, NodeId, ServiceName};

const ITEMS: u64 = 6;

fn sum(dice: &mut Dice) -> Option<Checksum> {
    let same = dice.percent(90);
    Checksum::new(&[if same { 1 } else { 2 }]).ok()
}

impl Generator<'_> {
    pub fn copies(&mut self) -> Command {
        let with = self.state.ledgers().map(|(service, _)| service.clone());
        let with: Vec<ServiceName> = with.collect();
        let some = self.dice.pick(with).filter(|_| self.dice.percent(95));
        let service = some.unwrap_or_else(|| service("p"));
        let what = self.on_items(&service);
        Command::Copies { service, what }
    }

    fn on_items(&mut self, service: &ServiceName) -> CopiesCommand {
        match self.dice.below(30) {
            0..6 => CopiesCommand::Place(self.each(|it| it.placing(service))),
            6..16 => CopiesCommand::Report(self.each(|it| it.reported(service))),
            16..18 => CopiesCommand::Verify(self.each(|it| it.checked(service))),
            18..20 => CopiesCommand::Assign(self.each(|it| it.one_copy(service))),
            20..22 => CopiesCommand::Drop(self.each(|it| it.one_copy(service))),
            22..24 => CopiesCommand::Dropped(self.each(|it| it.one_copy(service))),
            24..25 => CopiesCommand::Remove(self.each(|it| it.removing(service))),
            25..27 => CopiesCommand::Empty {
                node: self.holder(service),
                accept_loss: self.dice.percent(60),
            },
            27..29 => self.turn(service),
            _ => {
                let steps = [
                    RebalanceStep::Start,
                    RebalanceStep::Pause,
                    RebalanceStep::Resume,
                    RebalanceStep::Stop,
                ];
                CopiesCommand::Rebalance(self.dice.pick(steps).expect("there are some"))
            }
        }
    }

    fn each<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = self.dice.below(4);
        (0..count).map(|_| one(self)).collect()
    }

    fn turn(&mut self, service: &ServiceName) -> CopiesCommand {
        let node = self.holder(service);
        let now = self.state.nodes().get(&node);
        let incarnation = now.map_or(0, |n| n.incarnation.0) + u64::from(self.dice.percent(10));
        let member = member(node.0, incarnation);
        match self.dice.below(5) {
            0..2 => CopiesCommand::Lose { member },
            2..4 => CopiesCommand::Regain { member },
            _ => CopiesCommand::Renew {
                member,
                folder: self.dice.below(3),
            },
        }
    }

    fn item_name(&mut self) -> ItemName {
        let text = format!("i{}", self.dice.below(ITEMS));
        ItemName::new(&text).expect("a name")
    }

    fn holder(&mut self, service: &ServiceName) -> NodeId {
        let ledger = self.state.ledger(service);
        let stores = ledger.into_iter().flat_map(|ledger| ledger.stores());
        let stores: Vec<NodeId> = stores.map(|store| store.node()).collect();
        let known = self.dice.pick(stores).filter(|_| self.dice.percent(90));
        known.unwrap_or_else(|| NodeId(1 + self.dice.below(6)))
    }

    fn known(&self, service: &ServiceName, name: &ItemName) -> Option<Item> {
        let ledger = self.state.ledger(service)?;
        ledger.item(ledger.find(name)?)
    }

    fn placing(&mut self, service: &ServiceName) -> Placing {
        let item = self.item_name();
        let wanted = u8::try_from(self.dice.below(4)).expect("small");
        let ledger = self.state.ledger(service);
        let nodes = ledger.map(|ledger| {
            let count = if wanted == 0 { 3 } else { wanted };
            ledger.propose(&item, count, &BTreeSet::new())
        });
        let mut nodes = nodes.unwrap_or_default();
        if self.dice.percent(10) {
            nodes.push(self.holder(service));
        }
        Placing {
            item,
            wanted,
            nodes,
        }
    }

    fn reported(&mut self, service: &ServiceName) -> Reported {
        let item = self.item_name();
        let known = self.known(service, &item);
        let on = known.iter().flat_map(|item| &item.copies);
        let mut holders: Vec<NodeId> = on.map(|(node, _)| *node).collect();
        if self.dice.percent(30) && holders.len() > 1 {
            holders.remove(0);
        }
        if self.dice.percent(5) {
            holders.push(self.holder(service));
        }
        let now = known.as_ref().map_or(0, |item| item.version);
        let caught_up = known.is_some_and(|item| item.stage == Stage::Written);
        let version = if caught_up && self.dice.percent(40) {
            now
        } else {
            now + 1
        };
        Reported {
            item,
            replaces: now + u64::from(self.dice.percent(5)),
            version,
            checksum: sum(self.dice),
            size: self.dice.below(100),
            holders,
        }
    }

    fn checked(&mut self, service: &ServiceName) -> Checked {
        let item = self.item_name();
        let known = self.known(service, &item);
        Checked {
            item,
            node: self.holder(service),
            version: known.map_or(0, |item| item.version),
            found: sum(self.dice).filter(|_| self.dice.percent(80)),
        }
    }

    fn one_copy(&mut self, service: &ServiceName) -> OneCopy {
        let (item, node) = (self.item_name(), self.holder(service));
        OneCopy { item, node }
    }

    fn removing(&mut self, service: &ServiceName) -> Removing {
        let item = self.item_name();
        let known = self.known(service, &item);
        let version = known.map_or(0, |item| item.version) + u64::from(self.dice.percent(10));
        Removing { item, version }
    }
}
