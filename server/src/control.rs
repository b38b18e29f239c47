//! The driver of the controller: one task owns it, feeds it what happens, and carries out what it says.
//! Everybody else talks to that task through a [`Control`].

use std::sync::Arc;
use std::time::Duration;

use tenure_core::controller::{
    Controller, CopiesProgress, Explanation, Forecast, Hold, Moved, Site, Wish,
};
use tenure_core::copies::ItemName;
use tenure_core::{Millis, NodeId, Revision, ServiceName};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::consensus::Consensus;
use crate::exchange::Exchange;

mod clock;
mod driver;

/// How many questions may wait for the controller.
const REQUESTS_MAX: usize = 64;
/// How long a question that is answered at once may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Why the controller did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// This server does not lead, or not yet; nothing happened.
    NotLeading,
    /// It led when it was asked, and does not any more: what was asked for may have happened.
    LostLead,
    /// Too many ask at a time; nothing happened.
    Overloaded,
    /// It takes longer than the caller waits, and goes on.
    TimedOut(Duration),
}

type Answer<T> = oneshot::Sender<Result<T, Unanswered>>;

enum Request {
    Ask {
        wish: Wish,
        answer: Answer<Result<Moved, Hold>>,
    },
    Explain {
        service: ServiceName,
        answer: Answer<Seen<Explanation>>,
    },
    CopiesProgress {
        service: ServiceName,
        answer: Answer<Seen<CopiesProgress>>,
    },
    /// None of the items: the verification that runs is ended.
    VerifyCopies {
        service: ServiceName,
        items: Option<Vec<ItemName>>,
        answer: Answer<Seen<u64>>,
    },
    WhatIf {
        lost: NodeId,
        answer: Answer<Seen<Vec<Forecast>>>,
    },
}

/// An answer with the revision of the state that it rests on.
pub(crate) type Seen<T> = (Revision, T);

/// The way to the task that owns the controller.
#[derive(Clone)]
pub(crate) struct Control {
    requests: mpsc::Sender<Request>,
}

impl Control {
    /// Starts the task on the runtime that this is called on: that of consensus, so that load on the API
    /// cannot delay it. It ends when `consensus` closes.
    pub(crate) fn start(
        consensus: Consensus,
        exchange: Arc<Exchange>,
        raft_lease: Duration,
    ) -> (Control, JoinHandle<()>) {
        let site = Site {
            server: consensus.id(),
            raft_lease: Millis(u64::try_from(raft_lease.as_millis()).unwrap_or(u64::MAX)),
        };
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let driver = driver::Driver::new(consensus, exchange, Controller::new(site));
        let task = tokio::spawn(driver.run(asked));
        (Control { requests }, task)
    }

    /// Asks for a change of primary and waits for what comes of it.
    pub(crate) async fn ask(
        &self,
        wish: Wish,
        within: Duration,
    ) -> Result<Result<Moved, Hold>, Unanswered> {
        let asked = |answer| Request::Ask { wish, answer };
        self.request(asked, within).await
    }

    /// Why the controller does what it does about a service.
    pub(crate) async fn explain(
        &self,
        service: ServiceName,
    ) -> Result<Seen<Explanation>, Unanswered> {
        let asked = |answer| Request::Explain { service, answer };
        self.request(asked, LOOK_WITHIN).await
    }

    /// How far repair, rebalance and verification of a service's copies have got.
    pub(crate) async fn copies_progress(
        &self,
        service: ServiceName,
    ) -> Result<Seen<CopiesProgress>, Unanswered> {
        let asked = |answer| Request::CopiesProgress { service, answer };
        self.request(asked, LOOK_WITHIN).await
    }

    /// Begins a verification of these items' copies (of all when it is empty), or ends the one that runs when it is None.
    /// Answers how many copies there are to read.
    pub(crate) async fn verify_copies(
        &self,
        service: ServiceName,
        items: Option<Vec<ItemName>>,
    ) -> Result<Seen<u64>, Unanswered> {
        let asked = |answer| Request::VerifyCopies {
            service,
            items,
            answer,
        };
        self.request(asked, LOOK_WITHIN).await
    }

    /// What the controller would decide if a node were lost now.
    pub(crate) async fn what_if_lost(
        &self,
        lost: NodeId,
    ) -> Result<Seen<Vec<Forecast>>, Unanswered> {
        let asked = |answer| Request::WhatIf { lost, answer };
        self.request(asked, LOOK_WITHIN).await
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(Answer<T>) -> Request,
        within: Duration,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        match self.requests.try_send(request(answer)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(Unanswered::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Unanswered::NotLeading),
        }
        match timeout(within, answered).await {
            Ok(Ok(answer)) => answer,
            // The task has ended with the server.
            Ok(Err(_)) => Err(Unanswered::LostLead),
            Err(_) => Err(Unanswered::TimedOut(within)),
        }
    }
}
