//! Which copies an item can do without: on nodes that drain, and beyond those wanted, the least well placed first.

use super::repair::{Assign, Planner, Step};
use super::{ItemId, placement};

impl Planner<'_> {
    /// Decides on the copies that an item has beyond those wanted.
    pub(super) fn tidy(&mut self, item: ItemId) {
        let ledger = self.ledger;
        let Some(row) = ledger.slab.get(item.0) else {
            return;
        };
        let key = placement::key_of(row.name());
        // Nothing goes of an item that lacks copies; what was let go of it before may be deleted.
        let lacks = ledger.tally(row).missing > 0;
        let (mut counted, mut unfinished) = (Vec::new(), Vec::new());
        for cell in row.cells() {
            let Some(store) = ledger.stores.get(cell.store()).filter(|store| !store.lost) else {
                continue;
            };
            let to = store.node;
            if cell.is_dropping() {
                self.plan.delete.push(Assign { item, to });
                continue;
            }
            if lacks {
                continue;
            }
            match (store.draining, cell.is_fresh()) {
                (true, _) => self.plan.drop.push(Assign { item, to }),
                (false, true) => counted.push(to),
                (false, false) => unfinished.push(to),
            }
        }
        if lacks || !row.is_written() {
            return;
        }
        if counted.len() > usize::from(row.wanted) {
            let may = |node| counted.contains(&node);
            let best = self.chooser.choose(key, row.wanted.into(), &[], may);
            let mut surplus = counted.len().saturating_sub(row.wanted.into());
            // Those that the chooser may not choose, being of weight 0, go first as well.
            for to in counted.into_iter().filter(|node| !best.contains(node)) {
                if surplus > 0 {
                    self.plan.drop.push(Assign { item, to });
                    surplus = surplus.saturating_sub(1);
                }
            }
        }
        if unfinished.is_empty() {
            return;
        }
        let views = self.views;
        let may = |node| Self::has_room(views, node, row.size);
        let ideal = self.chooser.choose(key, row.wanted.into(), &[], may);
        for to in unfinished {
            if !ideal.contains(&to) || self.bring_up(item, row, to, false) == Step::GivenUp {
                self.plan.drop.push(Assign { item, to });
            }
        }
    }
}
