//! The orders that stand, what has come of each, and what else the process says of itself.

use super::order::{Order, name};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tenure_core::{
    CopyOrder, Health, Note, OrderKind, OrderProgress, OrderReport, StoreSign, copies::ItemName,
};
use tokio::sync::{Notify, watch};

/// An order is the same one while these are, whoever leads.
pub(super) type OrderName = (OrderKind, ItemName, u64);

/// The orders of a holder of copies that stand, what has come of each, and what else it says of itself: shared by whoever
/// holds the sessions and whoever carries the orders out. A [`Holder`](crate::Holder) has one; an agent that holds the
/// sessions for another process needs one of its own.
#[derive(Debug)]
pub struct OrderBook {
    pages: Mutex<Pages>,
    /// Rung when the process has something to do.
    ordered: Notify,
    /// Rung when the servers have something to hear.
    told: Notify,
}

#[derive(Debug)]
struct Pages {
    orders: BTreeMap<OrderName, Entry>,
    /// Those that nobody took yet, the first ordered first.
    waiting: VecDeque<(OrderName, u64)>,
    next_serial: u64,
    sign: StoreSign,
    health: Health,
    note: Note,
    /// Whether the sign and the health are other ones than the machine was told.
    news: bool,
}

#[derive(Debug)]
struct Entry {
    order: CopyOrder,
    /// Tells one attempt at an order from another.
    serial: u64,
    progress: OrderProgress,
    is_taken: bool,
    wanted: watch::Sender<bool>,
}

impl Entry {
    fn is_over(&self) -> bool {
        match self.progress {
            OrderProgress::Held(_) | OrderProgress::Missing | OrderProgress::Failed(_) => true,
            OrderProgress::Waiting | OrderProgress::Moved(_) => false,
        }
    }

    /// Whether an order of the same name asks for more than this one came to.
    fn is_another(&self, order: &CopyOrder) -> bool {
        match self.progress {
            OrderProgress::Waiting | OrderProgress::Failed(_) => self.order != *order,
            OrderProgress::Held(_) | OrderProgress::Missing => {
                self.order.checksum != order.checksum
            }
            OrderProgress::Moved(_) => false,
        }
    }
}

impl OrderBook {
    /// A book without orders, of a holder whose data have this number (0 when not known).
    #[must_use]
    pub fn new(folder: u64) -> Self {
        let sign = StoreSign {
            folder,
            ..StoreSign::default()
        };
        Self {
            pages: Mutex::new(Pages {
                orders: BTreeMap::new(),
                waiting: VecDeque::new(),
                next_serial: 1,
                sign,
                health: Health::Healthy,
                note: Note::default(),
                news: true,
            }),
            ordered: Notify::new(),
            told: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an order, and takes it. For one taker at a time; may be dropped and called again.
    pub async fn next(this: &Arc<Self>) -> Order {
        loop {
            let ordered = this.ordered.notified();
            if let Some(order) = Self::take_waiting(this) {
                return order;
            }
            ordered.await;
        }
    }

    fn take_waiting(this: &Arc<Self>) -> Option<Order> {
        let mut pages = this.lock();
        while let Some((name, serial)) = pages.waiting.pop_front() {
            let Some(entry) = pages.orders.get_mut(&name) else {
                continue;
            };
            if entry.serial != serial || entry.is_taken {
                continue;
            }
            entry.is_taken = true;
            entry.progress = OrderProgress::Moved(0);
            let order = Order {
                what: entry.order.clone(),
                serial,
                book: this.clone(),
                wanted: entry.wanted.subscribe(),
                is_told: false,
            };
            pages.news = true;
            return Some(order);
        }
        None
    }

    /// Takes what is ordered now in the place of what was before: all of it, as a grant has it.
    pub fn take(&self, orders: Vec<CopyOrder>) {
        let mut pages = self.lock();
        let wanted: BTreeMap<OrderName, CopyOrder> =
            orders.into_iter().map(|it| (name(&it), it)).collect();
        pages.orders.retain(|name, entry| {
            let stays = wanted.contains_key(name);
            entry
                .wanted
                .send_if_modified(|is| std::mem::replace(is, stays) != stays);
            stays
        });
        for (name, order) in wanted {
            let known = pages.orders.get(&name);
            if known.is_some_and(|known| !known.is_another(&order)) {
                continue;
            }
            let serial = pages.next_serial;
            pages.next_serial = serial.saturating_add(1);
            let entry = Entry {
                order,
                serial,
                progress: OrderProgress::Waiting,
                is_taken: false,
                wanted: watch::Sender::new(true),
            };
            pages.orders.insert(name.clone(), entry);
            pages.waiting.push_back((name, serial));
        }
        let Pages {
            orders, waiting, ..
        } = &mut *pages;
        waiting.retain(|(name, serial)| {
            orders
                .get(name)
                .is_some_and(|entry| entry.serial == *serial)
        });
        pages.news = true;
        drop(pages);
        self.ordered.notify_one();
    }

    /// What an attempt at an order has come to. Of one that is not wanted any more nothing is told.
    pub(super) fn tell(&self, name: &OrderName, serial: u64, progress: OrderProgress) {
        let mut pages = self.lock();
        let Some(entry) = pages.orders.get_mut(name) else {
            return;
        };
        if entry.serial != serial || entry.is_over() {
            return;
        }
        entry.progress = progress;
        let is_over = entry.is_over();
        pages.news = true;
        drop(pages);
        if is_over {
            self.told.notify_one();
        }
    }

    /// Says which data there are: see [`OrderBook::new`].
    pub fn set_folder(&self, folder: u64) {
        let mut pages = self.lock();
        pages.sign.folder = folder;
        pages.news = true;
    }

    /// Says how much room there is for copies: bytes free, and bytes in all.
    pub fn set_space(&self, free: u64, total: u64) {
        let mut pages = self.lock();
        (pages.sign.free, pages.sign.total) = (Some(free), Some(total));
        pages.news = true;
    }

    /// Says how busy the holder is, in thousandths of what it can do.
    pub fn set_load(&self, permille: u32) {
        let mut pages = self.lock();
        pages.sign.load = permille;
        pages.news = true;
    }

    pub(super) fn health(&self) -> (Health, Note) {
        let pages = self.lock();
        (pages.health, pages.note.clone())
    }

    pub(super) fn set_health(&self, health: Health, note: Note) {
        let mut pages = self.lock();
        (pages.health, pages.note) = (health, note);
        pages.news = true;
        drop(pages);
        self.told.notify_one();
    }

    /// Waits until there is something that the servers should hear at once.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// What the holder says of itself and of its orders, when that is another thing than at the last call.
    pub fn news(&self) -> Option<StoreSign> {
        let mut pages = self.lock();
        if !std::mem::take(&mut pages.news) {
            return None;
        }
        let report = |(name, entry): (&OrderName, &Entry)| OrderReport {
            kind: name.0,
            item: name.1.clone(),
            version: name.2,
            progress: entry.progress.clone(),
        };
        let sign = StoreSign {
            orders: pages.orders.iter().map(report).collect(),
            ..pages.sign.clone()
        };
        Some(sign)
    }
}

#[cfg(test)]
mod tests;
