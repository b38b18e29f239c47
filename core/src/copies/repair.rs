//! What to do so that every item has its fresh copies again: whom to give copies, who copies from whom, and what may go.
//! A function of the ledger, of what the leader knows of the nodes, and of the moment; it changes nothing.

use super::attempts::Attempts;
use super::counts::Danger;
use super::placement::{self, Chooser};
use super::row::{Cell, Row};
use super::{Checksum, CopyState, ItemId, Ledger};
use crate::{Millis, Moment, NodeId};
use std::collections::BTreeMap;

/// What the leader knows of a node beside the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeView {
    /// Bytes free for copies, when the node says.
    pub free: Option<u64>,
    /// How busy it is, in thousandths.
    pub load: u32,
    /// Since when it is lost, when it is.
    pub lost_at: Option<Moment>,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Transfers that one node sends at a time, and as many that it receives.
    pub per_node: u32,
    /// Transfers in the whole cluster at a time.
    pub cluster: u32,
    /// Items looked at in one plan.
    pub look: u32,
    /// How long a lost node is waited for before its copies are replaced.
    pub grace: Millis,
    /// Items with fewer fresh copies than this do not wait.
    pub urgent_below: u8,
    /// Wait after a first failure; it doubles with each further one.
    pub backoff: Millis,
    /// Longest wait.
    pub backoff_max: Millis,
    /// After so many failures in a row another node is chosen.
    pub tries: u32,
    /// Bytes per second that the whole cluster moves, for the estimate; 0 when not known.
    pub bytes_per_second: u64,
}

impl Default for Limits {
    /// Four transfers a node each way, 64 in all; a grace of 10 minutes; failures wait from 1 s to 5 minutes.
    fn default() -> Self {
        Self {
            per_node: 4,
            cluster: 64,
            look: 100_000,
            grace: Millis(600_000),
            urgent_below: 2,
            backoff: Millis(1_000),
            backoff_max: Millis(300_000),
            tries: 5,
            bytes_per_second: 0,
        }
    }
}

/// A node is to be given a copy: [`Ledger::assign`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assign {
    /// The item.
    pub item: ItemId,
    /// The node.
    pub to: NodeId,
}

/// A node is to fetch an item from another. It keeps what it fetched when that is of the version and the checksum named
/// here and what it has is not newer; then it reports it. Anything else it discards: the next plan orders anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The item.
    pub item: ItemId,
    /// A node that has a fresh copy.
    pub from: NodeId,
    /// The node that fetches it.
    pub to: NodeId,
    /// The version that it is to have.
    pub version: u64,
    /// The checksum of that version, if known.
    pub checksum: Option<Checksum>,
    /// Its bytes, if told.
    pub bytes: u64,
}

/// Why items that lack copies are not all being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Their lost node may yet return.
    pub grace: u64,
    /// As much is under way as is allowed.
    pub limits: u64,
    /// A transfer failed and is to be tried later.
    pub backoff: u64,
    /// No fresh copy can be read: a lost node has it, or nobody.
    pub no_source: u64,
    /// No further node can take a copy.
    pub no_room: u64,
    /// Not looked at in this plan.
    pub later: u64,
}

/// What is to be done now, and what is left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Copies to give; each is transferred by a plan after it was committed.
    pub assign: Vec<Assign>,
    /// Copies to make.
    pub transfer: Vec<Transfer>,
    /// Copies that may go: [`Ledger::drop_copy`].
    pub drop: Vec<Assign>,
    /// Copies that were let go, which their nodes are to delete: then [`Ledger::dropped`].
    pub delete: Vec<Assign>,
    /// What waits, and for what.
    pub waiting: Waiting,
    /// Items that lack copies.
    pub items: u64,
    /// Bytes of the copies that they lack.
    pub bytes: u64,
    /// How long that takes at the rate told in the limits, in seconds; None when no rate was told.
    pub seconds: Option<u64>,
}

/// Makes the plan: the most endangered items first, then what may go.
#[must_use]
pub fn plan(
    ledger: &Ledger,
    views: &BTreeMap<NodeId, NodeView>,
    limits: &Limits,
    attempts: &Attempts,
    now: Moment,
) -> Plan {
    let mut planner = Planner::new(ledger, views, limits, attempts, now);
    let summary = ledger.summary();
    planner.plan.items = summary.under_replicated;
    planner.plan.bytes = summary.missing_bytes;
    planner.plan.seconds = summary.missing_bytes.checked_div(limits.bytes_per_second);
    // Items that nothing can be read of would only be in the way of those that can be repaired.
    let (mut hopeless, mut looked) = (0_u64, 0_u64);
    for (danger, class) in &ledger.counts.endangered {
        if danger.usable == 0 {
            hopeless = hopeless.saturating_add(class.items.len());
            continue;
        }
        for slot in class.items.iter() {
            let busy = planner.left == 0 || planner.open == 0;
            if busy || looked >= limits.look.into() {
                break;
            }
            looked = looked.saturating_add(1);
            planner.restore(*danger, ItemId(slot));
        }
    }
    planner.plan.waiting.no_source = hopeless;
    let reached = hopeless.saturating_add(looked);
    planner.plan.waiting.later = summary.under_replicated.saturating_sub(reached);
    let look = u64::from(limits.look).saturating_sub(looked);
    let look = usize::try_from(look).unwrap_or(usize::MAX);
    for slot in ledger.counts.spare.iter().take(look) {
        planner.tidy(ItemId(slot));
    }
    planner.plan
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
