//! Tells, the moment it is seen, that an instance's process went or came.

use tenure_core::Presence;
use tokio::sync::watch;

/// A handle that is awaited while the driver does something else.
///
/// It lives on its own: dropping or cancelling an action or an observation does not disturb it.
#[derive(Debug, Clone)]
pub struct PresenceWatch {
    seen: watch::Receiver<Presence>,
}

/// Where a driver says what it sees.
#[derive(Debug)]
pub(crate) struct PresenceTeller {
    said: watch::Sender<Presence>,
}

/// A teller that has seen nothing yet, and a watch of it.
pub(crate) fn pair() -> (PresenceTeller, PresenceWatch) {
    let (said, seen) = watch::channel(Presence::Unknown);
    (PresenceTeller { said }, PresenceWatch { seen })
}

impl PresenceTeller {
    /// Says what is seen now. Saying the same again wakes nobody.
    pub(crate) fn say(&self, presence: Presence) {
        self.said.send_if_modified(|said| {
            let differs = *said != presence;
            *said = presence;
            differs
        });
    }
}

impl PresenceWatch {
    /// What was seen last.
    #[must_use]
    pub fn now(&self) -> Presence {
        *self.seen.borrow()
    }

    /// Waits until what is seen differs from what this watch told last. Never ends when the driver is
    /// gone. May be cancelled and called again without missing the latest state.
    pub async fn changed(&mut self) -> Presence {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.seen.borrow_and_update()
    }

    /// Waits until the process is seen to be gone; at once when it was already.
    pub async fn exited(&mut self) {
        let gone = self.seen.wait_for(|seen| *seen == Presence::Exited);
        if gone.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
