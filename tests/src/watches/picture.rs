//! What a watcher knows, and the checks that every message has to pass.

use std::collections::BTreeMap;

use tenure_client::WatchEvent;
use tenure_core::{Event, Key, Record, Revision};

/// Records by key.
pub type Records = BTreeMap<Key, Record>;

/// Makes a map of records.
#[must_use]
pub fn by_key(records: impl IntoIterator<Item = Record>) -> Records {
    records
        .into_iter()
        .map(|record| (record.key(), record))
        .collect()
}

/// What was told, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whole snapshots.
    pub snapshots: usize,
    /// Portions of changes.
    pub changes: usize,
    /// Signs of progress.
    pub progress: usize,
    /// Times that changes were missed.
    pub compacted: usize,
    /// Times that the connection was lost.
    pub interrupted: usize,
}

/// A watcher's picture of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The records.
    pub records: Records,
    /// The revision that they show; 0 before the first snapshot.
    pub revision: Revision,
    /// What it was made of.
    pub told: Told,
    needs_snapshot: bool,
}

impl Picture {
    /// An empty picture that a snapshot has to fill.
    #[must_use]
    pub fn blank() -> Self {
        Self {
            needs_snapshot: true,
            ..Self::default()
        }
    }

    /// A picture as a watcher has it that goes on elsewhere.
    #[must_use]
    pub fn of(records: Records, revision: Revision) -> Self {
        Self {
            records,
            revision,
            ..Self::default()
        }
    }

    /// Replaces all.
    ///
    /// # Errors
    /// When it is older than what was shown already.
    pub fn snapshot(&mut self, revision: Revision, records: Records) -> Result<(), String> {
        self.told.snapshots += 1;
        self.needs_snapshot = false;
        self.advance(revision)?;
        self.records = records;
        Ok(())
    }

    /// Folds changes in.
    ///
    /// # Errors
    /// When they are no news, or come where a snapshot has to.
    pub fn changes(&mut self, revision: Revision, events: Vec<Event>) -> Result<(), String> {
        self.told.changes += 1;
        if revision <= self.revision {
            return Err(format!("changes up to {revision} after {}", self.revision));
        }
        self.advance(revision)?;
        for Event { key, after } in events {
            match after {
                Some(record) => self.records.insert(key, record),
                None => self.records.remove(&key),
            };
        }
        Ok(())
    }

    /// Nothing is different up to a revision.
    ///
    /// # Errors
    /// When the revision falls, or a snapshot has to come first.
    pub fn progress(&mut self, revision: Revision) -> Result<(), String> {
        self.told.progress += 1;
        self.advance(revision)
    }

    /// Something was missed: a snapshot has to come.
    pub fn compacted(&mut self) {
        self.told.compacted += 1;
        self.needs_snapshot = true;
    }

    /// Takes in what the client library tells.
    ///
    /// # Errors
    /// A sentence that says which rule the watch broke.
    pub fn take(&mut self, event: WatchEvent) -> Result<(), String> {
        match event {
            WatchEvent::Snapshot { revision, records } => self.snapshot(revision, by_key(records)),
            WatchEvent::Changes { revision, events } => self.changes(revision, events),
            WatchEvent::Progress { revision, .. } => self.progress(revision),
            WatchEvent::Compacted { .. } => {
                self.compacted();
                Ok(())
            }
            WatchEvent::Interrupted { .. } => {
                self.told.interrupted += 1;
                Ok(())
            }
        }
    }

    fn advance(&mut self, revision: Revision) -> Result<(), String> {
        if self.needs_snapshot {
            return Err(format!(
                "revision {revision} was told before a snapshot came"
            ));
        }
        if revision < self.revision {
            return Err(format!(
                "revision {revision} was told after {}",
                self.revision
            ));
        }
        self.revision = revision;
        Ok(())
    }
}

/// Says where two pictures differ; None when they do not.
#[must_use]
pub fn difference(found: &Records, expected: &Records) -> Option<String> {
    let missing = expected
        .iter()
        .filter(|(key, record)| found.get(key) != Some(record));
    let missing: Vec<String> = missing
        .map(|(key, record)| format!("{key}: expected {record:?}, found {:?}", found.get(key)))
        .collect();
    let extra: Vec<&Key> = found
        .keys()
        .filter(|key| !expected.contains_key(key))
        .collect();
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    Some(format!(
        "{} records differ, such as {:?}; {} should not be there, such as {:?}",
        missing.len(),
        missing.first(),
        extra.len(),
        extra.first()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_falls_is_told() {
        let mut picture = Picture::blank();
        picture
            .progress(Revision(3))
            .expect_err("nothing comes before the snapshot");
        picture
            .snapshot(Revision(3), Records::new())
            .expect("the first snapshot");
        picture.changes(Revision(3), vec![]).expect_err("no news");
        picture.progress(Revision(2)).expect_err("backwards");
        picture.compacted();
        picture.changes(Revision(9), vec![]).expect_err("a gap");
        picture
            .snapshot(Revision(9), Records::new())
            .expect("the second snapshot");
    }

    #[test]
    fn pictures_are_compared_both_ways() {
        let settings = Record::Settings(std::sync::Arc::default());
        let one = by_key([settings]);
        assert_eq!(difference(&one, &one), None);
        assert!(difference(&one, &Records::new()).is_some());
        assert!(difference(&Records::new(), &one).is_some());
    }
}
