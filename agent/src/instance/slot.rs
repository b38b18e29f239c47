//! The order that waits for an instance: a later one takes the place of an earlier one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_core::Moment;
use tenure_core::agent::Action;
use tokio::sync::Notify;

/// What a driver is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Names it in what is told of it.
    pub(crate) action: u64,
    pub(crate) what: Action,
    /// Not to be begun from this moment on: what would allow it is over then.
    pub(crate) until: Option<Moment>,
    /// The process that it is for; 0: whichever is there.
    pub(crate) run: u64,
}

impl Order {
    pub(super) fn is_fence(&self) -> bool {
        matches!(self.what, Action::Fence { .. })
    }
}

/// The order that waits, if one does.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    waiting: Mutex<Option<Order>>,
    put: Notify,
}

impl Slot {
    fn waiting(&self) -> MutexGuard<'_, Option<Order>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an order in, in the place of one that was not begun.
    pub(crate) fn put(&self, order: Order) {
        *self.waiting() = Some(order);
        self.put.notify_one();
    }

    /// Waits for an order, and takes it. May be cancelled and called again; for one taker at a time.
    pub(super) async fn take(&self) -> Order {
        self.take_if(|_| true).await
    }

    /// Waits for a fence, and takes it; any other order stays.
    pub(super) async fn take_fence(&self) -> Order {
        self.take_if(Order::is_fence).await
    }

    async fn take_if(&self, wanted: impl Fn(&Order) -> bool) -> Order {
        loop {
            let put = self.put.notified();
            if let Some(order) = self.waiting().take_if(|order| wanted(order)) {
                return order;
            }
            put.await;
        }
    }
}
