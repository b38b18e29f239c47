//! Clients of items: they place, write to nodes, report what they reached a moment later, twice or never, and remove.

use super::{ITEMS, Pending, World, name};
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    Command, Moment, NodeId, Outcome,
    copies::{Checksum, CopiesCommand, ItemName, Located, Placing, Reader, Removing, Reported},
};

impl World {
    pub(super) fn ask(&mut self, what: CopiesCommand) -> Option<Outcome> {
        let leads = self.leader().is_some_and(|it| self.has_quorum(it));
        let service = self.services[self.items.service?].clone();
        leads.then(|| self.commit(Command::Copies { service, what }))
    }

    pub(super) fn located(&self, item: &ItemName) -> Option<Located> {
        let loads = BTreeMap::new();
        let reader = Reader {
            zone: None,
            loads: &loads,
        };
        let located = self.ledger()?.locate(std::slice::from_ref(item), reader);
        located.ok()?.pop()?.ok()
    }

    /// A client writes to the nodes that it was told of, and reports what it reached a moment later, or never.
    pub(super) fn write_item(&mut self) {
        let number = self.dice.below(ITEMS);
        let item = name(number);
        let Some(located) = self.located(&item) else {
            return self.place_item(item);
        };
        if self.dice.percent(3) {
            return self.remove_item(item, located.version);
        }
        let sum = Checksum::new(&self.items.number().to_be_bytes()).expect("it is short");
        let used = self.items.used.get(&item).copied().unwrap_or_default();
        let version = located.version.max(used) + 1;
        let mut holders = Vec::new();
        for node in located.writable {
            if !self.holds(node.0) || self.dice.percent(10) {
                continue;
            }
            if !self.items.shelf(node.0).keep(&item, version, sum, false) {
                self.items.used.insert(item, version);
                return self.count("version taken");
            }
            holders.push(node);
        }
        let (late, report) = (self.dice.below(300), self.dice.percent(90));
        if report {
            let report = Reported {
                item,
                replaces: located.version,
                version,
                checksum: Some(sum),
                size: 1,
                holders,
            };
            let due = Moment(self.now.0 + late * late * 10);
            self.items.pending.push(Pending { report, due });
        }
    }

    fn place_item(&mut self, item: ItemName) {
        let Some(ledger) = self.ledger() else { return };
        let wanted = u8::try_from(ledger.policy().copies).expect("it is small");
        let nodes = ledger.propose(&item, wanted, &BTreeSet::new());
        let wanted = 0;
        let placing = Placing {
            item,
            wanted,
            nodes,
        };
        let _ = self.ask(CopiesCommand::Place(vec![placing]));
    }

    fn remove_item(&mut self, item: ItemName, version: u64) {
        let removing = Removing {
            item: item.clone(),
            version,
        };
        let outcome = self.ask(CopiesCommand::Remove(vec![removing]));
        if matches!(outcome, Some(Outcome::Answered { answers, .. }) if answers[0].is_ok()) {
            self.items.acked.remove(&item);
            self.items.lost.remove(&item);
            self.count("item removed");
        }
    }

    pub(super) fn report_what_is_due(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.items.pending)
            .into_iter()
            .partition(|it| it.due <= now);
        self.items.pending = later;
        let due: Vec<Pending> = due;
        for pending in due {
            self.report_write(pending.report);
        }
    }

    fn report_write(&mut self, report: Reported) {
        let (item, version) = (report.item.clone(), report.version);
        let (sum, holders) = (report.checksum, report.holders.clone());
        let again = self.dice.percent(10).then(|| report.clone());
        let outcome = self.ask(CopiesCommand::Report(vec![report]));
        let Some(Outcome::Answered { answers, .. }) = outcome else {
            return;
        };
        let Ok(accepted) = &answers[0] else {
            let why = answers[0].as_ref().err().map(|why| format!("{why:?}"));
            let letters = |why: String| why.chars().take_while(|it| it.is_alphanumeric()).collect();
            let why: String = why.map(letters).unwrap_or_default();
            return self.count(&format!("write refused: {why}"));
        };
        if accepted.missing > 0 {
            self.count("write missed a copy");
        }
        let sum = sum.expect("it was told");
        let latest = self.items.acked.get(&item).map_or(0, |(latest, _)| *latest);
        if version >= latest {
            self.items.acked.insert(item.clone(), (version, sum));
            self.items.lost.remove(&item);
        }
        for NodeId(node) in holders {
            if self.dice.percent(80) {
                self.items.shelf(node).let_go(&item, |it| it < version);
            }
        }
        // The answer was lost: the same report again is harmless.
        if let Some(report) = again {
            let _ = self.ask(CopiesCommand::Report(vec![report]));
        }
    }
}
