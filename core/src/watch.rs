//! The watch ring: the latest events, bounded, read by cursor. Watchers pull; a slow one costs nobody
//! else anything and is told so when what it missed is no longer kept.

use crate::{Event, Revision};
use std::{collections::VecDeque, fmt, sync::Arc};

/// The events of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The revision.
    pub revision: Revision,
    /// How the visible state differs from the one before, in key order.
    pub events: Arc<[Event]>,
}

/// A watcher asked for what is no longer kept: it must start over with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The oldest revision after which all is still kept.
    pub oldest: Revision,
}

impl fmt::Display for Compacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "events up to revision {} are no longer kept",
            self.oldest
        )
    }
}

impl std::error::Error for Compacted {}

/// The latest events.
#[derive(Debug, Clone)]
pub struct Ring {
    batches: VecDeque<Batch>,
    events: usize,
    events_max: usize,
    floor: Revision,
}

impl Ring {
    /// An empty ring after `floor` that keeps at most `events_max` events (and always the latest batch).
    #[must_use]
    pub fn new(floor: Revision, events_max: usize) -> Self {
        Self {
            batches: VecDeque::new(),
            events: 0,
            events_max,
            floor,
        }
    }

    /// Adds the events of a revision, which is after all others.
    pub fn push(&mut self, revision: Revision, events: Vec<Event>) {
        assert!(
            revision > self.latest(),
            "revision {revision} comes after {}",
            self.latest()
        );
        self.events = self.events.saturating_add(events.len());
        self.batches.push_back(Batch {
            revision,
            events: events.into(),
        });
        while self.events > self.events_max && self.batches.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Forgets everything: the state was replaced as a whole and now stands at `floor`.
    pub fn reset(&mut self, floor: Revision) {
        self.batches.clear();
        self.events = 0;
        self.floor = floor;
    }

    /// Revision of the latest batch, or where the ring began.
    #[must_use]
    pub fn latest(&self) -> Revision {
        self.batches
            .back()
            .map_or(self.floor, |batch| batch.revision)
    }

    /// Up to `max` batches after `cursor`, in order.
    ///
    /// # Errors
    /// [`Compacted`] when some of them are no longer kept; start over with a snapshot.
    pub fn after(&self, cursor: Revision, max: usize) -> Result<Vec<Batch>, Compacted> {
        if cursor < self.floor {
            return Err(Compacted { oldest: self.floor });
        }
        let start = self
            .batches
            .partition_point(|batch| batch.revision <= cursor);
        Ok(self.batches.iter().skip(start).take(max).cloned().collect())
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.batches.pop_front() {
            self.floor = oldest.revision;
            self.events = self.events.saturating_sub(oldest.events.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn ring() -> Ring {
        let mut ring = Ring::new(Revision(10), 3);
        for revision in [12, 13, 17, 20] {
            let event = Event {
                key: Key::Settings,
                after: None,
            };
            ring.push(Revision(revision), vec![event]);
        }
        ring
    }

    fn revisions(batches: &[Batch]) -> Vec<u64> {
        batches.iter().map(|b| b.revision.0).collect()
    }

    #[test]
    fn a_cursor_reads_on_without_gap_or_is_told() {
        let ring = ring();
        assert_eq!(
            ring.after(Revision(11), 9),
            Err(Compacted {
                oldest: Revision(12)
            })
        );
        assert_eq!(
            revisions(&ring.after(Revision(12), 9).unwrap()),
            [13, 17, 20]
        );
        assert_eq!(revisions(&ring.after(Revision(14), 1).unwrap()), [17]);
        assert_eq!(
            revisions(&ring.after(Revision(20), 9).unwrap()),
            [] as [u64; 0]
        );
        assert_eq!(ring.latest(), Revision(20));
    }

    #[test]
    fn a_replaced_state_compacts_all_before() {
        let mut ring = ring();
        ring.reset(Revision(40));
        assert_eq!(
            ring.after(Revision(20), 9),
            Err(Compacted {
                oldest: Revision(40)
            })
        );
        assert_eq!(ring.after(Revision(40), 9), Ok(vec![]));
    }

    #[test]
    fn the_latest_batch_is_kept_however_large() {
        let mut ring = Ring::new(Revision(0), 1);
        let event = Event {
            key: Key::Settings,
            after: None,
        };
        ring.push(Revision(1), vec![event.clone(), event]);
        assert_eq!(ring.after(Revision(0), 9).unwrap().len(), 1);
    }
}
