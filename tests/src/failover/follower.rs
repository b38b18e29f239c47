//! What a client knows about who is primary, and when it was told.

use std::net::SocketAddr;
use std::sync::Arc;

use tenure_client::core::ServiceName;
use tenure_client::{Client, Error, Follow};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::moment::Moment;

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
    #[must_use]
    pub fn new(named: watch::Receiver<Named>, doubt: Arc<Notify>, tasks: JoinSet<()>) -> Self {
        Self {
            named,
            doubt,
            _tasks: tasks,
        }
    }

    /// A follower of what Tenure tells of a service.
    ///
    /// # Errors
    /// No server answers. A retry is safe.
    pub async fn of(client: &Client, service: &ServiceName) -> Result<Self, Error> {
        let follow = client.follow(service.clone()).await?;
        let (teller, named) = watch::channel(Named {
            address: address_of(&follow),
            at: Moment::now(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(pass_on(follow, teller));
        Ok(Self::new(named, Arc::new(Notify::new()), tasks))
    }
}

fn address_of(follow: &Follow) -> Option<SocketAddr> {
    follow.current()?.endpoint.as_str().parse().ok()
}

/// Tells who serves, until there is nothing more to hear.
async fn pass_on(mut follow: Follow, teller: watch::Sender<Named>) {
    while follow.changed().await.is_ok() {
        tell(&teller, address_of(&follow));
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
