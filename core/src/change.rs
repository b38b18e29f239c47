//! A change under way: remembers what it replaced, so that it can be rolled back or told as events.

use crate::copies::{Accepted, Refusal};
use crate::{Event, Key, LogIndex, Record, Revision, State};
use std::collections::BTreeMap;

/// All writes of one log entry. Either becomes events or leaves no trace.
pub(crate) struct Change<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) revision: Revision,
    before: BTreeMap<Key, Option<Record>>,
    /// Items and stores that were changed outside of what can be rolled back.
    pub(crate) touched: Vec<Key>,
    /// What a batch of items came to.
    pub(crate) answers: Option<Vec<Result<Accepted, Refusal>>>,
}

impl<'a> Change<'a> {
    pub(crate) fn new(state: &'a mut State, index: LogIndex) -> Self {
        Self {
            state,
            revision: Revision(index.0),
            before: BTreeMap::new(),
            touched: Vec::new(),
            answers: None,
        }
    }

    pub(crate) fn put(&mut self, record: Record) {
        self.remember(&record.key());
        self.state.put(record);
    }

    pub(crate) fn delete(&mut self, key: &Key) {
        self.remember(key);
        self.state.delete(key);
    }

    /// The events: every touched record whose value is another one now.
    pub(crate) fn commit(self) -> Vec<Event> {
        let state = self.state;
        let differs = |(key, before): (Key, Option<Record>)| {
            let after = state.get(&key);
            (before != after).then_some(Event { key, after })
        };
        self.before.into_iter().filter_map(differs).collect()
    }

    pub(crate) fn roll_back(self) {
        for (key, before) in self.before {
            match before {
                Some(record) => self.state.put(record),
                None => self.state.delete(&key),
            }
        }
    }

    fn remember(&mut self, key: &Key) {
        if !self.before.contains_key(key) {
            self.before.insert(key.clone(), self.state.get(key));
        }
    }
}
