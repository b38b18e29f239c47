//! What to do so that every item has its fresh copies again: whom to give copies, who copies from whom, and what may go.
//! A function of the ledger, of what the leader knows of the nodes, and of the moment; it changes nothing.

use super::attempts::Attempts;
use super::counts::Danger;
use super::placement::{self, Chooser};
use super::row::{Cell, Row};
use super::{CopyState, ItemId, Ledger};
use crate::{Moment, NodeId};
use std::collections::BTreeMap;

pub use super::planned::{Assign, Limits, NodeView, Plan, Transfer, Waiting};

/// Makes the plan: the most endangered items first, then what may go.
#[must_use]
pub fn plan(
    ledger: &Ledger,
    views: &BTreeMap<NodeId, NodeView>,
    limits: &Limits,
    attempts: &Attempts,
    now: Moment,
) -> Plan {
    plan_on(ledger, views, limits, attempts, now, &mut Cursor::default())
}

/// The same where one plan cannot look at everything: half of it looks at the most endangered items, the other half goes on
/// where the last one stopped, so that items which wait keep none of the others from being looked at.
#[must_use]
pub fn plan_on(
    ledger: &Ledger,
    views: &BTreeMap<NodeId, NodeView>,
    limits: &Limits,
    attempts: &Attempts,
    now: Moment,
    cursor: &mut Cursor,
) -> Plan {
    let mut planner = Planner::new(ledger, views, limits, attempts, now);
    let summary = ledger.summary();
    planner.plan.items = summary.under_replicated;
    planner.plan.bytes = summary.missing_bytes;
    planner.plan.seconds = summary.missing_bytes.checked_div(limits.bytes_per_second);
    let classes = ledger.counts.endangered.iter();
    let hopeless = classes.filter(|(danger, _)| danger.usable == 0);
    let hopeless: u64 = hopeless.map(|(_, class)| class.items.len()).sum();
    let mut looked = 0;
    let half = limits.look.div_ceil(2);
    let reached = planner.restore_from(None, half, &mut looked);
    cursor.endangered = reached.and_then(|reached| {
        let from = cursor.endangered.map_or(reached, |at| at.max(reached));
        planner.restore_from(Some(from), limits.look, &mut looked)
    });
    planner.plan.waiting.no_source = hopeless;
    let seen = hopeless.saturating_add(looked.into());
    planner.plan.waiting.later = summary.under_replicated.saturating_sub(seen);
    let look = limits.look.saturating_sub(looked);
    let mut left = look;
    let spare = ledger.counts.spare.iter_from(cursor.spare);
    cursor.spare = 0;
    for slot in spare {
        if left == 0 {
            cursor.spare = slot;
            break;
        }
        left = left.saturating_sub(1);
        planner.tidy(ItemId(slot));
    }
    planner.plan
}

/// Where the next of several plans goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    endangered: Option<(Danger, u32)>,
    spare: u32,
}

pub(super) struct Planner<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) views: &'a BTreeMap<NodeId, NodeView>,
    limits: &'a Limits,
    attempts: &'a Attempts,
    now: Moment,
    pub(super) chooser: Chooser,
    sending: BTreeMap<NodeId, u32>,
    receiving: BTreeMap<NodeId, u32>,
    left: u32,
    /// Nodes that may receive one more.
    open: usize,
    pub(super) plan: Plan,
}

/// Whether a copy is being made.
#[derive(PartialEq, Eq)]
pub(super) enum Step {
    UnderWay,
    GivenUp,
}

impl<'a> Planner<'a> {
    fn new(
        ledger: &'a Ledger,
        views: &'a BTreeMap<NodeId, NodeView>,
        limits: &'a Limits,
        attempts: &'a Attempts,
        now: Moment,
    ) -> Self {
        let mut planner = Self {
            ledger,
            views,
            limits,
            attempts,
            now,
            chooser: ledger.chooser(),
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            left: limits.cluster,
            open: ledger.stores().filter(|store| store.counts()).count(),
            plan: Plan::default(),
        };
        for ((_, to), attempt) in &attempts.0 {
            if let Some(from) = attempt.from {
                planner.reserve(Some(from), *to);
            }
        }
        planner
    }

    fn reserve(&mut self, from: Option<NodeId>, to: NodeId) {
        let one_more = |counts: &mut BTreeMap<NodeId, u32>, node| {
            let count = counts.entry(node).or_default();
            *count = count.saturating_add(1);
            *count
        };
        if let Some(from) = from {
            one_more(&mut self.sending, from);
        }
        if one_more(&mut self.receiving, to) == self.limits.per_node {
            self.open = self.open.saturating_sub(1);
        }
        self.left = self.left.saturating_sub(1);
    }

    /// Restores items from one on, the most endangered first, until so many were looked at altogether. Says where it
    /// stopped; None when that was the end. Items that nothing can be read of would only be in the way.
    fn restore_from(
        &mut self,
        from: Option<(Danger, u32)>,
        most: u32,
        looked: &mut u32,
    ) -> Option<(Danger, u32)> {
        let ledger = self.ledger;
        for (danger, class) in &ledger.counts.endangered {
            if danger.usable == 0 || from.is_some_and(|(first, _)| *danger < first) {
                continue;
            }
            let least = from.filter(|(first, _)| first == danger);
            for slot in class.items.iter_from(least.map_or(0, |(_, slot)| slot)) {
                let busy = self.left == 0 || self.open == 0;
                if busy || *looked >= most {
                    return Some((*danger, slot));
                }
                *looked = looked.saturating_add(1);
                self.restore(*danger, ItemId(slot));
            }
        }
        None
    }

    fn may_receive(&self, node: NodeId) -> bool {
        let receiving = self.receiving.get(&node).copied().unwrap_or_default();
        self.left > 0 && receiving < self.limits.per_node
    }

    pub(super) fn has_room(views: &BTreeMap<NodeId, NodeView>, node: NodeId, size: u64) -> bool {
        let free = views.get(&node).and_then(|view| view.free);
        free.is_none_or(|free| free >= size)
    }

    /// Brings one item that lacks copies a step further.
    fn restore(&mut self, danger: Danger, item: ItemId) {
        let ledger = self.ledger;
        let Some(row) = ledger.slab.get(item.0) else {
            return;
        };
        let mut missing = usize::from(danger.missing.0);
        let (mut kept, mut unfinished) = (Vec::new(), Vec::new());
        let (mut barred, mut given_up) = (Vec::new(), Vec::new());
        for cell in row.cells() {
            let Some(store) = ledger.stores.get(cell.store()) else {
                continue;
            };
            if cell.is_dropping() {
                barred.push(store.node);
                continue;
            }
            match (store.counts(), cell.is_fresh()) {
                (true, true) => kept.push(store.node),
                (true, false) => unfinished.push((cell.state() == CopyState::Syncing, store.node)),
                (false, _) => barred.push(store.node),
            }
        }
        unfinished.sort_unstable();
        for (_, node) in unfinished {
            if missing > 0 && self.bring_up(item, row, node, false) == Step::UnderWay {
                missing = missing.saturating_sub(1);
                kept.push(node);
            } else {
                given_up.push(node);
            }
        }
        if danger.usable >= self.limits.urgent_below {
            let returning = self.returning(row).min(missing);
            missing = missing.saturating_sub(returning);
            let waits = u64::from(returning > 0);
            self.plan.waiting.grace = self.plan.waiting.grace.saturating_add(waits);
        }
        barred.extend(&given_up);
        let lacking = self.give(item, row, missing, &kept, &barred);
        for node in given_up.into_iter().take(lacking) {
            self.bring_up(item, row, node, true);
        }
    }

    /// Fresh copies on lost nodes that are still waited for.
    fn returning(&self, row: &Row) -> usize {
        let waited_for = |cell: &&Cell| {
            let store = self.ledger.stores.get(cell.store());
            let lost = store.filter(|store| store.lost && !store.draining);
            let view = lost.and_then(|store| self.views.get(&store.node));
            let lost_at = view.and_then(|view| view.lost_at);
            cell.is_fresh() && lost_at.is_some_and(|at| self.now < at.after(self.limits.grace))
        };
        row.cells().iter().filter(waited_for).count()
    }

    /// Gives nodes the copies that are missing; says how many more are.
    fn give(
        &mut self,
        item: ItemId,
        row: &Row,
        missing: usize,
        kept: &[NodeId],
        barred: &[NodeId],
    ) -> usize {
        if missing == 0 {
            return 0;
        }
        let views = self.views;
        let may = |node| !barred.contains(&node) && Self::has_room(views, node, row.size);
        let key = placement::key_of(row.name());
        let chosen = self.chooser.choose(key, missing, kept, may);
        let lacking = missing.saturating_sub(chosen.len());
        let waiting = &mut self.plan.waiting;
        waiting.no_room = waiting.no_room.saturating_add((lacking > 0).into());
        for to in chosen {
            if self.may_receive(to) {
                self.reserve(None, to);
                self.plan.assign.push(Assign { item, to });
            } else {
                self.plan.waiting.limits = self.plan.waiting.limits.saturating_add(1);
            }
        }
        lacking
    }

    /// Has a node that was given a copy fetch what it lacks, unless it is at it.
    /// One that failed too often is given up, unless nobody else is left.
    pub(super) fn bring_up(&mut self, item: ItemId, row: &Row, to: NodeId, insist: bool) -> Step {
        let attempt = self.attempts.0.get(&(item, to));
        match attempt {
            Some(attempt) if attempt.from.is_some() => return Step::UnderWay,
            Some(attempt) if attempt.failures >= self.limits.tries && !insist => {
                return Step::GivenUp;
            }
            Some(attempt) if self.now < attempt.not_before => {
                self.plan.waiting.backoff = self.plan.waiting.backoff.saturating_add(1);
                return Step::UnderWay;
            }
            Some(_) | None => {}
        }
        let source = self.source(row).filter(|_| self.may_receive(to));
        if let Some(from) = source {
            self.reserve(Some(from), to);
            let (version, checksum, bytes) = (row.version, row.checksum(), row.size);
            self.plan.transfer.push(Transfer {
                item,
                from,
                to,
                version,
                checksum,
                bytes,
            });
        } else {
            self.plan.waiting.limits = self.plan.waiting.limits.saturating_add(1);
        }
        Step::UnderWay
    }

    /// The fresh copy whose node sends least, then is least busy.
    fn source(&self, row: &Row) -> Option<NodeId> {
        let fresh = row.cells().iter().filter(|cell| cell.is_fresh());
        let stores = fresh.filter_map(|cell| self.ledger.stores.get(cell.store()));
        let nodes = stores.filter(|store| !store.lost).map(|store| store.node);
        let load = |node| {
            let sending = self.sending.get(&node).copied().unwrap_or_default();
            let load = self.views.get(&node).map_or(0, |view| view.load);
            (sending, load, node)
        };
        let allowed = |(sending, _, _): &(u32, u32, NodeId)| *sending < self.limits.per_node;
        nodes
            .map(load)
            .filter(allowed)
            .min()
            .map(|(_, _, node)| node)
    }
}
