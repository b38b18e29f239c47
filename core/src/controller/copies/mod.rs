//! The copies of items, on the leader: what is planned, ordered, confirmed, and who is lost as a holder of them.
//!
//! A look is bounded: a plan looks at so many items and goes on there the next time, and decides on few, so that a million
//! of them delay nobody's failover; while a primary is being replaced nothing is planned for a moment. Orders are what every
//! grant says anew; what nodes say of them becomes proposals, many items in one.

mod deferred;
mod orders;
mod progress;
mod results;
mod stores;
mod verify;

pub(super) use deferred::Deferred;
pub use progress::{CopiesProgress, RebalanceProgress, RepairProgress, VerifyProgress};

use super::{
    Look, Output,
    case::paused,
    course::Stage,
    leading::{Leading, Proposal},
};
use crate::copies::repair::{self, Cursor, Limits, Plan};
use crate::copies::{
    Attempts, CopiesCommand, ITEMS_PER_REQUEST_MAX, ItemId, Ledger, OneCopy, RebalanceStep,
    rebalance::rebalance,
};
use crate::{Command, CopiesPolicy, Millis, Moment, NodeId, Outcome, Scope, ServiceName};
use orders::{OrderKey, Orders};
use progress::Tally;
use std::collections::{BTreeMap, BTreeSet};
use verify::Verification;

/// How often at the most a plan is made while there is something to do, and how often otherwise.
const PLAN_EVERY: Millis = Millis(50);
const IDLE_EVERY: Millis = Millis(1_000);
/// Items that one plan looks at.
const LOOK: u32 = 2_048;
/// Transfers in the whole cluster at a time.
const TRANSFERS_MAX: u32 = 1_024;
/// Copies that one plan gives to nodes or has them fetch: what the log takes in one go waits in front of a failover.
const PER_PLAN: u32 = 256;
/// Moves of a rebalance that may be unfinished.
const MOVES_MAX: u64 = 512;
/// Decisions that go into one entry.
const PER_ENTRY: usize = 1_024;
/// Copies that one node is told to delete at a time.
const DELETES_PER_NODE: usize = 128;

/// What a proposal about copies was for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// What a plan decided.
    Plan,
    /// What nodes said of their orders, in the order of the batch.
    Results(Vec<(NodeId, OrderKey)>),
    /// How nodes stand as holders.
    Stores(Vec<NodeId>),
}

/// A leader's memory of the copies of one service. It begins empty: orders are told anew, and whoever is at it goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Tending {
    attempts: Attempts,
    orders: Orders,
    cursor: Cursor,
    /// Since when nodes are known to be lost.
    lost_at: BTreeMap<NodeId, Moment>,
    /// Nodes of which it is proposed how they stand.
    turning: BTreeSet<NodeId>,
    /// Decisions of plans that are not decided by the log yet.
    outstanding: u32,
    due: Moment,
    results: results::Results,
    /// Nodes that are to be told of other orders.
    news: BTreeSet<NodeId>,
    plan: Plan,
    tally: Tally,
    moves: Moves,
    verification: Option<Verification>,
}

/// How far a rebalance has got.
#[derive(Debug, Clone, Default)]
struct Moves {
    from: Option<ItemId>,
    looked: u64,
    found: u64,
    bytes: u64,
    /// Whether this round over all items found something to move.
    found_any: bool,
}

/// A command, and what it is for.
type Asking = (Asked, CopiesCommand);

impl Leading {
    /// Looks at the copies of all services. Most of the time it is not due yet, and costs nothing.
    pub(super) fn tend_copies(&mut self, look: Look<'_>, out: &mut Vec<Output>) {
        if look.state.settings().feature_level < 3 || !self.authority.may_grant(look) {
            return;
        }
        let replacing = self.is_replacing();
        if self.deferred.waits(look.now, replacing) {
            return;
        }
        self.copies
            .retain(|service, _| look.state.ledger(service).is_some());
        for (service, ledger) in look.state.ledgers() {
            let mut tending = self.copies.remove(service).unwrap_or_default();
            self.tend(look, service, ledger, &mut tending, out);
            let news = std::mem::take(&mut tending.news);
            self.copies.insert(service.clone(), tending);
            for node in news {
                if self.heard(look, node).is_some() {
                    self.grant(look, node, out);
                }
            }
        }
    }

    /// Whether a primary is being replaced, which goes first.
    fn is_replacing(&self) -> bool {
        let mut stages = self.courses.values().map(|course| &course.stage);
        stages.any(|stage| match stage {
            Stage::Steady => false,
            Stage::Failing(_) | Stage::Switching(_) => true,
        })
    }

    fn tend(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        ledger: &Ledger,
        tending: &mut Tending,
        out: &mut Vec<Output>,
    ) {
        self.judge_stores(look, service, ledger, tending, out);
        for asking in tending.results.flush() {
            self.ask_copies(service, asking, out);
        }
        if look.now < tending.due || tending.outstanding > 0 {
            return;
        }
        let views = self.views(look, service, ledger, tending);
        tending.prune(look, ledger);
        let scopes = [Scope::Cluster, Scope::Service(service.clone())];
        let is_paused = scopes.iter().any(|scope| paused(look, scope).is_some());
        tending.tally.paused = is_paused;
        if is_paused {
            tending.due = look.now.after(IDLE_EVERY);
            return tending.give_up();
        }
        let limits = limits(ledger, tending);
        let mut cursor = tending.cursor;
        let plan = repair::plan_on(
            ledger,
            &views,
            &limits,
            &tending.attempts,
            look.now,
            &mut cursor,
        );
        tending.cursor = cursor;
        let mut decided = tending.take_plan(look, service, ledger, &plan);
        let is_idle = decided.is_empty() && plan.transfer.is_empty();
        if let Some(rebalance) = look.state.rebalance(service)
            && !rebalance.paused
            && plan.assign.is_empty()
        {
            decided.extend(tending.move_on(ledger, &views, &limits));
        }
        tending.verify_on(look, ledger);
        tending.plan = plan;
        let every = if is_idle && decided.is_empty() && !tending.is_verifying() {
            IDLE_EVERY
        } else {
            PLAN_EVERY
        };
        tending.due = look.now.after(every);
        for what in decided {
            tending.outstanding = tending.outstanding.saturating_add(1);
            self.ask_copies(service, (Asked::Plan, what), out);
        }
    }

    fn ask_copies(&mut self, service: &ServiceName, asking: Asking, out: &mut Vec<Output>) {
        let (asked, what) = asking;
        let command = Command::Copies {
            service: service.clone(),
            what,
        };
        self.propose(Proposal::Copies(service.clone(), asked), command, out);
    }

    /// What the log made of a proposal about copies.
    pub(super) fn copies_decided(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        asked: Asked,
        outcome: Option<Outcome>,
    ) {
        let Some(tending) = self.copies.get_mut(service) else {
            return;
        };
        match asked {
            Asked::Plan => {
                tending.outstanding = tending.outstanding.saturating_sub(1);
                tending.due = Moment(0);
            }
            Asked::Stores(nodes) => {
                for node in nodes {
                    tending.turning.remove(&node);
                }
                tending.due = Moment(0);
            }
            Asked::Results(keys) => {
                let answers = match outcome {
                    Some(Outcome::Answered { answers, .. }) => Some(answers),
                    Some(Outcome::Done(_) | Outcome::Rejected(_)) | None => None,
                };
                tending.decided(look, keys, answers);
            }
        }
    }
}

impl Tending {
    /// Turns a plan into orders, and into what is to be proposed.
    fn take_plan(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        ledger: &Ledger,
        plan: &Plan,
    ) -> Vec<CopiesCommand> {
        for transfer in &plan.transfer {
            let source = look.state.instance(service, transfer.from);
            let Some(source) = source.map(|it| it.endpoint.clone()) else {
                continue;
            };
            if let Some(name) = ledger.name(transfer.item) {
                self.attempts.started(transfer);
                self.orders.fetch(look.now, name, transfer, source);
                self.news.insert(transfer.to);
            }
        }
        for gone in &plan.delete {
            let of_node = self.orders.deletes(gone.to);
            if let Some(name) = ledger
                .name(gone.item)
                .filter(|_| of_node < DELETES_PER_NODE)
            {
                let version = ledger.version(gone.item);
                if self.orders.delete(look.now, name, gone, version) {
                    self.news.insert(gone.to);
                }
            }
        }
        let copies = |of: &[repair::Assign]| -> Vec<OneCopy> {
            let copy = |one: &repair::Assign| {
                let item = ledger.name(one.item)?;
                Some(OneCopy { item, node: one.to })
            };
            of.iter().filter_map(copy).collect()
        };
        let assign = copies(&plan.assign);
        let assign = assign.chunks(PER_ENTRY).map(<[OneCopy]>::to_vec);
        let drop = copies(&plan.drop);
        let drop = drop.chunks(PER_ENTRY).map(<[OneCopy]>::to_vec);
        let assign = assign.map(CopiesCommand::Assign);
        assign.chain(drop.map(CopiesCommand::Drop)).collect()
    }

    /// Finds the next moves of a rebalance; ends it after a round in which there was nothing to move.
    fn move_on(
        &mut self,
        ledger: &Ledger,
        views: &BTreeMap<NodeId, repair::NodeView>,
        limits: &Limits,
    ) -> Vec<CopiesCommand> {
        let summary = ledger.summary();
        let room = MOVES_MAX.saturating_sub(summary.spare);
        let most = usize::try_from(room.min(limits.cluster.into())).unwrap_or_default();
        if most == 0 {
            return Vec::new();
        }
        let moves = rebalance(ledger, views, self.moves.from, LOOK, most);
        self.moves.from = moves.next;
        self.moves.looked = self.moves.looked.saturating_add(moves.looked);
        let found = u64::try_from(moves.assign.len()).unwrap_or(u64::MAX);
        self.moves.found = self.moves.found.saturating_add(found);
        self.moves.bytes = self.moves.bytes.saturating_add(moves.bytes);
        self.moves.found_any |= found > 0;
        if moves.next.is_none() {
            self.moves.looked = 0;
            let settled = !self.moves.found_any && summary.spare == 0;
            self.moves.found_any = summary.spare > 0;
            if settled && summary.under_replicated == 0 {
                self.moves = Moves::default();
                return vec![CopiesCommand::Rebalance(RebalanceStep::Stop)];
            }
        }
        let copy = |one: &repair::Assign| {
            let item = ledger.name(one.item)?;
            Some(OneCopy { item, node: one.to })
        };
        let all: Vec<OneCopy> = moves.assign.iter().filter_map(copy).collect();
        let parts = all.chunks(PER_ENTRY).map(<[OneCopy]>::to_vec);
        parts.map(CopiesCommand::Assign).collect()
    }
}

fn limits(ledger: &Ledger, tending: &Tending) -> Limits {
    let policy: &CopiesPolicy = ledger.policy();
    let holders = u32::try_from(ledger.stores().count()).unwrap_or(u32::MAX);
    let cluster = policy.transfers_per_node.saturating_mul(holders);
    let most = tending.attempts.under_way().saturating_add(PER_PLAN);
    let urgent = u8::try_from(policy.write_min).unwrap_or(u8::MAX);
    Limits {
        per_node: policy.transfers_per_node,
        cluster: cluster.min(TRANSFERS_MAX).min(most),
        look: LOOK,
        grace: policy.repair_grace_ms,
        urgent_below: urgent.max(2),
        bytes_per_second: tending.tally.rate(),
        ..Limits::default()
    }
}

const _: () = assert!(PER_ENTRY <= ITEMS_PER_REQUEST_MAX);
