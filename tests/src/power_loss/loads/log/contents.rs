//! What is in a log, as a model that makes every step of a plan.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use tenure_storage::types::{Entry, EntryPayload, LogId, Vote};

use super::plan::Call;

/// An entry: its id and a hash of what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The term of the leader that made it.
    pub term: u64,
    /// Its place in the log.
    pub index: u64,
    payload: u64,
}

impl Held {
    /// Takes note of an entry.
    #[must_use]
    pub fn new(entry: &Entry) -> Self {
        let mut hasher = DefaultHasher::new();
        match &entry.payload {
            EntryPayload::Blank => 0_u8.hash(&mut hasher),
            EntryPayload::Normal(payload) => payload.0.hash(&mut hasher),
            EntryPayload::Membership(membership) => format!("{membership:?}").hash(&mut hasher),
        }
        let LogId { leader_id, index } = entry.log_id;
        Self {
            term: *leader_id,
            index,
            payload: hasher.finish(),
        }
    }
}

/// Everything that a log store promises to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The last vote saved.
    pub vote: Option<Vote>,
    /// The last entry removed from the front.
    pub purged: Option<LogId>,
    /// The entries after it.
    pub entries: VecDeque<Held>,
}

impl Contents {
    /// A number that tells contents apart.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?} {:?}", self.vote, self.purged).hash(&mut hasher);
        self.entries.hash(&mut hasher);
        hasher.finish()
    }

    /// Makes `call`, and shows `after_step` what is in the log after each of its steps.
    pub fn make(&mut self, call: &Call, mut after_step: impl FnMut(&Self)) {
        match call {
            Call::Append(entries) => {
                for entry in entries {
                    self.entries.push_back(Held::new(entry));
                    after_step(self);
                }
                return;
            }
            Call::Wait | Call::Reopen => return,
            Call::Committed(_) => {}
            Call::Vote(vote) => self.vote = Some(*vote),
            Call::TruncateAfter(last) => {
                let end = last.map_or(0, |last| last.index + 1);
                while self.entries.back().is_some_and(|entry| entry.index >= end) {
                    self.entries.pop_back();
                }
            }
            Call::Purge(last) => {
                self.purged = Some(*last);
                while self
                    .entries
                    .front()
                    .is_some_and(|entry| entry.index <= last.index)
                {
                    self.entries.pop_front();
                }
            }
        }
        after_step(self);
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |entry: Option<&Held>| {
            entry.map_or("none".to_owned(), |e| format!("{}/{}", e.term, e.index))
        };
        let vote = self.vote.map_or("none".to_owned(), |vote| vote.to_string());
        let purged = self.purged.map_or("none".to_owned(), |id| {
            format!("{}/{}", *id.leader_id, id.index)
        });
        let (first, last) = (shown(self.entries.front()), shown(self.entries.back()));
        write!(
            f,
            "vote {vote}, purged {purged}, entries {first} to {last} ({})",
            self.entries.len()
        )
    }
}
