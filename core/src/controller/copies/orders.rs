//! The orders of each node: what its grants say, and how far each has got.

use crate::copies::repair::{Assign, Transfer};
use crate::copies::{ItemId, ItemName};
use crate::limits::ORDERS_PER_GRANT_MAX;
use crate::{CopyOrder, Endpoint, Millis, Moment, NodeId, OrderKind, Source};
use std::collections::BTreeMap;

/// How long an order may make no progress before it is taken for failed.
const STUCK_AFTER: Millis = Millis(120_000);
/// How long after a node failed to delete or to read a copy it is told again.
const REST: Millis = Millis(5_000);

/// Names an order of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) struct OrderKey {
    pub(super) kind: OrderKind,
    pub(super) item: ItemName,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is told, and waited for.
    Open,
    /// What came of it is proposed.
    Confirming,
    /// It failed, and is not told again before this moment.
    Resting(Moment),
}

/// An order and how far it has got.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    pub(super) order: CopyOrder,
    pub(super) id: ItemId,
    pub(super) stage: Stage,
    pub(super) moved: u64,
    /// When it was given, or last got further.
    pub(super) moved_at: Moment,
}

/// All orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders(BTreeMap<NodeId, BTreeMap<OrderKey, Ordered>>);

impl Orders {
    /// What a node is to be told.
    pub(super) fn told(&self, node: NodeId) -> Vec<CopyOrder> {
        let of_node = self.0.get(&node).into_iter().flat_map(BTreeMap::values);
        let told = of_node.filter(|it| !matches!(it.stage, Stage::Resting(_)));
        let told = told.map(|ordered| ordered.order.clone());
        told.take(ORDERS_PER_GRANT_MAX).collect()
    }

    pub(super) fn get_mut(&mut self, node: NodeId, key: &OrderKey) -> Option<&mut Ordered> {
        self.0.get_mut(&node)?.get_mut(key)
    }

    pub(super) fn remove(&mut self, node: NodeId, key: &OrderKey) -> Option<Ordered> {
        let of_node = self.0.get_mut(&node)?;
        let ordered = of_node.remove(key);
        if of_node.is_empty() {
            self.0.remove(&node);
        }
        ordered
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &OrderKey, &Ordered)> {
        let nodes = self.0.iter();
        nodes.flat_map(|(node, of)| of.iter().map(|(key, ordered)| (*node, key, ordered)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Ordered> {
        self.0.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// How many of a kind a node has.
    pub(super) fn count(&self, node: NodeId, kind: OrderKind) -> usize {
        let of_node = self.0.get(&node).into_iter().flat_map(BTreeMap::keys);
        of_node.filter(|key| key.kind == kind).count()
    }

    pub(super) fn deletes(&self, node: NodeId) -> usize {
        self.count(node, OrderKind::Drop)
    }

    pub(super) fn fetch(&mut self, now: Moment, name: ItemName, of: &Transfer, from: Endpoint) {
        let order = CopyOrder {
            kind: OrderKind::Fetch,
            item: name,
            version: of.version,
            checksum: of.checksum,
            size: of.bytes,
            from: Some(Source {
                node: of.from,
                endpoint: from,
            }),
        };
        self.give(now, of.to, of.item, order);
    }

    /// Whether it is a new order.
    pub(super) fn delete(
        &mut self,
        now: Moment,
        name: ItemName,
        of: &Assign,
        version: u64,
    ) -> bool {
        let order = bare(OrderKind::Drop, name, version);
        self.give(now, of.to, of.item, order)
    }

    pub(super) fn verify(
        &mut self,
        now: Moment,
        node: NodeId,
        id: ItemId,
        name: ItemName,
        version: u64,
    ) -> bool {
        self.give(now, node, id, bare(OrderKind::Verify, name, version))
    }

    fn give(&mut self, now: Moment, to: NodeId, id: ItemId, order: CopyOrder) -> bool {
        let (kind, item) = (order.kind, order.item.clone());
        let of_node = self.0.entry(to).or_default();
        let key = OrderKey { kind, item };
        let known = of_node.get(&key);
        if known.is_some_and(|known| known.order.version == order.version && known.id == id) {
            return false;
        }
        let ordered = Ordered {
            order,
            id,
            stage: Stage::Open,
            moved: 0,
            moved_at: now,
        };
        of_node.insert(key, ordered);
        true
    }
}

fn bare(kind: OrderKind, item: ItemName, version: u64) -> CopyOrder {
    CopyOrder {
        kind,
        item,
        version,
        checksum: None,
        size: 0,
        from: None,
    }
}

impl Ordered {
    /// Whether nothing has moved for too long.
    pub(super) fn is_stuck(&self, now: Moment) -> bool {
        self.stage == Stage::Open && now.since(self.moved_at) >= STUCK_AFTER
    }

    /// It failed: it is told again later.
    pub(super) fn rest(&mut self, now: Moment) {
        self.stage = Stage::Resting(now.after(REST));
    }

    /// Whether it may be told again.
    pub(super) fn wake(&mut self, now: Moment) -> bool {
        let over = matches!(self.stage, Stage::Resting(until) if until <= now);
        if over {
            (self.stage, self.moved, self.moved_at) = (Stage::Open, 0, now);
        }
        over
    }
}
