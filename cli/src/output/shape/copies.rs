//! The shapes of items and their copies.

use serde::Serialize;
use std::collections::BTreeMap;
use tenure_client::copies::{
    self, Balanced, CopiesStatus, HolderAt, ItemCopies, Obstacles, RepairStatus, StoreStatus,
    VerifyStatus,
};
use tenure_core::{NodeId, ServiceName};

/// The name of a node that holds copies; its number where it has none (any more).
pub fn holder_name(holders: &BTreeMap<NodeId, HolderAt>, node: NodeId) -> String {
    let name = holders.get(&node).and_then(|at| at.name.as_ref());
    name.map_or_else(|| format!("id:{node}"), ToString::to_string)
}

/// An item with all of its copies. `checksum` is hexadecimal, null when the service tells none.
#[derive(Debug, Serialize)]
pub struct Item {
    item: String,
    version: u64,
    checksum: Option<String>,
    bytes: u64,
    /// How many fresh copies are wanted, and how many count.
    wanted: u32,
    counted: u32,
    copies: Vec<Copy>,
}

/// One copy: `state` is `in sync`, `syncing`, `stale`, `leaving` or `dropping`.
#[derive(Debug, Serialize)]
struct Copy {
    node: String,
    node_id: u64,
    state: String,
    /// The node is not heard from: the copy is neither read nor counted.
    lost: bool,
}

impl Item {
    /// An item, with the names of its holders.
    pub fn new(item: &ItemCopies, holders: &BTreeMap<NodeId, HolderAt>) -> Self {
        let copy = |copy: &copies::CopyOf| Copy {
            node: holder_name(holders, copy.node),
            node_id: copy.node.0,
            state: copy.state.to_string(),
            lost: copy.lost,
        };
        Self {
            item: item.name.to_string(),
            version: item.version,
            checksum: item.checksum.map(|it| it.to_string()),
            bytes: item.size,
            wanted: item.wanted,
            counted: item.counted,
            copies: item.copies.iter().map(copy).collect(),
        }
    }
}

/// How it stands with the items of a service.
#[derive(Debug, Serialize)]
pub struct CopiesOf {
    service: String,
    items: u64,
    unwritten: u64,
    bytes: u64,
    under_replicated: u64,
    missing_bytes: u64,
    spare: u64,
    /// Written items by their fresh copies on nodes that are not lost.
    by_fresh_copies: BTreeMap<u8, u64>,
    stores: Vec<Store>,
    repair: Option<Repair>,
    rebalance: Option<Rebalance>,
    verify: Option<Verify>,
}

/// A node that holds copies. `free` and `total` are bytes, null while it has not said.
#[derive(Debug, Serialize)]
struct Store {
    node: String,
    node_id: u64,
    zone: Option<String>,
    weight: u32,
    lost: bool,
    draining: bool,
    items: u64,
    fresh: u64,
    fresh_bytes: u64,
    free: Option<u64>,
    total: Option<u64>,
    load_permille: u32,
}

/// What is being made good. `waits` says why items wait, by how many of those looked at last.
#[derive(Debug, Serialize)]
struct Repair {
    items: u64,
    bytes: u64,
    running: u32,
    done: u64,
    done_bytes: u64,
    failed: u64,
    bytes_per_second: u64,
    remaining_s: Option<u64>,
    paused: bool,
    waits: Waits,
}

#[derive(Debug, Serialize)]
struct Waits {
    grace: u64,
    limits: u64,
    backoff: u64,
    no_source: u64,
    no_room: u64,
}

#[derive(Debug, Serialize)]
struct Rebalance {
    paused: bool,
    looked: u64,
    total: u64,
    moves: u64,
    bytes: u64,
}

/// A comparison of copies with what is known of them.
#[derive(Debug, Serialize)]
pub struct Verify {
    running: bool,
    copies: u64,
    compared: u64,
    differ: u64,
    unread: u64,
    /// The first that differ.
    differing: Vec<Differing>,
}

#[derive(Debug, Serialize)]
struct Differing {
    item: String,
    node_id: u64,
    why: String,
}

impl CopiesOf {
    /// The numbers of a service.
    pub fn new(service: &ServiceName, status: &CopiesStatus) -> Self {
        let summary = &status.summary;
        Self {
            service: service.to_string(),
            items: summary.items,
            unwritten: summary.unwritten,
            bytes: summary.bytes,
            under_replicated: summary.under_replicated,
            missing_bytes: summary.missing_bytes,
            spare: summary.spare,
            by_fresh_copies: summary.by_usable.clone(),
            stores: status.stores.iter().map(Into::into).collect(),
            repair: status.repair.as_ref().map(Into::into),
            rebalance: status.rebalance.map(|it| Rebalance {
                paused: it.paused,
                looked: it.looked,
                total: it.total,
                moves: it.moves,
                bytes: it.bytes,
            }),
            verify: status.verify.as_ref().map(Into::into),
        }
    }
}

impl From<&StoreStatus> for Store {
    fn from(store: &StoreStatus) -> Self {
        Self {
            node: store.name.clone(),
            node_id: store.node.0,
            zone: Some(store.zone.clone()).filter(|zone| !zone.is_empty()),
            weight: store.weight,
            lost: store.lost,
            draining: store.draining,
            items: store.items,
            fresh: store.fresh,
            fresh_bytes: store.fresh_bytes,
            free: store.free,
            total: store.total,
            load_permille: store.load,
        }
    }
}

impl From<&RepairStatus> for Repair {
    fn from(repair: &RepairStatus) -> Self {
        Self {
            items: repair.items,
            bytes: repair.bytes,
            running: repair.running,
            done: repair.done,
            done_bytes: repair.done_bytes,
            failed: repair.failed,
            bytes_per_second: repair.bytes_per_second,
            remaining_s: repair.remaining.map(|it| it.as_secs()),
            paused: repair.paused,
            waits: Waits {
                grace: repair.waits_for_grace,
                limits: repair.waits_for_limits,
                backoff: repair.waits_after_failure,
                no_source: repair.no_source,
                no_room: repair.no_room,
            },
        }
    }
}

impl From<&VerifyStatus> for Verify {
    fn from(verify: &VerifyStatus) -> Self {
        let differing = |it: &copies::Differing| Differing {
            item: it.item.clone(),
            node_id: it.node.0,
            why: it.why.clone(),
        };
        Self {
            running: verify.running,
            copies: verify.copies,
            compared: verify.compared,
            differ: verify.differ,
            unread: verify.unread,
            differing: verify.differing.iter().map(differing).collect(),
        }
    }
}

/// What a rebalancing would move.
#[derive(Debug, Serialize)]
pub struct DryRun {
    service: String,
    looked: u64,
    moves: u64,
    bytes: u64,
    nodes: Vec<BalancedNode>,
}

#[derive(Debug, Serialize)]
struct BalancedNode {
    node_id: u64,
    comes: u64,
    leaves: u64,
}

impl DryRun {
    /// What it would move.
    pub fn new(service: &ServiceName, balanced: &Balanced) -> Self {
        let node = |it: &copies::BalancedNode| BalancedNode {
            node_id: it.node.0,
            comes: it.comes,
            leaves: it.leaves,
        };
        Self {
            service: service.to_string(),
            looked: balanced.looked,
            moves: balanced.moves,
            bytes: balanced.bytes,
            nodes: balanced.nodes.iter().map(node).collect(),
        }
    }
}

/// What of a service stands in the way of a drain and of a removal: how many items, and the first of them.
#[derive(Debug, Serialize)]
pub struct InTheWay {
    service: String,
    items: u64,
    drain: u64,
    drain_items: Vec<String>,
    removal: u64,
    removal_items: Vec<String>,
}

impl From<&Obstacles> for InTheWay {
    fn from(of: &Obstacles) -> Self {
        Self {
            service: of.service.clone(),
            items: of.items,
            drain: of.drain,
            drain_items: of.drain_items.clone(),
            removal: of.removal,
            removal_items: of.removal_items.clone(),
        }
    }
}
