//! Items and their copies: where to write them and read them, what writes reached, and what operators see and do.

mod operate;
mod read;
mod refusal;
mod status;
mod types;
mod wire;
mod write;

pub use operate::{Balanced, BalancedNode, Obstacles, RebalanceAction};
pub use refusal::{ItemRefusal, RefusalCode};
pub use status::{
    CopiesStatus, Differing, RebalanceStatus, RepairStatus, StoreStatus, VerifyStatus,
};
pub use types::{CopyOf, HolderAt, ItemCopies, Items, Located, Locations, PlaceItem};

use crate::{
    call::{Plan, Repeat, Route},
    shared::Shared,
};
use std::sync::Arc;
use tenure_core::ServiceName;

/// The items of one service of the kind `copies`. Get it by [`Client::copies`](crate::Client::copies).
///
/// A write of an item goes like this: [`Copies::locate`] it (or [`Copies::place`] it, the first time), write the data
/// under a later version to the nodes that are named as `writable`, and [`Copies::report`] which of them have it
/// durably. Once that was accepted the write is done: the copies that it missed are stale from the same log entry on
/// and are brought up by the cluster. A read goes to the first of the nodes that are named as `fresh`, and to the next
/// of them when that one fails.
///
/// Each item of a request is answered by itself. A request has at most
/// [`ITEMS_PER_REQUEST_MAX`](tenure_core::copies::ITEMS_PER_REQUEST_MAX) items.
#[derive(Clone)]
pub struct Copies {
    shared: Arc<Shared>,
    service: ServiceName,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Copies {
    pub(crate) fn new(shared: Arc<Shared>, service: ServiceName) -> Self {
        Self { shared, service }
    }

    /// Which service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    fn name(&self) -> String {
        self.service.as_str().to_owned()
    }

    fn actor(&self) -> String {
        self.shared.options.actor.clone()
    }

    /// A change: it is conditional on what it says, so that sending it twice does no harm.
    fn change(&self) -> Plan {
        Plan {
            route: Route::Leader,
            repeat: Repeat::ById,
            deadline: self.shared.until(self.shared.options.deadline),
            attempt: self.shared.options.attempt,
        }
    }
}
