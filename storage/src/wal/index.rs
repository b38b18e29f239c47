//! Where each entry of the log lies, and the recent entries themselves.

use std::collections::VecDeque;
use std::ops::Range;

use crate::types::{Entry, LogId, log_id};

/// Where an entry's record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The entry's term.
    pub term: u64,
    /// The segment's number; 0 while the entry waits to be written.
    pub segment: u32,
    /// Where the record begins in the segment; the ticket of its append while it waits.
    pub offset: u32,
    /// The record's length, head included.
    pub length: u32,
}

impl Place {
    /// An entry that waits to be written.
    pub fn waiting(term: u64, ticket: u32, length: u32) -> Place {
        Place {
            term,
            segment: 0,
            offset: ticket,
            length,
        }
    }

    fn waits_for(&self, ticket: u32) -> bool {
        self.segment == 0 && self.offset == ticket
    }
}

/// The entries of the log, from the first that is kept to the last.
///
/// The most recent ones are held in memory as long as their payloads stay within a bound; entries
/// that are not yet in a file are always held.
#[derive(Debug)]
pub struct Index {
    first: u64,
    places: VecDeque<Place>,
    cache: VecDeque<Entry>,
    cached_bytes: usize,
    cache_limit: usize,
    purged: Option<LogId>,
}

/// What a read found: entries to fetch from files, then entries from memory.
#[derive(Debug, Default)]
pub struct Found {
    /// The index of the first of `cold`.
    pub first: u64,
    /// Entries that must be read from files.
    pub cold: Vec<Place>,
    /// The entries that follow them.
    pub warm: Vec<Entry>,
}

impl Index {
    /// A log read from files: entry `first` lies at `places[0]`, and so on.
    pub fn restored(
        purged: Option<LogId>,
        first: u64,
        places: VecDeque<Place>,
        cache_limit: usize,
    ) -> Index {
        Index {
            first,
            places,
            cache: VecDeque::new(),
            cached_bytes: 0,
            cache_limit,
            purged,
        }
    }

    /// The last purged entry.
    pub fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// The last entry, or the last purged one when there is none.
    pub fn last(&self) -> Option<LogId> {
        match self.places.back() {
            Some(place) => Some(log_id(place.term, self.end() - 1)),
            None => self.purged,
        }
    }

    /// One past the index of the last entry.
    fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// The index that the next entry must have; `None` when any will do, the log being new.
    pub fn next_index(&self) -> Option<u64> {
        self.last().map(|last| last.index + 1)
    }

    /// Adds an entry that waits to be written.
    pub fn push(&mut self, entry: Entry, ticket: u32, length: u32) {
        if self.places.is_empty() {
            self.first = entry.log_id.index;
        }
        let term = entry.log_id.leader_id.term;
        self.places.push_back(Place::waiting(term, ticket, length));
        self.cached_bytes += cost(length);
        self.cache.push_back(entry);
    }

    /// Notes that the entry `index` of append `ticket` was written. Entries that were truncated
    /// meanwhile are passed over.
    pub fn place(&mut self, index: u64, ticket: u32, segment: u32, offset: u32) {
        let at = index.checked_sub(self.first);
        let place = at.and_then(|at| self.places.get_mut(usize::try_from(at).ok()?));
        if let Some(place) = place.filter(|place| place.waits_for(ticket)) {
            place.segment = segment;
            place.offset = offset;
        }
    }

    /// Lets go of the oldest entries in memory until the rest is within the bound.
    pub fn evict(&mut self) {
        while self.cached_bytes > self.cache_limit {
            let at = self.places.len() - self.cache.len();
            match self.places.get(at) {
                Some(place) if place.segment != 0 => {
                    self.cached_bytes -= cost(place.length);
                    self.cache.pop_front();
                }
                Some(_) | None => return,
            }
        }
    }

    /// Removes the entries after `after`.
    pub fn truncate(&mut self, after: Option<LogId>) {
        let end = after.map_or(0, |id| id.index + 1).max(self.first);
        while self.end() > end {
            let Some(place) = self.places.pop_back() else {
                return;
            };
            if self.cache.pop_back().is_some() {
                self.cached_bytes -= cost(place.length);
            }
        }
    }

    /// Removes the entries up to `upto`.
    pub fn purge(&mut self, upto: LogId) {
        if self.purged.is_some_and(|purged| purged.index >= upto.index) {
            return;
        }
        while self.first <= upto.index {
            let held = self.cache.len() == self.places.len();
            let Some(place) = self.places.pop_front() else {
                break;
            };
            if held {
                self.cache.pop_front();
                self.cached_bytes -= cost(place.length);
            }
            self.first += 1;
        }
        self.first = self.first.max(upto.index + 1);
        self.purged = Some(upto);
    }

    /// Finds the entries of `range` that there are, the first of them and as many more as stay
    /// within `limit` bytes.
    pub fn find(&self, range: Range<u64>, limit: usize) -> Found {
        let start = range.start.max(self.first);
        let end = range.end.min(self.end());
        let cache_start = self.end() - self.cache.len() as u64;
        let mut found = Found {
            first: start,
            ..Found::default()
        };
        let mut bytes = 0usize;
        for index in start..end {
            let place = self.places[(index - self.first) as usize];
            bytes = bytes.saturating_add(place.length as usize);
            if index > start && bytes > limit {
                break;
            }
            match index.checked_sub(cache_start) {
                None => found.cold.push(place),
                Some(at) => found.warm.push(self.cache[at as usize].clone()),
            }
        }
        found
    }

    /// The last entry of each term from `first` to `last`, both included.
    pub fn last_of_each_term(&self, first: LogId, last: LogId) -> Vec<LogId> {
        let mut ids = Vec::new();
        let mut id = first;
        while id.leader_id.term < last.leader_id.term {
            let term = id.leader_id.term;
            let count = self.places.partition_point(|place| place.term <= term) as u64;
            let end = (self.first + count).clamp(id.index + 1, last.index);
            ids.push(log_id(term, end - 1));
            id = match self.places.get((end - self.first) as usize) {
                Some(place) => log_id(place.term, end),
                None => last,
            };
        }
        ids.push(last);
        ids
    }

    /// Entries kept, entries held in memory, and the bytes that these cost.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.places.len(), self.cache.len(), self.cached_bytes)
    }
}

/// What an entry in memory counts for, from the length of its record.
fn cost(length: u32) -> usize {
    length as usize + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EntryPayload;

    fn blank(term: u64, index: u64) -> Entry {
        Entry {
            log_id: log_id(term, index),
            payload: EntryPayload::Blank,
        }
    }

    fn filled(terms: &[u64], limit: usize) -> Index {
        let mut index = Index::restored(None, 0, VecDeque::new(), limit);
        for (i, term) in terms.iter().enumerate() {
            index.push(blank(*term, i as u64), 1, 100);
        }
        index
    }

    #[test]
    fn entries_leave_memory_only_once_they_are_written() {
        let mut index = filled(&[1, 1, 1], 0);
        index.evict();
        assert_eq!(index.sizes().1, 3);
        index.place(0, 1, 7, 64);
        index.place(2, 1, 7, 264);
        index.evict();
        assert_eq!(index.sizes().1, 2, "entry 1 waits, and holds entry 2");
        let found = index.find(0..9, usize::MAX);
        assert_eq!(found.cold.len(), 1);
        assert_eq!(found.cold[0].offset, 64);
        assert_eq!(found.warm, [blank(1, 1), blank(1, 2)]);
    }

    #[test]
    fn a_write_of_a_truncated_entry_is_not_taken_for_its_successor() {
        let mut index = filled(&[1, 1], 0);
        index.truncate(Some(log_id(1, 0)));
        index.push(blank(2, 1), 2, 100);
        index.place(1, 1, 7, 64);
        assert_eq!(index.find(1..2, 0).warm, [blank(2, 1)]);
        index.place(1, 2, 7, 164);
        index.place(0, 1, 7, 0);
        index.evict();
        assert_eq!(index.find(1..2, 0).cold[0].offset, 164);
    }

    #[test]
    fn purge_and_truncate_keep_first_and_last_right() {
        // (truncate after, purge up to) -> (purged, last, entries)
        type Case = (Option<u64>, Option<u64>, Option<u64>, Option<u64>, usize);
        let cases: [Case; 6] = [
            (None, Some(1), Some(1), Some(3), 2),
            (None, Some(3), Some(3), Some(3), 0),
            (None, Some(9), Some(9), Some(9), 0),
            (Some(1), None, None, Some(1), 2),
            (Some(2), Some(1), Some(1), Some(2), 1),
            (Some(9), None, None, Some(3), 4),
        ];
        for (truncate, purge, purged, last, entries) in cases {
            let mut index = filled(&[1, 1, 1, 1], 0);
            if let Some(after) = truncate {
                index.truncate(Some(log_id(1, after)));
            }
            if let Some(upto) = purge {
                index.purge(log_id(1, upto));
            }
            let got = (
                index.purged().map(|i| i.index),
                index.last().map(|i| i.index),
            );
            assert_eq!(got, (purged, last), "{truncate:?} {purge:?}");
            assert_eq!(index.sizes().0, entries, "{truncate:?} {purge:?}");
        }
    }

    #[test]
    fn everything_goes_when_truncated_after_nothing() {
        let mut index = filled(&[1, 1], 0);
        index.truncate(None);
        assert_eq!((index.last(), index.sizes()), (None, (0, 0, 0)));
    }

    #[test]
    fn reads_are_bounded_but_never_empty() {
        let index = filled(&[1, 1, 1, 1], 0);
        for (limit, count) in [(0, 1), (100, 1), (200, 2), (350, 3), (4000, 4)] {
            assert_eq!(index.find(0..4, limit).warm.len(), count, "{limit}");
        }
        assert_eq!(index.find(4..9, 100).warm.len(), 0);
    }

    #[test]
    fn the_last_entry_of_each_term_is_found() {
        let index = filled(&[1, 1, 2, 4, 4, 4], 0);
        let ids = |from, to| {
            let found = index.last_of_each_term(from, to);
            found
                .iter()
                .map(|id| (id.leader_id.term, id.index))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(log_id(1, 0), log_id(4, 5)), [(1, 1), (2, 2), (4, 5)]);
        assert_eq!(ids(log_id(1, 1), log_id(4, 3)), [(1, 1), (2, 2), (4, 3)]);
        assert_eq!(ids(log_id(2, 2), log_id(2, 2)), [(2, 2)]);
        assert_eq!(ids(log_id(1, 0), log_id(1, 1)), [(1, 1)]);
    }
}
