//! Items and their copies in the model: clients write to nodes and report what they reached, nodes do what they are
//! ordered, and what the ledger says is compared with what is really there.

mod checks;
mod clients;

use super::{Place, World};
use crate::failover::store::Process;
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    CopyOrder, Held, Moment, NodeId, OrderKind, OrderProgress, OrderReport, Outcome, StoreSign,
    agent::Input,
    copies::{Checksum, CopiesCommand, Item, ItemName, Ledger, RebalanceStep, Reported, Stage},
};

/// How many items there are.
const ITEMS: u64 = 12;

type Files = BTreeMap<ItemName, BTreeMap<u64, Checksum>>;
type OrderKey = (OrderKind, ItemName, u64);

/// What a node has, and what it was ordered to do.
#[derive(Clone, Default)]
pub struct Shelf {
    /// Names its disk.
    pub folder: u64,
    /// Each version beside the others, until one is settled.
    pub files: Files,
    orders: Vec<CopyOrder>,
    reports: BTreeMap<OrderKey, OrderProgress>,
}

/// A write that nodes have and the cluster was not told of yet.
#[derive(Clone)]
struct Pending {
    report: Reported,
    due: Moment,
}

/// All of it.
#[derive(Clone, Default)]
pub struct Items {
    /// Its place among the services; None in a world without items.
    pub service: Option<usize>,
    /// By node, node 1 first.
    pub shelves: Vec<Shelf>,
    pending: Vec<Pending>,
    /// The latest version of each item that a client was told is done.
    acked: BTreeMap<ItemName, (u64, Checksum)>,
    /// What went with the disks of all that had it.
    lost: BTreeSet<ItemName>,
    /// Versions that somebody else may have used for a write that was not reported.
    used: BTreeMap<ItemName, u64>,
    /// Nobody writes items any more.
    pub at_rest: bool,
    next: u64,
}

impl Items {
    pub fn set_up(&mut self, service: usize, nodes: usize) {
        self.service = Some(service);
        for _ in 0..nodes {
            let folder = self.number();
            self.shelves.push(Shelf {
                folder,
                ..Shelf::default()
            });
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn shelf(&mut self, node: u64) -> &mut Shelf {
        &mut self.shelves[usize::try_from(node).expect("it is small") - 1]
    }
}

impl Shelf {
    /// Whether a version is here now; not when there are other data under it.
    fn keep(&mut self, item: &ItemName, version: u64, sum: Checksum, force: bool) -> bool {
        let versions = self.files.entry(item.clone()).or_default();
        match versions.get(&version) {
            Some(there) if *there != sum && !force => false,
            Some(_) | None => {
                versions.insert(version, sum);
                true
            }
        }
    }

    fn let_go(&mut self, item: &ItemName, goes: impl Fn(u64) -> bool) {
        if let Some(versions) = self.files.get_mut(item) {
            versions.retain(|version, _| !goes(*version));
            if versions.is_empty() {
                self.files.remove(item);
            }
        }
    }

    fn has(&self, item: &ItemName, version: u64) -> Option<Checksum> {
        self.files.get(item)?.get(&version).copied()
    }

    /// What is there of a version, or else the latest.
    fn held(&self, item: &ItemName, version: u64) -> Option<Held> {
        let versions = self.files.get(item)?;
        let found = versions.get_key_value(&version);
        let (version, sum) = found.or_else(|| versions.last_key_value())?;
        Some(Held {
            version: *version,
            checksum: Some(*sum),
            size: 1,
        })
    }
}

fn name(number: u64) -> ItemName {
    ItemName::new(&format!("item-{number}")).expect("it is well-formed")
}

fn key(order: &CopyOrder) -> OrderKey {
    (order.kind, order.item.clone(), order.version)
}

impl World {
    fn ledger(&self) -> Option<&Ledger> {
        self.state.ledger(&self.services[self.items.service?])
    }

    /// Whether the process that holds copies answers on a node.
    fn holds(&self, node: u64) -> bool {
        let Some(service) = self.items.service else {
            return false;
        };
        let store = self.store_of(node, service);
        self.runs(node) && store.is_some_and(|store| store.process == Process::Running)
    }

    pub fn kill_holder(&mut self, node: u64) {
        if let Some(service) = self.items.service {
            self.kill_store_of(node, service);
            self.forget_orders(node);
        }
    }

    /// Unless its machine is off.
    pub fn start_holder(&mut self, node: u64) {
        let Some(service) = self.items.service else {
            return;
        };
        let store = self.store_of(node, service);
        let gone = store.is_some_and(|store| store.process == Process::Gone);
        if gone && self.node(node).kept.is_some() {
            self.restart_store_of(node, service);
        }
    }

    /// An operator has copies moved to where they belong, or no more.
    pub fn rebalance(&mut self, step: RebalanceStep) {
        let _ = self.ask(CopiesCommand::Rebalance(step));
    }

    /// An operator takes all copies from a node, if none is needed.
    pub fn empty_store(&mut self, node: u64) {
        let node = NodeId(node);
        let accept_loss = false;
        let outcome = self.ask(CopiesCommand::Empty { node, accept_loss });
        if matches!(outcome, Some(Outcome::Rejected(_))) {
            self.count("copies needed");
        }
    }

    /// What a holder says of itself; its agent passes it on.
    pub(super) fn say_stored(&mut self, node: u64) {
        let Some(service) = self.items.service.filter(|_| self.holds(node)) else {
            return;
        };
        let service = self.services[service].clone();
        let shelf = self.items.shelf(node);
        let report = |order: &CopyOrder| {
            let progress = shelf.reports.get(&key(order)).cloned();
            OrderReport {
                kind: order.kind,
                item: order.item.clone(),
                version: order.version,
                progress: progress.unwrap_or(OrderProgress::Waiting),
            }
        };
        let store = StoreSign {
            folder: shelf.folder,
            orders: shelf.orders.iter().map(report).collect(),
            ..StoreSign::default()
        };
        self.tell_agent(node, Input::Stored { service, store });
    }

    /// The whole list; what is not on it any more is given up.
    pub(super) fn ordered(&mut self, node: u64, orders: Vec<CopyOrder>) {
        let keys: BTreeSet<OrderKey> = orders.iter().map(key).collect();
        let shelf = self.items.shelf(node);
        shelf.orders = orders;
        shelf.reports.retain(|key, _| keys.contains(key));
    }

    /// A process that is started anew knows its files and nothing else.
    pub(super) fn forget_orders(&mut self, node: u64) {
        if self.items.service.is_none() {
            return;
        }
        let shelf = self.items.shelf(node);
        shelf.orders.clear();
        shelf.reports.clear();
    }

    /// A disk is replaced: what was on it is gone, and what only it had is lost.
    pub(super) fn wipe_items(&mut self, node: u64) {
        if self.items.service.is_none() {
            return;
        }
        let folder = self.items.number();
        let shelf = self.items.shelf(node);
        (shelf.folder, shelf.files) = (folder, Files::default());
        // A write is reported within the time in which a disk can be replaced.
        for pending in &mut self.items.pending {
            pending.report.holders.retain(|holder| holder.0 != node);
        }
        self.forget_orders(node);
        let gone: Vec<ItemName> = self
            .written()
            .into_iter()
            .filter(|it| !self.exists(it))
            .map(|it| it.name)
            .collect();
        self.items.lost.extend(gone);
    }

    fn written(&self) -> Vec<Item> {
        let all = self.ledger().into_iter().flat_map(Ledger::all_stored);
        all.filter(|item| item.stage == Stage::Written).collect()
    }

    /// Whether anybody has the present data of an item.
    fn exists(&self, item: &Item) -> bool {
        let has = |shelf: &Shelf| shelf.has(&item.name, item.version) == item.checksum;
        self.items.shelves.iter().any(has)
    }

    pub(super) fn items_go_on(&mut self) {
        if self.items.service.is_none() {
            return;
        }
        for node in self.node_ids() {
            if self.holds(node) && self.dice.percent(30) {
                self.carry_out_orders(node);
            }
        }
        self.report_what_is_due();
        if self.writing && !self.items.at_rest && self.dice.percent(6) {
            self.write_item();
        }
        self.check_items();
    }

    fn carry_out_orders(&mut self, node: u64) {
        let shelf = self.items.shelf(node);
        let open = |order: &&CopyOrder| !shelf.reports.contains_key(&key(order));
        let Some(order) = shelf.orders.iter().find(open).cloned() else {
            return;
        };
        let progress = match order.kind {
            OrderKind::Fetch => self.fetch(node, &order),
            OrderKind::Drop => {
                self.count("copy deleted");
                let shelf = self.items.shelf(node);
                shelf.let_go(&order.item, |version| version <= order.version);
                let later = shelf.held(&order.item, order.version);
                later.map_or(OrderProgress::Missing, OrderProgress::Held)
            }
            OrderKind::Verify => {
                let held = self.items.shelf(node).held(&order.item, order.version);
                held.map_or(OrderProgress::Missing, OrderProgress::Held)
            }
        };
        self.items.shelf(node).reports.insert(key(&order), progress);
        self.say_stored(node);
    }

    fn fetch(&mut self, node: u64, order: &CopyOrder) -> OrderProgress {
        let Some(from) = order.from.as_ref().map(|from| from.node.0) else {
            return OrderProgress::Failed("from nobody".to_owned());
        };
        let talk = self.net.talk(Place::Node(from), Place::Node(node));
        if !talk || !self.holds(from) || self.dice.percent(5) {
            self.count("fetch failed");
            return OrderProgress::Failed("no answer".to_owned());
        }
        let found = self.items.shelf(from).has(&order.item, order.version);
        let Some(sum) = found.filter(|_| found == order.checksum) else {
            self.count("fetch failed");
            return OrderProgress::Failed("it has other data".to_owned());
        };
        self.count("copy fetched");
        let shelf = self.items.shelf(node);
        shelf.keep(&order.item, order.version, sum, true);
        shelf.let_go(&order.item, |version| version < order.version);
        OrderProgress::Held(Held {
            version: order.version,
            checksum: Some(sum),
            size: 1,
        })
    }
}
