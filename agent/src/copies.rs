//! Hands a driver what its store is ordered to do with copies of items, and tells the node's machine what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_client::{Order, OrderBook};
use tenure_core::ServiceName;
use tenure_core::agent::Input;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::driver::Custodian;

/// Orders of one instance that are carried out at a time; the others wait.
const AT_A_TIME: usize = 4;

/// How often the driver is asked how much room there is.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The books of the instances that hold copies, for whoever takes the grants.
pub(crate) type Books = BTreeMap<ServiceName, Arc<OrderBook>>;

/// One instance that holds copies.
pub(crate) struct Custody {
    pub(crate) service: ServiceName,
    pub(crate) custodian: Arc<dyn Custodian>,
    pub(crate) book: Arc<OrderBook>,
    /// Where what it says goes.
    pub(crate) tell: mpsc::Sender<Input>,
}

impl Custody {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut orders = JoinSet::new();
        let mut looking = JoinSet::new();
        loop {
            tokio::select! {
                order = OrderBook::next(&self.book), if orders.len() < AT_A_TIME => {
                    orders.spawn(carry_out(self.custodian.clone(), order));
                }
                Some(_) = orders.join_next() => {}
                Some(_) = looking.join_next() => {}
                _ = looks.tick(), if looking.is_empty() => {
                    let (service, custodian) = (self.service.clone(), self.custodian.clone());
                    looking.spawn(look(service, custodian, self.book.clone()));
                }
                () = self.book.told() => {}
            }
            if let Some(store) = self.book.news() {
                let service = self.service.clone();
                // Nobody listens any more when the agent ends.
                let _ended = self.tell.send(Input::Stored { service, store }).await;
            }
        }
    }
}

async fn carry_out(custodian: Arc<dyn Custodian>, order: Order) {
    let what = order.what().clone();
    let done = tokio::select! {
        done = custodian.carry_out(what) => done,
        // What was begun and is not wanted any more is dropped in the middle.
        () = order.given_up() => return,
    };
    match done {
        Ok(Some(held)) => order.held(held),
        Ok(None) => order.missing(),
        Err(why) => order.failed(why),
    }
}

async fn look(service: ServiceName, custodian: Arc<dyn Custodian>, book: Arc<OrderBook>) {
    match custodian.room().await {
        Ok(room) => {
            book.set_folder(room.folder);
            book.set_load(room.load);
            if let Some((free, total)) = room.bytes {
                book.set_space(free, total);
            }
        }
        Err(why) => {
            tracing::warn!(%service, %why, "how much room there is for copies is not known")
        }
    }
}
