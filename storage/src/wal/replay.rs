//! The state of the log as its records, read in order, add up to it.

use std::collections::VecDeque;

use super::index::Place;
use super::record::{Checkpoint, Record};
use crate::types::{LogId, log_id};

/// What the records read so far say.
#[derive(Debug, Default)]
pub struct Replay {
    /// Vote, committed and purged position, and the last entry.
    pub state: Checkpoint,
    /// The index of the first place.
    pub first: u64,
    /// Where the entries lie.
    pub places: VecDeque<Place>,
}

impl Replay {
    /// Begins with the checkpoint of the oldest segment there is.
    pub fn starting_at(state: Checkpoint) -> Replay {
        Replay {
            state,
            first: next(state.last),
            places: VecDeque::new(),
        }
    }

    /// Takes in a record, which lies at `place` (whose term is filled in here).
    ///
    /// # Errors
    ///
    /// A sentence, when the record cannot follow those before it.
    pub fn apply(&mut self, record: Record, place: Place) -> Result<(), String> {
        match record {
            Record::Entry(id) => self.append(id, place)?,
            Record::Vote(vote) => self.state.vote = Some(vote),
            Record::Committed(committed) => self.state.committed = committed,
            Record::TruncateAfter(after) => self.truncate(after),
            Record::Purge(upto) => self.purge(upto),
            Record::Checkpoint(said) if said != self.state => {
                return Err(format!(
                    "the segment begins with {said:?}, but what was read before adds up to {:?}",
                    self.state
                ));
            }
            Record::Checkpoint(_) => {}
        }
        Ok(())
    }

    fn append(&mut self, id: LogId, place: Place) -> Result<(), String> {
        if id.index != next(self.state.last) {
            return Err(match self.state.last {
                None => format!("entry {} is the first", id.index),
                Some(last) => format!("entry {} follows entry {}", id.index, last.index),
            });
        }
        if self.state.last.is_none() {
            self.first = id.index;
        }
        let term = id.leader_id.term;
        self.places.push_back(Place { term, ..place });
        self.state.append(id);
        Ok(())
    }

    fn truncate(&mut self, after: Option<LogId>) {
        let end = next(after).max(next(self.state.purged));
        while self.first + self.places.len() as u64 > end && self.places.pop_back().is_some() {}
        if self.places.is_empty() {
            self.first = self.first.min(end);
        }
        self.state.truncate(after);
    }

    fn purge(&mut self, upto: LogId) {
        while self.first <= upto.index && self.places.pop_front().is_some() {
            self.first += 1;
        }
        self.state.purge(upto);
        if self.state.last == Some(upto) {
            self.first = upto.index + 1;
        }
    }

    /// One past the last entry that lies in segment `number` or an older one.
    pub fn end_of_segment(&self, number: u32) -> u64 {
        let count = self.places.partition_point(|place| place.segment <= number);
        self.first + count as u64
    }

    /// Checks that no entry is missing between the purged ones and the first one read.
    ///
    /// # Errors
    ///
    /// A sentence that names the entries that are missing.
    pub fn check_complete(&self) -> Result<(), String> {
        let needed = next(self.state.purged);
        if self.first > needed {
            return Err(format!(
                "entries {needed} to {} were never purged, and are not in any segment that is left",
                self.first - 1
            ));
        }
        if self.first < needed {
            return Err(format!(
                "entry {} is there, although those before entry {needed} were purged",
                self.first
            ));
        }
        let last = match self.places.back() {
            Some(place) => Some(log_id(
                place.term,
                self.first + self.places.len() as u64 - 1,
            )),
            None => self.state.purged,
        };
        if last != self.state.last {
            return Err(format!(
                "the last entry is {last:?}, not {:?}",
                self.state.last
            ));
        }
        Ok(())
    }
}

impl Checkpoint {
    /// An entry was appended.
    pub fn append(&mut self, id: LogId) {
        self.last = Some(id);
    }

    /// The entries after `after` were removed.
    pub fn truncate(&mut self, after: Option<LogId>) {
        if next(self.last) > next(after) {
            self.last = if next(after) > next(self.purged) {
                after
            } else {
                self.purged
            };
        }
    }

    /// The entries up to `upto` were removed.
    pub fn purge(&mut self, upto: LogId) {
        if next(self.purged) <= upto.index {
            self.purged = Some(upto);
        }
        if next(self.last) <= upto.index + 1 {
            self.last = Some(upto);
        }
    }
}

/// The index after `id`.
pub fn next(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u32) -> Place {
        Place {
            term: 0,
            segment: 2,
            offset,
            length: 10,
        }
    }

    fn replay(state: Checkpoint, records: &[Record]) -> Result<Replay, String> {
        let mut replay = Replay::starting_at(state);
        for (i, record) in records.iter().enumerate() {
            replay.apply(record.clone(), place(i as u32))?;
        }
        replay.check_complete()?;
        Ok(replay)
    }

    fn entries(term: u64, indexes: std::ops::RangeInclusive<u64>) -> Vec<Record> {
        indexes.map(|i| Record::Entry(log_id(term, i))).collect()
    }

    #[test]
    fn what_older_segments_held_may_be_gone_once_purged_or_replaced() {
        let at_10 = Checkpoint {
            last: Some(log_id(1, 10)),
            ..Checkpoint::default()
        };
        let id = |index| Some(log_id(1, index));
        // (records after a checkpoint that ends at entry 10) -> first entry kept
        let cases: Vec<(Vec<Record>, Option<u64>)> = vec![
            (vec![], None),
            (entries(1, 11..=12), None),
            (vec![Record::Purge(log_id(1, 9))], None),
            (vec![Record::Purge(log_id(1, 10))], Some(11)),
            (
                [entries(1, 11..=13), vec![Record::Purge(log_id(1, 12))]].concat(),
                Some(13),
            ),
            (
                [vec![Record::TruncateAfter(id(5))], entries(2, 6..=9)].concat(),
                None,
            ),
            (
                [
                    vec![Record::TruncateAfter(id(5))],
                    entries(2, 6..=9),
                    vec![Record::Purge(log_id(2, 7))],
                ]
                .concat(),
                Some(8),
            ),
            (
                [vec![Record::TruncateAfter(None)], entries(2, 0..=1)].concat(),
                Some(0),
            ),
            (vec![Record::Purge(log_id(5, 40))], Some(41)),
        ];
        for (records, first) in cases {
            let got = replay(at_10, &records).ok().map(|r| r.first);
            assert_eq!(got, first, "{records:?}");
        }
    }

    #[test]
    fn entries_without_their_predecessor_are_refused() {
        let gap = [entries(1, 0..=1), entries(1, 3..=3)].concat();
        let refused = replay(Checkpoint::default(), &gap).expect_err("gap");
        assert_eq!(refused, "entry 3 follows entry 1");
        let refused = replay(Checkpoint::default(), &entries(1, 2..=3)).expect_err("a beginning");
        assert_eq!(refused, "entry 2 is the first");
    }

    #[test]
    fn a_checkpoint_that_contradicts_its_past_is_refused() {
        let wrong = Record::Checkpoint(Checkpoint {
            last: Some(log_id(1, 7)),
            ..Checkpoint::default()
        });
        let records = [entries(1, 0..=1), vec![wrong]].concat();
        assert!(replay(Checkpoint::default(), &records).is_err());
    }
}
