//! One order in the hands of the process.

use super::book::{OrderBook, OrderName};
use std::sync::Arc;
use tenure_core::{CopyOrder, Held, OrderProgress, limits::ORDER_WHY_BYTES_MAX};
use tokio::sync::watch;

/// Something that a holder of copies is to do. Its outcome is told by [`Order::held`], [`Order::missing`] or
/// [`Order::failed`]; dropping it tells that it failed.
///
/// What is fetched must have the version and the checksum of the order, or be discarded; it is told once it is durable.
/// A copy that is later than an order says is kept.
#[derive(Debug)]
pub struct Order {
    pub(super) what: CopyOrder,
    pub(super) serial: u64,
    pub(super) book: Arc<OrderBook>,
    pub(super) wanted: watch::Receiver<bool>,
    pub(super) is_told: bool,
}

impl Order {
    /// What is to be done.
    #[must_use]
    pub fn what(&self) -> &CopyOrder {
        &self.what
    }

    /// Says how many bytes were moved so far.
    pub fn moved(&self, bytes: u64) {
        let moved = OrderProgress::Moved(bytes);
        self.book.tell(&self.name(), self.serial, moved);
    }

    /// It was carried out; this is what the node has now, durably, with the checksum of what was read from its disk.
    pub fn held(self, held: Held) {
        self.finish(OrderProgress::Held(held));
    }

    /// Of a drop: the node has no copy any more. Of a verification: it has none, and should.
    pub fn missing(self) {
        self.finish(OrderProgress::Missing);
    }

    /// It was not carried out, for this reason. The cluster orders anew, maybe from elsewhere.
    pub fn failed(self, why: impl std::fmt::Display) {
        self.finish(OrderProgress::Failed(sentence(&why.to_string())));
    }

    /// Whether the cluster still wants it.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until the cluster wants it no more. What was begun may be given up then, and need not.
    pub async fn given_up(&self) {
        let mut wanted = self.wanted.clone();
        // Without a sender nobody wants it either.
        let _gone = wanted.wait_for(|wanted| !wanted).await;
    }

    fn finish(mut self, outcome: OrderProgress) {
        self.is_told = true;
        self.book.tell(&self.name(), self.serial, outcome);
    }

    fn name(&self) -> OrderName {
        name(&self.what)
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if !self.is_told {
            let why = "the process gave it up without saying why".to_owned();
            let failed = OrderProgress::Failed(why);
            self.book.tell(&self.name(), self.serial, failed);
        }
    }
}

pub(super) fn name(order: &CopyOrder) -> OrderName {
    (order.kind, order.item.clone(), order.version)
}

/// What may stand in a heartbeat.
fn sentence(why: &str) -> String {
    let mut short: String = why.chars().filter(|c| !c.is_control()).collect();
    while short.len() > ORDER_WHY_BYTES_MAX {
        short.pop();
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_between_letters() {
        assert_eq!(sentence("no\nsuch file"), "nosuch file");
        assert_eq!(sentence(&"é".repeat(400)), "é".repeat(256));
    }
}
