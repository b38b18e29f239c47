//! A process that holds copies of items: it joins as a node of its own, says how it is, and is handed what it is to fetch,
//! drop and verify.

mod book;
mod join;
mod order;
mod register;
mod run;

pub use book::OrderBook;
pub use order::Order;

use crate::{Attendance, Client, Error, Sessions};
use register::Registration;
use run::Run;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tenure_core::{Endpoint, Health, Member, NodeName, Note, ServiceName, Zone};
use tokio::{sync::watch, task::JoinSet};

/// Who a holder of copies is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderOptions {
    /// The cluster's name: one of another name is refused. Empty when any will do.
    pub cluster: String,
    /// The node's name, which no other node has. It is added to the cluster when it is not known there.
    pub node: NodeName,
    /// Its failure domain. None leaves it as the cluster has it.
    pub zone: Option<Zone>,
    /// Its share of the copies. None leaves it as the cluster has it, 100 for a new node.
    pub weight: Option<u32>,
    /// The service, of the kind `copies`. An operator adds it; until then there is nothing to do.
    pub service: ServiceName,
    /// Where readers, writers and other holders reach this process.
    pub endpoint: Endpoint,
    /// Names the data that the process has: a number that is chosen once for a folder and kept in it. When it is another
    /// than before, the cluster takes all copies of the node for gone. 0 when not known; then they are taken for there.
    pub folder: u64,
}

/// Why a holder cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// The servers are those of another cluster: name the right ones.
    #[error("the servers are of cluster {found:?}, this node is for {expected:?}")]
    OtherCluster {
        /// As the servers say.
        found: String,
        /// As the options say.
        expected: String,
    },
    /// The node was removed from the cluster. To join anew, start the process with an empty folder.
    #[error("node {node} was removed from the cluster ({reason})")]
    Removed {
        /// Its name.
        node: NodeName,
        /// What the operator gave as the reason.
        reason: Note,
    },
    /// Another process has joined under the same name: give each its own.
    #[error("another process has joined as node {node}: give each its own name")]
    Displaced {
        /// The name.
        node: NodeName,
    },
    /// The cluster does not take what the options say; another try cannot help.
    #[error("the cluster does not take this node: {0}")]
    Refused(Error),
    /// The runtime is shutting down.
    #[error("the sessions with the servers ended, for the runtime is shutting down")]
    Ended,
}

/// A process that holds copies, as a member of the cluster. Dropping it ends its sessions: the cluster waits for it as for
/// any node that is not heard from.
///
/// Orders are carried out side by side or one after the other, as the process likes. Each stands until its outcome was
/// told or the cluster wants it no more ([`Order::given_up`]).
#[derive(Debug)]
pub struct Holder {
    member: Member,
    book: Arc<OrderBook>,
    attendance: Attendance,
    ended: watch::Receiver<Option<HolderError>>,
    _tasks: JoinSet<()>,
}

impl Holder {
    /// Joins the cluster and opens a session with every server. Tries for as long as it takes: servers that do not answer
    /// are asked again.
    ///
    /// # Errors
    /// [`HolderError`]; nothing that another try helps against.
    pub async fn join(client: &Client, options: HolderOptions) -> Result<Self, HolderError> {
        let member = join::join(client, &options).await?;
        let book = Arc::new(OrderBook::new(options.folder));
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let session = since.map_or(1, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        });
        let sessions = Sessions::start(client, member, session, &options.cluster);
        let attendance = sessions.attendance();
        let (end, ended) = watch::channel(None);
        let end = Arc::new(end);
        let mut tasks = JoinSet::new();
        let run = Run::new(
            sessions,
            member,
            session,
            options.service.clone(),
            book.clone(),
        );
        let over = end.clone();
        tasks.spawn(async move {
            run.run().await;
            over.send_replace(Some(HolderError::Ended));
        });
        let registration = Registration {
            client: client.clone(),
            member,
            options,
        };
        tasks.spawn(async move {
            let why = registration.keep().await;
            end.send_replace(Some(why));
        });
        Ok(Self {
            member,
            book,
            attendance,
            ended,
            _tasks: tasks,
        })
    }

    /// The member that it is.
    #[must_use]
    pub fn member(&self) -> Member {
        self.member
    }

    /// How its sessions with the servers stand.
    #[must_use]
    pub fn attendance(&self) -> Attendance {
        self.attendance.clone()
    }

    /// The next order. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// [`HolderError`] when the process holds copies for the cluster no more.
    pub async fn next(&mut self) -> Result<Order, HolderError> {
        let ended = self.ended.wait_for(Option::is_some);
        tokio::select! {
            biased;
            why = ended => Err(why.map_or(HolderError::Ended, |why| {
                why.clone().unwrap_or(HolderError::Ended)
            })),
            order = OrderBook::next(&self.book) => Ok(order),
        }
    }

    /// Says how much room there is for copies: bytes free, and bytes in all.
    pub fn set_space(&self, free: u64, total: u64) {
        self.book.set_space(free, total);
    }

    /// Says how busy the process is, in thousandths of what it can do.
    pub fn set_load(&self, permille: u32) {
        self.book.set_load(permille);
    }

    /// Says how the process is, with a remark such as the error that makes it failing. It is healthy until it says
    /// otherwise.
    pub fn set_health(&self, health: Health, note: Note) {
        self.book.set_health(health, note);
    }
}
