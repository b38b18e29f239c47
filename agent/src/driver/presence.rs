//! Tells, the moment it is seen, that an instance's process went or came.

use tenure_core::Presence;
use tokio::sync::watch;

/// What was seen of a process, and how often it was seen to go.
#[derive(Debug, Clone, Copy)]
struct Seen {
    presence: Presence,
    exits: u64,
}

/// A handle that is awaited while the driver does something else.
///
/// It lives on its own: dropping or cancelling an action or an observation does not disturb it.
#[derive(Debug, Clone)]
pub struct PresenceWatch {
    seen: watch::Receiver<Seen>,
    told: Presence,
    exits: u64,
}

/// Where a driver says what it sees.
#[derive(Debug, Clone)]
pub struct PresenceTeller {
    said: watch::Sender<Seen>,
}

impl Default for PresenceTeller {
    fn default() -> Self {
        Self::new()
    }
}

impl PresenceTeller {
    /// A teller that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let (said, _) = watch::channel(Seen {
            presence: Presence::Unknown,
            exits: 0,
        });
        Self { said }
    }

    /// A watch that was told nothing yet.
    #[must_use]
    pub fn watch(&self) -> PresenceWatch {
        PresenceWatch {
            seen: self.said.subscribe(),
            told: Presence::Unknown,
            exits: self.said.borrow().exits,
        }
    }

    /// Says what is seen now. Saying the same again wakes nobody.
    pub fn say(&self, presence: Presence) {
        self.said.send_if_modified(|said| {
            if said.presence == presence {
                return false;
            }
            said.presence = presence;
            if presence == Presence::Exited {
                said.exits = said.exits.saturating_add(1);
            }
            true
        });
    }

    /// What was said last.
    #[must_use]
    pub fn now(&self) -> Presence {
        self.said.borrow().presence
    }
}

impl PresenceWatch {
    /// What was seen last.
    #[must_use]
    pub fn now(&self) -> Presence {
        self.seen.borrow().presence
    }

    /// Waits until there is something that this watch has not told yet. An exit is told even when the
    /// process was back before anybody asked. May be cancelled and called again; never ends when the
    /// driver is gone.
    pub async fn changed(&mut self) -> Presence {
        let (told, exits) = (self.told, self.exits);
        let news = |seen: &Seen| seen.exits != exits || seen.presence != told;
        let seen = self.seen.wait_for(news).await.map(|seen| *seen);
        let Ok(seen) = seen else {
            return std::future::pending().await;
        };
        self.told = if seen.exits == self.exits {
            seen.presence
        } else {
            self.exits = seen.exits;
            Presence::Exited
        };
        self.told
    }

    /// Waits until [`PresenceWatch::changed`] tells of an exit.
    pub async fn exited(&mut self) {
        while self.changed().await != Presence::Exited {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exit_is_told_although_the_process_is_back() {
        let teller = PresenceTeller::new();
        let mut watch = teller.watch();
        for presence in [Presence::Running, Presence::Exited, Presence::Running] {
            teller.say(presence);
        }
        assert_eq!(watch.changed().await, Presence::Exited);
        assert_eq!(watch.changed().await, Presence::Running);
        teller.say(Presence::Running);
        teller.say(Presence::Unknown);
        assert_eq!(watch.changed().await, Presence::Unknown);
    }
}
