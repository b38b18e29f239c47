//! Items as the users of the store see them: written to all of their copies, read from a fresh one, let go.

mod read;
mod write;

pub use read::ReadItem;
pub use write::Written;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tenure_client::copies::{ItemRefusal, Located, Locations, RefusalCode};
use tenure_client::core::copies::ItemName;
use tenure_client::{Consistency, Error};
use tokio::time::{Instant, sleep};

use crate::node::Node;
use crate::reach;

/// How long a request may take with all that is tried again. A leader that is lost costs a part of it.
const WITHIN: Duration = Duration::from_secs(15);
/// The pauses between two attempts: doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// Why a request was not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// There is no such item.
    #[error("there is no item {0}")]
    NotFound(ItemName),
    /// The cluster does not take it; a retry cannot help.
    #[error("{0}")]
    Refused(String),
    /// It was not done in time. What was to be written may have been, or not; a retry is safe.
    #[error("not done within {within:?}: {last}", within = WITHIN)]
    TooLate {
        /// What went wrong last.
        last: String,
    },
}

/// What an attempt came to that was no success.
enum Attempt {
    Again(String),
    Final(GatewayError),
}

impl Attempt {
    fn again(why: impl ToString) -> Self {
        Self::Again(why.to_string())
    }
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(_) => Self::Final(GatewayError::Refused(error.to_string())),
            // All that is asked is conditional on a version, so that it may be asked again.
            Error::Rejected(_)
            | Error::Refused { .. }
            | Error::Unreachable { .. }
            | Error::Deadline { .. }
            | Error::OutcomeUnknown { .. } => Self::Again(error.to_string()),
        }
    }
}

/// Answers requests for items, from whichever nodes have them.
#[derive(Debug, Clone)]
pub struct Gateway {
    node: Arc<Node>,
}

impl Gateway {
    /// One that stands on this node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn node(&self) -> &Node {
        &self.node
    }

    /// Lets an item go.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn delete(&self, item: &ItemName) -> Result<(), GatewayError> {
        let mut patience = Patience::new();
        loop {
            match self.delete_once(item).await {
                Ok(()) => return Ok(()),
                Err(failed) => patience.after(failed).await?,
            }
        }
    }

    async fn delete_once(&self, item: &ItemName) -> Result<(), Attempt> {
        let locations = self.locate(item).await?;
        let located = found(item, &locations)?;
        let wanted = [(item.clone(), located.version)];
        let removed = self.node.copies.remove(&wanted).await?;
        match only(removed)? {
            Ok(()) => {}
            Err(refusal) if refusal.code == RefusalCode::NoSuchItem => {}
            Err(refusal) => return Err(Attempt::again(refusal)),
        }
        // The cluster has its nodes delete it; those that can be reached do it at once. What somebody else writes under
        // the name meanwhile is of a later version.
        let later = located.version.saturating_add(1);
        self.settle(item, later, &locations, located).await;
        Ok(())
    }

    async fn locate(&self, item: &ItemName) -> Result<Locations, Attempt> {
        let (copies, zone) = (&self.node.copies, self.node.zone.as_ref());
        let items = std::slice::from_ref(item);
        Ok(copies
            .locate(items, zone, Consistency::Linearizable)
            .await?)
    }

    /// Tells the nodes of an item which version is its, so that they let go of those before. Whoever does not hear it finds
    /// out by itself.
    async fn settle(&self, item: &ItemName, version: u64, at: &Locations, located: &Located) {
        let nodes = located.writable.iter();
        let told = nodes.filter_map(|node| {
            let at = at.endpoint(*node)?;
            Some(reach::settle(at, item.as_str(), version))
        });
        for told in join_all(told).await {
            if let Err(why) = told {
                tracing::debug!(%item, %why, "not settled");
            }
        }
    }
}

/// Where an item is that was asked for alone.
fn found<'a>(item: &ItemName, locations: &'a Locations) -> Result<&'a Located, Attempt> {
    match locations.items.first() {
        Some(Ok(located)) => Ok(located),
        Some(Err(refusal)) if refusal.code == RefusalCode::NoSuchItem => {
            Err(Attempt::Final(GatewayError::NotFound(item.clone())))
        }
        Some(Err(refusal)) => Err(refused(refusal)),
        None => Err(Attempt::again("the answer is empty")),
    }
}

/// The answer about an item that was spoken of alone.
fn only<T>(answers: Vec<T>) -> Result<T, Attempt> {
    let mut answers = answers.into_iter();
    answers
        .next()
        .ok_or_else(|| Attempt::again("the answer is empty"))
}

/// What a refusal means: whether the item, or the nodes, may look otherwise at the next attempt.
fn refused(refusal: &ItemRefusal) -> Attempt {
    match refusal.code {
        RefusalCode::BadName
        | RefusalCode::TooMany
        | RefusalCode::BadWanted
        | RefusalCode::ChecksumLength
        | RefusalCode::Newer(_) => Attempt::Final(GatewayError::Refused(refusal.detail.clone())),
        RefusalCode::NoSuchItem
        | RefusalCode::NoSuchNode
        | RefusalCode::NodeTakesNone
        | RefusalCode::NotACopy
        | RefusalCode::AlreadyACopy
        | RefusalCode::Changed
        | RefusalCode::OldVersion
        | RefusalCode::ChecksumDiffers
        | RefusalCode::NothingToCompare
        | RefusalCode::TooFewCopies
        | RefusalCode::CopyNeeded
        | RefusalCode::WouldLeaveTooFew => Attempt::again(&refusal.detail),
    }
}

/// How often something is tried again, and for how long.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            until: Instant::now() + WITHIN,
            pause: PAUSE_FIRST,
        }
    }

    /// Waits for the next attempt, unless there can be none.
    async fn after(&mut self, failed: Attempt) -> Result<(), GatewayError> {
        let last = match failed {
            Attempt::Final(error) => return Err(error),
            Attempt::Again(why) => why,
        };
        if Instant::now() + self.pause >= self.until {
            return Err(GatewayError::TooLate { last });
        }
        tracing::debug!(why = last, "again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        Ok(())
    }
}
