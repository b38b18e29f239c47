//! What the state machine and its readers share.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tenure_core::{Applied, Done, Key, LogIndex, Outcome, Record, Ring, State};
use tokio::sync::watch;

use super::{Decoded, What};
use crate::format::Meta;
use crate::image::{Changes, Image};
use crate::state_reader::Progress;
use crate::types::{LogId, StoredMembership};

/// The state with where it stands.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) state: State,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) ring: Ring,
    /// Keys whose records changed since the last checkpoint.
    dirty: BTreeSet<Key>,
}

/// The state behind its lock, and the image below it.
pub(crate) struct Shared {
    live: RwLock<Live>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) image: Arc<Image>,
}

/// Says where it stands, not what is in it.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("progress", &*self.progress.borrow())
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(image: Arc<Image>, state: State, events_max: usize) -> Self {
        let meta = image.meta().unwrap_or_default();
        let live = Live {
            ring: Ring::new(state.revision(), events_max),
            applied: meta.applied,
            membership: meta.membership,
            dirty: BTreeSet::new(),
            state,
        };
        Self {
            progress: watch::Sender::new(live.progress()),
            live: RwLock::new(live),
            image,
        }
    }

    /// Reads under the lock; entries wait meanwhile.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Live) -> T) -> T {
        // A panic while applying ends the server; a reader that outlives it by a moment sees a state
        // that nobody is told of.
        read(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Live) -> T) -> T {
        change(&mut self.live.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies entries in order and tells the readers; gives an outcome for each.
    pub(crate) fn apply(&self, entries: Vec<Decoded>) -> Result<Vec<Outcome>, io::Error> {
        let (outcomes, progress) = self.change(|live| {
            let outcomes: Result<Vec<Outcome>, io::Error> =
                entries.into_iter().map(|entry| live.apply(entry)).collect();
            (outcomes, live.progress())
        });
        self.progress.send_replace(progress);
        outcomes
    }

    /// What changed since the last checkpoint. From now on it counts as written.
    pub(crate) fn take_changes(&self) -> Changes {
        self.change(Live::take_changes)
    }

    /// Continues with a state from elsewhere: watchers must begin anew.
    pub(crate) fn replace(&self, state: State, meta: &Meta) {
        let (old, progress) = self.change(|live| {
            live.applied = meta.applied;
            live.membership = meta.membership.clone();
            live.ring.reset(state.revision());
            live.dirty.clear();
            let old = std::mem::replace(&mut live.state, state);
            (old, live.progress())
        });
        // A large state takes a while to take down: not under the lock.
        drop(old);
        self.progress.send_replace(progress);
    }
}

impl Live {
    fn progress(&self) -> Progress {
        Progress {
            applied: self.state.applied(),
            revision: self.state.revision(),
        }
    }

    fn apply(&mut self, entry: Decoded) -> Result<Outcome, io::Error> {
        let index = LogIndex(entry.id.index);
        let in_order = self.applied.is_none_or(|applied| applied < entry.id);
        if !in_order {
            return Err(out_of_order(&entry.id, self.applied));
        }
        let outcome = match entry.what {
            What::Command(envelope) => {
                let applied = self.state.apply(index, &envelope);
                self.take_in(applied)
            }
            What::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.id), membership);
                self.pass(index)
            }
            What::Blank => self.pass(index),
        };
        self.applied = Some(entry.id);
        Ok(outcome)
    }

    /// Remembers what changed, for the watchers and for the disk.
    fn take_in(&mut self, applied: Applied) -> Outcome {
        let visible = applied.events.iter().map(|event| event.key.clone());
        self.dirty.extend(visible.chain(applied.hidden));
        if !applied.events.is_empty() {
            self.ring.push(self.state.revision(), applied.events);
        }
        applied.outcome
    }

    /// An entry without a command. The first of all has the index 0, at which an empty state stands.
    fn pass(&mut self, index: LogIndex) -> Outcome {
        if index > self.state.applied() {
            self.state.skip(index);
        }
        Outcome::Done(Done {
            revision: self.state.revision(),
            created: None,
        })
    }

    fn take_changes(&mut self) -> Changes {
        let state = &self.state;
        let row = |key: Key| {
            let record: Option<Record> = state.get(&key);
            (key, record)
        };
        Changes {
            applied: self.applied,
            revision: state.revision(),
            membership: self.membership.clone(),
            rows: std::mem::take(&mut self.dirty)
                .into_iter()
                .map(row)
                .collect(),
        }
    }
}

fn out_of_order(entry: &LogId, applied: Option<LogId>) -> io::Error {
    let applied = applied.map_or_else(|| "nothing".to_owned(), |id| format!("entry {id}"));
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("entry {entry} is to be applied after {applied}: the log is out of order"),
    )
}
