//! Where the appends end that are on their way, and which of their answers openraft may hear.
//!
//! openraft counts *every* append whose last entry an answer covers as answered, and takes the time at which
//! the latest of them was made for a sign that this server still led then. An append without entries, which
//! only tells what is committed, ends where the one before it ended: the older answer would vouch for it while
//! nobody has heard it. A leader that was frozen, and finds the answers of an earlier time in its sockets when
//! it wakes, could so confirm a read, and grant leases, although another leads by then. Therefore an answer is
//! handed on only when nothing that was taken later ends at the same place; the answer to that one follows.

use std::collections::VecDeque;

use openraft::raft::AppendEntriesRequest;
use tenure_storage::types::TypeConfig;

/// The ends of the appends that were taken from openraft and are not answered, in order.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<u64>);

impl Ends {
    /// An append was taken from openraft.
    pub(super) fn taken(&mut self, append: &AppendEntriesRequest<TypeConfig>) {
        let last = append.entries.last().map(|entry| entry.log_id);
        let last = last.or(append.prev_log_id);
        // One past the last entry: an empty log ends before index 0.
        self.0.push_back(last.map_or(0, |last| last.index + 1));
    }

    /// The oldest was answered. Whether openraft may hear that answer.
    pub(super) fn answered(&mut self) -> bool {
        let end = self.0.pop_front();
        end.is_none() || end != self.0.front().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::EntryPayload;
    use tenure_storage::types::{Entry, Vote, log_id};

    /// An append of the entries after `previous` up to `last`.
    fn append(previous: Option<u64>, last: u64) -> AppendEntriesRequest<TypeConfig> {
        let first = previous.map_or(0, |index| index + 1);
        let entry = |index| Entry {
            log_id: log_id(1, index),
            payload: EntryPayload::Blank,
        };
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: previous.map(|index| log_id(1, index)),
            entries: (first..=last).map(entry).collect(),
            leader_commit: None,
        }
    }

    fn of(appends: &[AppendEntriesRequest<TypeConfig>]) -> Ends {
        let mut ends = Ends::default();
        appends.iter().for_each(|append| ends.taken(append));
        ends
    }

    #[test]
    fn answers_to_appends_with_entries_are_handed_on_as_they_come() {
        let mut ends = of(&[append(None, 0), append(Some(0), 4), append(Some(4), 5)]);
        assert_eq!(
            [ends.answered(), ends.answered(), ends.answered()],
            [true; 3]
        );
        assert_eq!(ends.len(), 0);
    }

    #[test]
    fn an_answer_vouches_for_no_later_append_without_entries() {
        let mut ends = of(&[append(Some(4), 5), append(Some(5), 5), append(Some(5), 5)]);
        assert_eq!(
            [ends.answered(), ends.answered(), ends.answered()],
            [false, false, true]
        );
    }

    #[test]
    fn one_that_was_taken_after_the_answer_keeps_nothing_back() {
        let mut ends = of(&[append(Some(4), 5)]);
        assert!(ends.answered());
        ends.taken(&append(Some(5), 5));
        ends.taken(&append(Some(5), 6));
        assert_eq!([ends.answered(), ends.answered()], [true, true]);
    }

    #[test]
    fn an_empty_log_has_an_end_too() {
        let nothing = AppendEntriesRequest {
            prev_log_id: None,
            ..append(Some(0), 0)
        };
        let mut ends = of(&[nothing.clone(), nothing, append(None, 0)]);
        assert_eq!(
            [ends.answered(), ends.answered(), ends.answered()],
            [false, true, true]
        );
    }
}
