//! What a watcher is told, and the checks that make it gapless.

use crate::Error;
use std::collections::BTreeMap;
use tenure_core::{Event, Key, Millis, Record, Revision};
use tenure_proto::{
    ParseError,
    v1::{self, watch_response::Kind},
};

/// What a watcher is told. State, not history: of each record only the latest value counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// The whole picture: whatever was known before is void.
    Snapshot {
        /// The revision that it shows.
        revision: Revision,
        /// All wanted records, in key order.
        records: Vec<Record>,
    },
    /// What is different up to a revision.
    Changes {
        /// The revision up to which the picture now is.
        revision: Revision,
        /// The records that are different, in key order.
        events: Vec<Event>,
    },
    /// Nothing is different up to a revision. Comes about once a second when nothing else does.
    Progress {
        /// The revision up to which the picture now is.
        revision: Revision,
        /// How old the picture may be.
        age: Millis,
    },
    /// The watch was away for so long that changes were missed. A snapshot follows.
    Compacted {
        /// The oldest revision after which all is still kept.
        oldest: Revision,
    },
    /// The connection is lost, and the picture may be old. The watch goes on by itself.
    Interrupted {
        /// Why, as a sentence.
        why: String,
    },
}

/// What is wrong with a message, so that the watch goes on elsewhere, or ends.
#[derive(Debug)]
pub(super) enum Trouble {
    Elsewhere(String),
    End(Error),
}

impl From<ParseError> for Trouble {
    fn from(why: ParseError) -> Self {
        Self::End(Error::unreadable(why))
    }
}

/// How far a watch has got.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The picture is that of this revision. None before the first snapshot.
    seen: Option<Revision>,
    /// A snapshot must come before anything else.
    needs_snapshot: bool,
    /// The parts of a snapshot that have come so far.
    parts: Option<BTreeMap<Key, Record>>,
    /// The portions of changes that have come so far, while more of the same revision follow.
    portions: Vec<Event>,
}

impl Cursor {
    /// After which revision to resume; None to start with a snapshot.
    pub(super) fn resume_after(&self) -> Option<u64> {
        let seen = self.seen.filter(|_| !self.needs_snapshot);
        seen.map(|revision| revision.0)
    }

    /// The connection is another one: what came in part has to come again.
    pub(super) fn reconnected(&mut self) {
        self.parts = None;
        self.portions.clear();
    }

    /// Takes in a message, and gives what the watcher is told of it. None when that is nothing.
    pub(super) fn take(
        &mut self,
        message: v1::WatchResponse,
    ) -> Result<Option<WatchEvent>, Trouble> {
        let header = message.header;
        let header =
            header.ok_or_else(|| Trouble::Elsewhere("a message has no header".to_owned()))?;
        let revision = Revision(header.revision);
        match message.kind {
            Some(Kind::Snapshot(part)) => self.snapshot(revision, part),
            Some(Kind::Changes(changes)) => self.changes(revision, changes),
            Some(Kind::Progress(v1::watch_response::Progress {})) => {
                Ok(self.progress(revision, Millis(header.age_ms)))
            }
            Some(Kind::Compacted(compacted)) => {
                self.needs_snapshot = true;
                self.reconnected();
                let oldest = Revision(compacted.oldest);
                Ok(Some(WatchEvent::Compacted { oldest }))
            }
            None => Ok(None),
        }
    }

    fn snapshot(
        &mut self,
        revision: Revision,
        part: v1::watch_response::Snapshot,
    ) -> Result<Option<WatchEvent>, Trouble> {
        if part.first {
            self.parts = Some(BTreeMap::new());
        }
        let Some(parts) = &mut self.parts else {
            return Err(Trouble::Elsewhere(
                "a snapshot began in the middle".to_owned(),
            ));
        };
        for wire in part
            .records
            .into_iter()
            .filter(|record| record.kind.is_some())
        {
            let record = Record::try_from(wire)?;
            parts.insert(record.key(), record);
        }
        for wire in part.gone.into_iter().filter(|key| key.kind.is_some()) {
            parts.remove(&Key::try_from(wire)?);
        }
        if !part.last {
            return Ok(None);
        }
        if let Some(seen) = self.seen.filter(|seen| revision < *seen) {
            let why = format!("the server is at revision {revision}, {seen} was seen already");
            return Err(Trouble::Elsewhere(why));
        }
        let records = self
            .parts
            .take()
            .unwrap_or_default()
            .into_values()
            .collect();
        self.seen = Some(revision);
        self.needs_snapshot = false;
        Ok(Some(WatchEvent::Snapshot { revision, records }))
    }

    fn changes(
        &mut self,
        revision: Revision,
        changes: v1::watch_response::Changes,
    ) -> Result<Option<WatchEvent>, Trouble> {
        let seen = self.seen.filter(|_| !self.needs_snapshot);
        let Some(seen) = seen else {
            return Err(Trouble::Elsewhere(
                "changes came before the snapshot".to_owned(),
            ));
        };
        if revision <= seen {
            return Ok(None);
        }
        let wanted = |event: &v1::watch_response::Event| {
            event.key.as_ref().is_none_or(|key| key.kind.is_some())
                && event
                    .after
                    .as_ref()
                    .is_none_or(|after| after.kind.is_some())
        };
        for event in changes.events.into_iter().filter(wanted) {
            self.portions.push(Event::try_from(event)?);
        }
        if changes.more {
            return Ok(None);
        }
        let events = std::mem::take(&mut self.portions);
        self.seen = Some(revision);
        Ok(Some(WatchEvent::Changes { revision, events }))
    }

    fn progress(&mut self, revision: Revision, age: Millis) -> Option<WatchEvent> {
        let seen = self.seen.filter(|_| !self.needs_snapshot)?;
        let revision = seen.max(revision);
        self.seen = Some(revision);
        Some(WatchEvent::Progress { revision, age })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::NodeId;

    fn message(revision: u64, kind: Option<Kind>) -> v1::WatchResponse {
        let header = v1::Header {
            revision,
            age_ms: 0,
            server: 1,
        };
        v1::WatchResponse {
            header: Some(header),
            kind,
        }
    }

    fn settings(modified: u64) -> v1::Record {
        let settings = v1::Settings {
            modified,
            ..v1::Settings::default()
        };
        v1::Record {
            kind: Some(v1::record::Kind::Settings(settings)),
        }
    }

    fn snapshot(revision: u64, first: bool, last: bool) -> v1::WatchResponse {
        let records = vec![settings(revision), v1::Record { kind: None }];
        let part = v1::watch_response::Snapshot {
            records,
            first,
            last,
            gone: vec![],
        };
        message(revision, Some(Kind::Snapshot(part)))
    }

    fn changes(revision: u64) -> v1::WatchResponse {
        portion(revision, 3, false)
    }

    fn portion(revision: u64, node: u64, more: bool) -> v1::WatchResponse {
        let key = Some(v1::Key {
            kind: Some(v1::key::Kind::Node(node)),
        });
        let gone = v1::watch_response::Event { key, after: None };
        let newer = v1::watch_response::Event {
            key: Some(v1::Key { kind: None }),
            after: None,
        };
        let changes = v1::watch_response::Changes {
            events: vec![gone, newer],
            more,
        };
        message(revision, Some(Kind::Changes(changes)))
    }

    fn progress(revision: u64) -> v1::WatchResponse {
        message(
            revision,
            Some(Kind::Progress(v1::watch_response::Progress {})),
        )
    }

    #[test]
    fn the_picture_never_goes_backwards() {
        let mut cursor = Cursor::default();
        assert!(matches!(
            cursor.take(changes(5)),
            Err(Trouble::Elsewhere(_))
        ));
        assert_eq!(cursor.take(progress(5)).unwrap(), None);
        assert_eq!(cursor.take(snapshot(7, true, false)).unwrap(), None);
        assert_eq!(cursor.resume_after(), None, "half a snapshot is no picture");
        let whole = cursor.take(snapshot(7, false, true)).unwrap();
        assert!(matches!(
            whole,
            Some(WatchEvent::Snapshot {
                revision: Revision(7),
                ..
            })
        ));
        assert_eq!(cursor.take(changes(7)).unwrap(), None, "seen already");
        let gone = Event {
            key: Key::Node(NodeId(3)),
            after: None,
        };
        let told = WatchEvent::Changes {
            revision: Revision(9),
            events: vec![gone],
        };
        assert_eq!(cursor.take(changes(9)).unwrap(), Some(told));
        let lagging = WatchEvent::Progress {
            revision: Revision(9),
            age: Millis(0),
        };
        assert_eq!(cursor.take(progress(8)).unwrap(), Some(lagging));
        assert!(matches!(
            cursor.take(snapshot(8, true, true)),
            Err(Trouble::Elsewhere(_))
        ));
        assert_eq!(cursor.resume_after(), Some(9));
    }

    #[test]
    fn after_compaction_nothing_but_a_snapshot_counts() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, true, true)).unwrap();
        let compacted = v1::watch_response::Compacted { oldest: 20 };
        let told = cursor
            .take(message(20, Some(Kind::Compacted(compacted))))
            .unwrap();
        assert_eq!(
            told,
            Some(WatchEvent::Compacted {
                oldest: Revision(20)
            })
        );
        assert_eq!(cursor.resume_after(), None);
        assert!(matches!(
            cursor.take(changes(30)),
            Err(Trouble::Elsewhere(_))
        ));
        assert_eq!(cursor.take(snapshot(31, true, false)).unwrap(), None);
        cursor.reconnected();
        assert!(matches!(
            cursor.take(snapshot(31, false, true)),
            Err(Trouble::Elsewhere(_))
        ));
        assert!(cursor.take(snapshot(31, true, true)).unwrap().is_some());
        assert_eq!(cursor.resume_after(), Some(31));
    }

    #[test]
    fn what_went_between_the_parts_of_a_snapshot_is_gone() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, true, false)).unwrap();
        let gone = vec![v1::Key {
            kind: Some(v1::key::Kind::Settings(true)),
        }];
        let last = v1::watch_response::Snapshot {
            records: vec![],
            first: false,
            last: true,
            gone,
        };
        let told = cursor.take(message(8, Some(Kind::Snapshot(last)))).unwrap();
        let empty = WatchEvent::Snapshot {
            revision: Revision(8),
            records: vec![],
        };
        assert_eq!(told, Some(empty));
    }

    #[test]
    fn portions_of_a_revision_are_told_as_one() {
        let mut cursor = Cursor::default();
        cursor.take(snapshot(7, true, true)).unwrap();
        assert_eq!(cursor.take(portion(9, 1, true)).unwrap(), None);
        assert_eq!(cursor.resume_after(), Some(7), "half a revision is none");
        cursor.reconnected();
        assert_eq!(cursor.take(portion(9, 1, true)).unwrap(), None);
        let gone = |id| Event {
            key: Key::Node(NodeId(id)),
            after: None,
        };
        let told = WatchEvent::Changes {
            revision: Revision(9),
            events: vec![gone(1), gone(2)],
        };
        assert_eq!(cursor.take(portion(9, 2, false)).unwrap(), Some(told));
        assert_eq!(cursor.resume_after(), Some(9));
    }
}
