//! Following who is primary of one service.

mod picture;

use crate::{Error, shared::Shared, watch::Pair};
use picture::Picture;
use std::sync::Arc;
use tenure_core::{Endpoint, Epoch, Filter, Member, RecordKind, ServiceName};
use tokio::{sync::watch, task::JoinHandle};

/// Who was decided to be primary, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// The fencing token: send it along with what only the primary may do.
    pub epoch: Epoch,
    /// The node, in the life in which it was assigned.
    pub member: Member,
}

/// What is known of who is primary.
///
/// A change of primary is told twice: when it is decided, and when the new primary has confirmed
/// that it serves. Between the two, which are milliseconds, nobody takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Primacy {
    /// Nobody was ever chosen, or there is no such service.
    Nobody,
    /// The role is with this one by decision. It has not confirmed that it takes writes, or says that
    /// it does not (any more).
    Moved(Primary),
    /// This one has confirmed that it takes writes by this epoch.
    Serves(Primary),
}

impl Primacy {
    /// Who takes writes, as it has confirmed itself.
    #[must_use]
    pub fn serves(&self) -> Option<&Primary> {
        match self {
            Self::Serves(primary) => Some(primary),
            Self::Moved(_) | Self::Nobody => None,
        }
    }

    /// Who was decided to be primary, whether it has confirmed that or not.
    #[must_use]
    pub fn assigned(&self) -> Option<&Primary> {
        match self {
            Self::Serves(primary) | Self::Moved(primary) => Some(primary),
            Self::Nobody => None,
        }
    }
}

/// Follows who is primary of one service. Get it by [`Client::follow`](crate::Client::follow).
///
/// It watches in the background until it is dropped, and goes on at another server when the one
/// that it watches goes away. What it tells is never older than what it has told before.
#[derive(Debug)]
pub struct Follow {
    primacy: watch::Receiver<Primacy>,
    ended: watch::Receiver<Option<Error>>,
    task: JoinHandle<()>,
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follow {
    pub(crate) async fn begin(shared: Arc<Shared>, service: ServiceName) -> Result<Self, Error> {
        let filter = Filter {
            kinds: [RecordKind::Assignment, RecordKind::Instance].into(),
            services: [service].into(),
        };
        let mut pair = Pair::<Picture>::new(shared, &filter);
        let (tell, primacy) = watch::channel(pair.first().await?.primacy());
        let (tell_end, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let error = follow(pair, &tell).await;
            tell_end.send_replace(Some(error));
        });
        Ok(Self {
            primacy,
            ended,
            task,
        })
    }

    /// Who takes writes, as was heard last: a primary that has itself confirmed that it serves by the
    /// present epoch. None while the role is moving, when there is no primary, and when there is no such
    /// service: hold writes back, and wait with [`Follow::changed`] or [`Follow::serving`].
    ///
    /// A service whose instances do not report, for no agent watches them, never confirms: see
    /// [`Follow::assigned`].
    #[must_use]
    pub fn current(&self) -> Option<Primary> {
        self.primacy.borrow().serves().cloned()
    }

    /// Who was decided to be primary, whether it has confirmed that or not.
    #[must_use]
    pub fn assigned(&self) -> Option<Primary> {
        self.primacy.borrow().assigned().cloned()
    }

    /// What is known of who is primary, as was heard last.
    #[must_use]
    pub fn primacy(&self) -> Primacy {
        self.primacy.borrow().clone()
    }

    /// Waits until something other than what was last waited for may hold: that the role moved, or
    /// that its holder serves. Changes that follow quickly are told as one. May be dropped and called
    /// again without losing anything.
    ///
    /// # Errors
    /// As for [`Watch::next`](crate::Watch::next): nothing that a retry helps against.
    pub async fn changed(&mut self) -> Result<(), Error> {
        if self.primacy.changed().await.is_ok() {
            return Ok(());
        }
        Err(self.why_it_ended().await)
    }

    /// Who takes writes; waits for as long as nobody does. May be dropped and called again.
    ///
    /// # Errors
    /// As for [`Follow::changed`].
    pub async fn serving(&mut self) -> Result<Primary, Error> {
        let serves = self.primacy.wait_for(|now| now.serves().is_some()).await;
        let serves = serves.ok().and_then(|now| now.serves().cloned());
        match serves {
            Some(primary) => Ok(primary),
            None => Err(self.why_it_ended().await),
        }
    }

    async fn why_it_ended(&mut self) -> Error {
        let ended = self.ended.wait_for(Option::is_some).await;
        let error = ended.ok().and_then(|error| error.clone());
        error.unwrap_or_else(|| Error::Invalid("the runtime was shut down".to_owned()))
    }
}

/// Tells of every change until the watch ends.
async fn follow(mut pair: Pair<Picture>, tell: &watch::Sender<Primacy>) -> Error {
    loop {
        let primacy = match pair.next().await {
            Ok(picture) => picture.primacy(),
            Err(error) => return error,
        };
        tell.send_if_modified(|told| {
            let differs = *told != primacy;
            *told = primacy;
            differs
        });
    }
}
