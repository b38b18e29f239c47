//! Cutting many records into messages of bounded size.

use std::{iter::Peekable, vec};

use prost::Message;
use tenure_core::{Event, Key, Record, Revision};
use tenure_proto::v1::{
    self,
    watch_response::{Changes, Kind, Snapshot},
};

/// Encoded size at which a message is full. One record has some 10 KiB at the most, and clients
/// refuse messages of more than 4 MiB.
pub(super) const MESSAGE_BYTES: usize = 256 << 10;

/// What the messages of a portion are.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// A part of a snapshot: its first, its last.
    Snapshot { first: bool, last: bool },
    /// Changes.
    Changes,
}

/// Records on their way to a watcher, up to a revision.
pub(super) struct Portion {
    purpose: Purpose,
    revision: Revision,
    rest: Peekable<vec::IntoIter<(Key, Option<Record>)>>,
}

impl Portion {
    pub(super) fn new(
        purpose: Purpose,
        revision: Revision,
        records: Vec<(Key, Option<Record>)>,
    ) -> Self {
        Self {
            purpose,
            revision,
            rest: records.into_iter().peekable(),
        }
    }

    /// The next message (an empty one for an empty portion), and whether it was the last one.
    pub(super) fn next_message(&mut self) -> (Revision, Kind, bool) {
        let (kind, finished) = match &mut self.purpose {
            Purpose::Changes => {
                let events = fill(&mut self.rest, |(key, after)| {
                    v1::watch_response::Event::try_from(&Event { key, after }).ok()
                });
                let more = self.rest.peek().is_some();
                (Kind::Changes(Changes { events, more }), !more)
            }
            Purpose::Snapshot { first, last } => {
                let mut gone = Vec::new();
                let records = fill(&mut self.rest, |(key, after)| match after {
                    Some(record) => v1::Record::try_from(&record).ok(),
                    None => {
                        gone.extend(v1::Key::try_from(&key));
                        None
                    }
                });
                let finished = self.rest.peek().is_none();
                let part = Snapshot {
                    records,
                    first: *first,
                    last: *last && finished,
                    gone,
                };
                *first = false;
                (Kind::Snapshot(part), finished)
            }
        };
        (self.revision, kind, finished)
    }
}

/// Converts items until their encoded size fills a message.
pub(super) fn fill<T, M: Message>(
    items: &mut impl Iterator<Item = T>,
    mut convert: impl FnMut(T) -> Option<M>,
) -> Vec<M> {
    let mut bytes = 0;
    let mut message = Vec::new();
    while bytes < MESSAGE_BYTES
        && let Some(item) = items.next()
    {
        if let Some(converted) = convert(item) {
            bytes += converted.encoded_len();
            message.push(converted);
        }
    }
    message
}
