//! A watch by the wire protocol: one connection, one stream, read message by message.

use std::time::Duration;

use prost::Message as _;
use tenure_core::{Event, Key, Record, Revision};
use tenure_proto::v1::{self, discovery_client::DiscoveryClient, watch_response::Kind};
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::picture::{Picture, Records};

/// How long a server may take to send something: it promises a sign of progress every second.
pub const MESSAGE_BOUND: Duration = Duration::from_secs(20);
/// What every gRPC client takes without being told to take more.
pub const MESSAGE_MAX: usize = 4 << 20;
/// So much may be on its way to a watcher that does not read: the smallest that the protocol has.
const WINDOW: u32 = 65_535;

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A part of a snapshot that is not complete yet.
    Part,
    /// The last part of a snapshot.
    Snapshot,
    /// Changes, with more of the same revision to come.
    More,
    /// Changes that are complete.
    Changes,
    /// Nothing changed.
    Progress,
    /// Something was missed.
    Compacted,
}

/// A watch of one server.
#[derive(Debug)]
pub struct RawWatch {
    stream: Streaming<v1::WatchResponse>,
    /// What it was told so far.
    pub picture: Picture,
    /// The length of the longest message, in bytes.
    pub longest: usize,
    /// Records that a snapshot took back because they were gone by then.
    pub gone: usize,
    parts: Option<Records>,
    portions: Option<(Revision, Vec<Event>)>,
}

impl RawWatch {
    /// Opens a watch of everything over a connection of its own. Without a picture it begins with a snapshot.
    ///
    /// # Errors
    /// Why it was not opened.
    pub async fn open(api: &str, picture: Option<Picture>) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{api}")).map_err(|e| e.to_string())?;
        let endpoint = endpoint
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect_timeout(MESSAGE_BOUND);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| format!("{api}: {error}"))?;
        let after_revision = picture.as_ref().map(|picture| picture.revision.0);
        let request = v1::WatchRequest {
            after_revision,
            ..v1::WatchRequest::default()
        };
        let mut discovery = DiscoveryClient::new(channel);
        let answer = discovery
            .watch(request)
            .await
            .map_err(|status| status.to_string())?;
        Ok(Self {
            stream: answer.into_inner(),
            picture: picture.unwrap_or_else(Picture::blank),
            longest: 0,
            gone: 0,
            parts: None,
            portions: None,
        })
    }

    /// Reads one message and checks it.
    ///
    /// # Errors
    /// What broke the rules, or that nothing came.
    pub async fn next(&mut self) -> Result<Seen, String> {
        let message = tokio::time::timeout(MESSAGE_BOUND, self.stream.message()).await;
        let message = message
            .map_err(|_| format!("nothing came within {MESSAGE_BOUND:?}"))?
            .map_err(|status| format!("the watch ended: {status}"))?
            .ok_or("the server ended the watch")?;
        let bytes = message.encoded_len();
        if bytes > MESSAGE_MAX {
            return Err(format!("a message has {bytes} bytes"));
        }
        self.longest = self.longest.max(bytes);
        let header = message.header.ok_or("a message without a header")?;
        self.take(
            Revision(header.revision),
            message.kind.ok_or("a message without content")?,
        )
    }

    /// Reads on until a message is one of those wanted.
    ///
    /// # Errors
    /// As for [`RawWatch::next`].
    pub async fn until(&mut self, wanted: &[Seen]) -> Result<Seen, String> {
        loop {
            let seen = self.next().await?;
            if wanted.contains(&seen) {
                return Ok(seen);
            }
        }
    }

    /// Reads on until the picture is that of a revision or a later one.
    ///
    /// # Errors
    /// As for [`RawWatch::next`].
    pub async fn reach(&mut self, revision: Revision) -> Result<(), String> {
        while self.picture.revision < revision {
            self.next().await?;
        }
        Ok(())
    }

    fn take(&mut self, revision: Revision, kind: Kind) -> Result<Seen, String> {
        match kind {
            Kind::Snapshot(part) => self.part(revision, part),
            Kind::Changes(changes) => self.changes(revision, changes),
            Kind::Progress(v1::watch_response::Progress {}) => {
                self.whole()?;
                self.picture.progress(revision)?;
                Ok(Seen::Progress)
            }
            Kind::Compacted(v1::watch_response::Compacted { oldest }) => {
                self.parts = None;
                self.portions = None;
                if oldest < self.picture.revision.0 {
                    return Err(format!(
                        "compacted up to {oldest} after {}",
                        self.picture.revision
                    ));
                }
                self.picture.compacted();
                Ok(Seen::Compacted)
            }
        }
    }

    fn whole(&self) -> Result<(), String> {
        match (&self.parts, &self.portions) {
            (None, None) => Ok(()),
            (Some(_), _) => Err("a snapshot was left incomplete".to_owned()),
            (None, Some(_)) => Err("changes were left incomplete".to_owned()),
        }
    }

    fn part(
        &mut self,
        revision: Revision,
        part: v1::watch_response::Snapshot,
    ) -> Result<Seen, String> {
        if part.first {
            self.whole()?;
            self.parts = Some(Records::new());
        }
        let parts = self
            .parts
            .as_mut()
            .ok_or("a snapshot began in the middle")?;
        for record in part.records {
            let record = Record::try_from(record).map_err(|error| error.to_string())?;
            parts.insert(record.key(), record);
        }
        for key in part.gone {
            let key = Key::try_from(key).map_err(|error| error.to_string())?;
            self.gone += usize::from(parts.remove(&key).is_some());
        }
        if !part.last {
            return Ok(Seen::Part);
        }
        let records = self.parts.take().unwrap_or_default();
        self.picture.snapshot(revision, records)?;
        Ok(Seen::Snapshot)
    }

    fn changes(
        &mut self,
        revision: Revision,
        changes: v1::watch_response::Changes,
    ) -> Result<Seen, String> {
        if self.parts.is_some() {
            return Err("changes came before the snapshot was complete".to_owned());
        }
        let (begun, mut events) = self.portions.take().unwrap_or((revision, vec![]));
        if begun != revision {
            return Err(format!(
                "more of revision {begun} was to come, not {revision}"
            ));
        }
        for event in changes.events {
            events.push(parsed(event)?);
        }
        if changes.more {
            self.portions = Some((revision, events));
            return Ok(Seen::More);
        }
        self.picture.changes(revision, events)?;
        Ok(Seen::Changes)
    }
}

fn parsed(wire: v1::watch_response::Event) -> Result<Event, String> {
    let key = Key::try_from(wire.key.ok_or("an event without a key")?)
        .map_err(|error| error.to_string())?;
    let after = wire
        .after
        .map(Record::try_from)
        .transpose()
        .map_err(|error| error.to_string())?;
    Ok(Event { key, after })
}
