//! What a client knows about who is primary, and when it was told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::moment::Moment;

/// Whom the system last named as primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// None while nobody serves.
    pub address: Option<SocketAddr>,
    /// When this was told.
    pub at: Moment,
}

/// Keeps who is primary, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    /// Whom the system named last.
    pub named: watch::Receiver<Named>,
    /// Asks the system, for one that does not tell everything by itself.
    pub doubt: Arc<Notify>,
    /// Ends what listens.
    _tasks: JoinSet<()>,
}

impl Follower {
    /// A follower that is told by `tasks`.
    pub fn new(named: watch::Receiver<Named>, doubt: Arc<Notify>, tasks: JoinSet<()>) -> Self {
        Self {
            named,
            doubt,
            _tasks: tasks,
        }
    }
}

/// Tells a primary, if that is news.
pub fn tell(teller: &watch::Sender<Named>, address: Option<SocketAddr>) {
    teller.send_if_modified(|named| {
        let news = named.address != address;
        if news {
            *named = Named {
                address,
                at: Moment::now(),
            };
        }
        news
    });
}
