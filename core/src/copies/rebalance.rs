//! Which copies are not where they belong. Moving one is giving the right node a copy: when that is in sync, the item has
//! one more than wanted, and [`repair`](super::repair) lets the copy go that belongs there least. So a move never leaves an
//! item with less than it had, and may be stopped at any time.

use super::repair::{Assign, NodeView, Planner};
use super::{ItemId, Ledger, placement};
use crate::NodeId;
use std::collections::BTreeMap;

/// Moves of copies, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// Copies to give: [`Ledger::assign`]. A dry run leaves it at looking at them.
    pub assign: Vec<Assign>,
    /// Copies that would go in exchange.
    pub leave: Vec<Assign>,
    /// Bytes to move.
    pub bytes: u64,
    /// Items looked at.
    pub looked: u64,
    /// From where to look on; None when all have been looked at.
    pub next: Option<ItemId>,
}

/// Looks at up to `look` items from `from` on (from the first without it) and finds up to `most` moves. Items that lack copies
/// or have some to spare are passed over: those are repaired first.
#[must_use]
pub fn rebalance(
    ledger: &Ledger,
    views: &BTreeMap<NodeId, NodeView>,
    from: Option<ItemId>,
    look: u32,
    most: usize,
) -> Moves {
    let mut moves = Moves::default();
    let mut chooser = ledger.chooser();
    let start = from.map_or(0, |item| item.0);
    let end = start.saturating_add(look).min(ledger.slab.end());
    for slot in start..end {
        if moves.assign.len() >= most {
            moves.next = Some(ItemId(slot));
            return moves;
        }
        moves.looked = moves.looked.saturating_add(1);
        let Some(row) = ledger.slab.get(slot) else {
            continue;
        };
        let tally = ledger.tally(row);
        if !tally.written || tally.missing > 0 || tally.spare {
            continue;
        }
        let has = |node: NodeId| {
            let number = ledger.stores.number(node).ok();
            number.is_some_and(|number| row.cell(number).is_some())
        };
        let may = |node| has(node) || Planner::has_room(views, node, row.size);
        let key = placement::key_of(row.name());
        let ideal = chooser.choose(key, row.wanted.into(), &[], may);
        if ideal.iter().all(|node| has(*node)) {
            continue;
        }
        let fresh = row.cells().iter().filter(|cell| cell.is_fresh());
        let on = fresh.filter_map(|cell| ledger.stores.get(cell.store()));
        let leave = on.map(super::Store::node).filter(|to| !ideal.contains(to));
        let item = ItemId(slot);
        moves.leave.extend(leave.map(|to| Assign { item, to }));
        for to in ideal {
            if !has(to) {
                moves.assign.push(Assign { item, to });
                moves.bytes = moves.bytes.saturating_add(row.size);
            }
        }
    }
    moves.next = (end < ledger.slab.end()).then_some(ItemId(end));
    moves
}
