//! One picture from two watches at two servers: a server that is frozen or cut off tells nothing, and is
//! found out only after seconds; the other one tells meanwhile.

use super::{
    event::WatchEvent,
    stream::{Seat, Watch},
};
use crate::{Error, shared::Shared};
use std::sync::Arc;
use tenure_core::{Event, Filter, Record, Revision};

/// What is made of the records that a watch tells of.
pub(crate) trait Picture: Default {
    /// Everything is as these records say.
    fn replace(&mut self, records: Vec<Record>);
    /// These are different.
    fn change(&mut self, events: Vec<Event>);
}

/// One of the two watches, and what it has shown.
struct Eye<P> {
    watch: Watch,
    picture: P,
    revision: Option<Revision>,
}

impl<P: Picture> Eye<P> {
    /// Takes an event in. Gives whether the picture is another one.
    fn take(&mut self, event: WatchEvent) -> bool {
        match event {
            WatchEvent::Snapshot { revision, records } => {
                self.picture.replace(records);
                self.revision = Some(revision);
                true
            }
            WatchEvent::Changes { revision, events } => {
                self.picture.change(events);
                self.revision = Some(revision);
                true
            }
            WatchEvent::Progress { .. }
            | WatchEvent::Compacted { .. }
            | WatchEvent::Interrupted { .. } => false,
        }
    }
}

/// Two watches of the same records. What they show is never older than what they have shown before.
pub(crate) struct Pair<P> {
    shared: Arc<Shared>,
    eyes: [Option<Eye<P>>; 2],
    shown: Option<Revision>,
    /// Why no watch was opened, for those who give up.
    last: String,
}

impl<P: Picture> Pair<P> {
    pub(crate) fn new(shared: Arc<Shared>, filter: &Filter) -> Self {
        let eye = |watch| {
            Some(Eye {
                watch,
                picture: P::default(),
                revision: None,
            })
        };
        let eyes = if shared.options.watch_twice {
            let (one, other) = Seat::two();
            [one, other].map(|seat| eye(Watch::seated(shared.clone(), filter, Some(seat))))
        } else {
            [eye(Watch::new(shared.clone(), filter)), None]
        };
        Self {
            shared,
            eyes,
            shown: None,
            last: "no server told its state".to_owned(),
        }
    }

    /// The first picture, within the deadline of a call.
    pub(crate) async fn first(&mut self) -> Result<&P, Error> {
        let deadline = self.shared.until(self.shared.options.deadline);
        match tokio::time::timeout_at(deadline, self.step()).await {
            Ok(at) => self.picture(at?),
            Err(_) => Err(Error::Deadline {
                after: self.shared.options.deadline,
                last: self.last.clone(),
                leader: None,
            }),
        }
    }

    /// The next picture.
    pub(crate) async fn next(&mut self) -> Result<&P, Error> {
        let at = self.step().await?;
        self.picture(at)
    }

    fn picture(&self, at: usize) -> Result<&P, Error> {
        let eye = self.eyes.get(at).and_then(Option::as_ref);
        let eye = eye.ok_or_else(|| Error::Invalid("there is no such watch".to_owned()))?;
        Ok(&eye.picture)
    }

    /// Waits until one of the watches shows something that is not older than what was shown. Gives
    /// which. May be cancelled and called again.
    async fn step(&mut self) -> Result<usize, Error> {
        loop {
            let [one, other] = &mut self.eyes;
            // With one server known, a second watch there sees nothing more.
            let both = self.shared.servers.count() > 1;
            let (at, event) = tokio::select! {
                event = next(one.as_mut()) => (0, event),
                event = next(other.as_mut()), if both => (1, event),
            };
            let event = event?;
            if let WatchEvent::Interrupted { why } = &event {
                self.last.clone_from(why);
            }
            let Some(eye) = self.eyes.get_mut(at).and_then(Option::as_mut) else {
                continue;
            };
            if eye.take(event) && eye.revision >= self.shown {
                self.shown = eye.revision;
                return Ok(at);
            }
        }
    }
}

async fn next<P>(eye: Option<&mut Eye<P>>) -> Result<WatchEvent, Error> {
    match eye {
        Some(eye) => eye.watch.next().await,
        None => std::future::pending().await,
    }
}
