//! What nodes say of their orders, and what becomes of it. A copy counts only when a node that was ordered to fetch it has
//! exactly the version and the checksum that were ordered; what nobody ordered is not believed.

use super::orders::{OrderKey, Ordered, Stage};
use super::{Asked, Asking, PER_ENTRY, Tending};
use crate::controller::{Look, Output};
use crate::copies::{
    Accepted, Checked, CopiesCommand, CopyState, Ledger, OneCopy, Refusal, Reported,
};
use crate::{Held, Millis, NodeId, OrderKind, OrderProgress, OrderReport, StoreSign};

/// How long after another claim of a node that nobody ordered is noted.
const NOTE_EVERY: Millis = Millis(10_000);

/// What is to be proposed of what nodes said, as many as there are in one entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    reported: Vec<Reported>,
    reports_of: Vec<(NodeId, OrderKey)>,
    dropped: Vec<OneCopy>,
    drops_of: Vec<(NodeId, OrderKey)>,
    checked: Vec<Checked>,
    checks_of: Vec<(NodeId, OrderKey)>,
}

impl Results {
    /// What there is, as commands.
    pub(super) fn flush(&mut self) -> Vec<Asking> {
        let mut all = Vec::new();
        let take = |keys: &mut Vec<(NodeId, OrderKey)>| Asked::Results(std::mem::take(keys));
        if !self.reported.is_empty() {
            let items = std::mem::take(&mut self.reported);
            all.push((take(&mut self.reports_of), CopiesCommand::Report(items)));
        }
        if !self.dropped.is_empty() {
            let items = std::mem::take(&mut self.dropped);
            all.push((take(&mut self.drops_of), CopiesCommand::Dropped(items)));
        }
        if !self.checked.is_empty() {
            let items = std::mem::take(&mut self.checked);
            all.push((take(&mut self.checks_of), CopiesCommand::Verify(items)));
        }
        all
    }

    /// Whether an entry has room for more; what does not fit is told again by its node.
    fn has_room(&self) -> bool {
        let most = self.reported.len().max(self.dropped.len());
        most.max(self.checked.len()) < PER_ENTRY
    }
}

impl Tending {
    /// Takes in what a node says of itself and of its orders.
    pub(in crate::controller) fn hear(
        &mut self,
        look: Look<'_>,
        ledger: &Ledger,
        node: NodeId,
        sign: &StoreSign,
        out: &mut Vec<Output>,
    ) {
        for report in &sign.orders {
            let (kind, item) = (report.kind, report.item.clone());
            let key = OrderKey { kind, item };
            let ordered = self.orders.get_mut(node, &key);
            let Some(ordered) = ordered.filter(|it| it.order.version == report.version) else {
                self.claim(look, node, report, out);
                continue;
            };
            if ordered.stage != Stage::Open || !self.results.has_room() {
                continue;
            }
            let (ordered, moved_at) = (ordered.clone(), look.now);
            match &report.progress {
                OrderProgress::Waiting => {}
                OrderProgress::Moved(moved) => {
                    if let Some(open) = self.orders.get_mut(node, &key)
                        && open.moved != *moved
                    {
                        (open.moved, open.moved_at) = (*moved, moved_at);
                    }
                }
                OrderProgress::Held(held) => self.held(look, ledger, node, key, &ordered, held),
                OrderProgress::Missing => self.missing(look, node, key, &ordered),
                OrderProgress::Failed(why) => self.failed(look, node, key, &ordered, why, out),
            }
        }
    }

    /// A node tells of an order that it was not given, or not any more: it was late, or makes it up.
    fn claim(&mut self, look: Look<'_>, node: NodeId, of: &OrderReport, out: &mut Vec<Output>) {
        let says_done = matches!(of.progress, OrderProgress::Held(_));
        let noted = self.tally.claimed_at;
        if says_done && noted.is_none_or(|at| look.now.since(at) >= NOTE_EVERY) {
            self.tally.claimed_at = Some(look.now);
            let (item, version) = (&of.item, of.version);
            out.push(Output::Note(format!(
                "node {node} tells of {item} at version {version}, which it is not ordered to have (any more): not counted"
            )));
        }
    }

    fn held(
        &mut self,
        look: Look<'_>,
        ledger: &Ledger,
        node: NodeId,
        key: OrderKey,
        ordered: &Ordered,
        held: &Held,
    ) {
        let order = &ordered.order;
        match key.kind {
            OrderKind::Fetch => {
                let exact = held.version == order.version
                    && (order.checksum.is_none() || held.checksum == order.checksum);
                if !exact {
                    return self.fetch_failed(look, node, &key);
                }
                self.results.reported.push(Reported {
                    item: key.item.clone(),
                    replaces: order.version,
                    version: order.version,
                    checksum: order.checksum,
                    size: 0,
                    holders: vec![node],
                });
                self.results.reports_of.push((node, key.clone()));
                self.confirm(node, &key);
            }
            // What it has now was written since, by somebody who has not reported it.
            OrderKind::Drop if held.version > order.version => {
                self.missing(look, node, key, ordered);
            }
            OrderKind::Drop => self.rest(look, node, &key),
            OrderKind::Verify => {
                let stands = ledger.find(&key.item) == Some(ordered.id)
                    && ledger.version(ordered.id) == order.version;
                if !stands || held.version > order.version {
                    return self.unread(node, &key);
                }
                let found = held.checksum.filter(|_| held.version == order.version);
                if found.is_none() && held.version == order.version {
                    return self.unread(node, &key);
                }
                self.check(node, key, ordered, found);
            }
        }
    }

    fn missing(&mut self, look: Look<'_>, node: NodeId, key: OrderKey, ordered: &Ordered) {
        match key.kind {
            OrderKind::Fetch => self.fetch_failed(look, node, &key),
            OrderKind::Drop => {
                let item = key.item.clone();
                self.results.dropped.push(OneCopy { item, node });
                self.results.drops_of.push((node, key.clone()));
                self.confirm(node, &key);
            }
            OrderKind::Verify => self.check(node, key, ordered, None),
        }
    }

    fn check(
        &mut self,
        node: NodeId,
        key: OrderKey,
        ordered: &Ordered,
        found: Option<crate::copies::Checksum>,
    ) {
        self.results.checked.push(Checked {
            item: key.item.clone(),
            node,
            version: ordered.order.version,
            found,
        });
        self.results.checks_of.push((node, key.clone()));
        self.confirm(node, &key);
    }

    fn failed(
        &mut self,
        look: Look<'_>,
        node: NodeId,
        key: OrderKey,
        ordered: &Ordered,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let (item, version) = (&ordered.order.item, ordered.order.version);
        if self.tally.may_note(look.now, NOTE_EVERY) {
            out.push(Output::Note(format!(
                "node {node} did not carry out an order on {item} at version {version}: {why}"
            )));
        }
        match key.kind {
            OrderKind::Fetch => self.fetch_failed(look, node, &key),
            OrderKind::Drop => self.rest(look, node, &key),
            OrderKind::Verify => self.unread(node, &key),
        }
    }

    fn confirm(&mut self, node: NodeId, key: &OrderKey) {
        if let Some(ordered) = self.orders.get_mut(node, key) {
            ordered.stage = Stage::Confirming;
        }
    }

    fn rest(&mut self, look: Look<'_>, node: NodeId, key: &OrderKey) {
        if let Some(ordered) = self.orders.get_mut(node, key) {
            ordered.rest(look.now);
            self.news.insert(node);
        }
    }

    /// The transfer waits, and is then planned anew.
    pub(super) fn fetch_failed(&mut self, look: Look<'_>, node: NodeId, key: &OrderKey) {
        if let Some(ordered) = self.orders.remove(node, key) {
            let limits = crate::copies::repair::Limits::default();
            self.attempts.failed(ordered.id, node, look.now, &limits);
            self.tally.failed = self.tally.failed.saturating_add(1);
            self.news.insert(node);
        }
    }

    pub(super) fn unread(&mut self, node: NodeId, key: &OrderKey) {
        if self.orders.remove(node, key).is_some() {
            self.news.insert(node);
            if let Some(verification) = &mut self.verification {
                verification.unread();
            }
        }
    }

    /// What the log made of what nodes said. When that is not known it is asked again.
    pub(super) fn decided(
        &mut self,
        look: Look<'_>,
        keys: Vec<(NodeId, OrderKey)>,
        answers: Option<Vec<Result<Accepted, Refusal>>>,
    ) {
        let Some(answers) = answers else {
            for (node, key) in keys {
                if let Some(ordered) = self.orders.get_mut(node, &key) {
                    ordered.stage = Stage::Open;
                }
            }
            return;
        };
        for ((node, key), answer) in keys.into_iter().zip(answers) {
            self.news.insert(node);
            match key.kind {
                OrderKind::Fetch => self.fetched(look, node, &key, answer.is_ok()),
                OrderKind::Drop => drop(self.orders.remove(node, &key)),
                OrderKind::Verify => {
                    let known = self.orders.remove(node, &key);
                    if let (Some(_), Some(verification)) = (known, &mut self.verification) {
                        verification.compared(node, &key.item, answer);
                    }
                }
            }
        }
        self.due = crate::Moment(0);
    }

    fn fetched(&mut self, look: Look<'_>, node: NodeId, key: &OrderKey, counts: bool) {
        let Some(ordered) = self.orders.remove(node, key) else {
            return;
        };
        self.attempts.ended(ordered.id, node);
        if counts {
            self.tally.copied(look.now, ordered.order.size);
        }
    }

    /// Gives up orders that the ledger does not ask for any more, and those that do not get on.
    pub(super) fn prune(&mut self, look: Look<'_>, ledger: &Ledger) {
        self.attempts
            .retain(|item, node| ledger.is_unfinished(item, node));
        let mut ended = Vec::new();
        for (node, key, ordered) in self.orders.iter() {
            let state = ledger.copy_state(ordered.id, &key.item, node);
            let present = ledger.version(ordered.id) == ordered.order.version;
            let source = ordered.order.from.as_ref().map(|from| from.node);
            let lost = |node| ledger.store(node).is_none_or(|store| store.is_lost());
            let wanted = match key.kind {
                OrderKind::Fetch => {
                    let open = matches!(state, Some(CopyState::Syncing | CopyState::Stale));
                    open && present && !source.is_some_and(lost)
                }
                OrderKind::Drop => state == Some(CopyState::Dropping),
                OrderKind::Verify => {
                    present && matches!(state, Some(CopyState::InSync | CopyState::Leaving))
                }
            };
            if ordered.stage != Stage::Confirming
                && (!wanted || lost(node) || ordered.is_stuck(look.now))
            {
                ended.push((node, key.clone(), ordered.is_stuck(look.now)));
            }
        }
        for (node, key, stuck) in ended {
            match (key.kind, stuck) {
                (OrderKind::Fetch, true) => self.fetch_failed(look, node, &key),
                (OrderKind::Drop, true) => self.rest(look, node, &key),
                (OrderKind::Verify, _) => self.unread(node, &key),
                (OrderKind::Fetch | OrderKind::Drop, false) => {
                    if let Some(ordered) = self.orders.remove(node, &key) {
                        self.attempts.ended(ordered.id, node);
                        self.news.insert(node);
                    }
                }
            }
        }
        let woken = self
            .orders
            .iter_mut()
            .filter_map(|it| it.wake(look.now).then_some(()));
        if woken.count() > 0 {
            self.news
                .extend(ledger.stores().map(crate::copies::Store::node));
        }
    }

    /// Nothing is ordered while an operator's pause holds.
    pub(super) fn give_up(&mut self) {
        let all: Vec<_> = self
            .orders
            .iter()
            .map(|(node, key, _)| (node, key.clone()))
            .collect();
        for (node, key) in all {
            if let Some(ordered) = self.orders.remove(node, &key) {
                self.attempts.ended(ordered.id, node);
                self.news.insert(node);
            }
        }
    }
}
