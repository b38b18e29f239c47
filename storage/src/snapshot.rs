//! Snapshots on their way from one server's image to another's, in chunks of bounded size.
//!
//! ```text
//! chunk  u8 version, u8 kind, u32 number, u32 crc32c of what is before it and of the body; body
//! kinds  meta (always the first), rows, end (always the last, empty)
//! ```
//!
//! The meta says how many parts of rows follow and the sum of their checksums, so that a snapshot
//! with a chunk lost, twice or out of order is refused.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

use crate::format::{FormatError, Meta};
use crate::image::{Entries, Image, ImageError, Pin, Stage, Tally, push};
use crate::types::SnapshotMeta;
use crate::work;

mod chunk;

use chunk::{Chunk, Kind};

/// Bytes of rows in one chunk, about.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that are read before they are asked for.
const CHUNKS_AHEAD: usize = 2;

/// Why a snapshot was not sent or received. Whether another transfer may succeed is said with each.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The image failed. Another transfer helps only after [`ImageError::Superseded`].
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A chunk is not what should follow. Another transfer may succeed.
    #[error("chunk {number} of the snapshot cannot be used: {what}")]
    Chunk {
        /// Which chunk, counted from 0.
        number: u32,
        /// What is wrong with it.
        what: String,
    },
    /// The meta in a snapshot cannot be read. Another transfer does not help.
    #[error("the meta of the snapshot cannot be used: {0}")]
    Meta(#[from] FormatError),
    /// The snapshot ended too early. Another transfer may succeed.
    #[error("the snapshot ended after {chunks} chunks, before its end")]
    Incomplete {
        /// How many chunks there were.
        chunks: u32,
    },
    /// The snapshot is not the one that was announced. Another transfer may succeed.
    #[error("the snapshot stands at {found:?}, announced was {announced:?}")]
    OtherThanAnnounced {
        /// What the snapshot says of itself.
        found: Box<SnapshotMeta>,
        /// What was announced.
        announced: Box<SnapshotMeta>,
    },
    /// The thread that did the work ended early.
    #[error("the work on the snapshot was ended: {0}")]
    Ended(String),
}

impl From<JoinError> for SnapshotError {
    fn from(error: JoinError) -> Self {
        Self::Ended(error.to_string())
    }
}

impl From<SnapshotError> for std::io::Error {
    fn from(error: SnapshotError) -> Self {
        std::io::Error::other(error)
    }
}

/// A snapshot that can be sent or installed.
#[derive(Debug)]
pub enum SnapshotData {
    /// The image of this server at a checkpoint.
    Image(ImageSnapshot),
    /// One that was received, whole, and is not in use yet. Dropping it abandons it.
    Received(Received),
}

impl SnapshotData {
    /// The chunks to send, to be read once and in order. While the stream lives, the image stays as
    /// it is: checkpoints wait, and what changes meanwhile is held in memory. Drop it to give up.
    ///
    /// Must be called inside a tokio runtime.
    pub fn chunks(
        self,
    ) -> impl Stream<Item = Result<Bytes, SnapshotError>> + Send + Unpin + 'static {
        if work::is_at_once() {
            let mut all = Vec::new();
            self.send(|chunk| {
                all.push(chunk);
                true
            });
            return stream::iter(all).boxed();
        }
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        spawn_blocking(move || self.send(|chunk| sender.blocking_send(chunk).is_ok()));
        let next = |mut receiver: mpsc::Receiver<_>| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        };
        stream::unfold(receiver, next).boxed()
    }

    /// Hands all chunks to `accept` until that returns false, and the error that ended them, if one did.
    fn send(self, mut accept: impl FnMut(Result<Bytes, SnapshotError>) -> bool) {
        let sent = match self {
            Self::Image(snapshot) => snapshot.send(|chunk| accept(Ok(chunk))),
            Self::Received(_) => Err(SnapshotError::Ended(
                "a snapshot is installed before it is sent on".to_owned(),
            )),
        };
        if let Err(error) = sent {
            // Whoever stopped reading does not want to know.
            accept(Err(error));
        }
    }
}

/// The image of this server at a checkpoint.
#[derive(Debug)]
pub struct ImageSnapshot {
    image: Arc<Image>,
    meta: Meta,
    pin: Option<Pin>,
}

impl ImageSnapshot {
    pub(crate) fn new(image: &Arc<Image>, meta: Meta) -> Self {
        Self {
            image: image.clone(),
            meta,
            pin: None,
        }
    }

    /// The image's present checkpoint, frozen unless a newer one is being written at this moment;
    /// then the newer one supersedes it. `None` before the first.
    pub(crate) fn current(image: &Arc<Image>) -> Option<Self> {
        let pin = image.try_pin();
        let meta = image.meta()?;
        Some(Self {
            image: image.clone(),
            meta,
            pin,
        })
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Hands all chunks to `accept` until that returns false.
    fn send(self, mut accept: impl FnMut(Bytes) -> bool) -> Result<(), SnapshotError> {
        let _pin = self.pin.unwrap_or_else(|| self.image.pin());
        let current = self.image.meta().map_or(0, |meta| meta.checkpoint);
        if current != self.meta.checkpoint {
            return Err(ImageError::Superseded {
                asked: self.meta.checkpoint,
                current,
            }
            .into());
        }
        let mut number = 0;
        let mut chunk = |kind, body: &[u8]| {
            let bytes = chunk::encode(kind, number, body);
            number += 1;
            accept(bytes)
        };
        if !chunk(Kind::Meta, &self.meta.encode()) {
            return Ok(());
        }
        let mut body = Vec::with_capacity(CHUNK_BYTES);
        let mut tally = Tally::default();
        for part in self.image.parts(&self.meta)? {
            let (key, value, crc) = part?;
            tally.add(crc);
            push(&mut body, &key, Some(&value));
            if body.len() >= CHUNK_BYTES {
                if !chunk(Kind::Rows, &body) {
                    return Ok(());
                }
                body.clear();
            }
        }
        self.image.check(&self.meta, tally)?;
        if body.is_empty() || chunk(Kind::Rows, &body) {
            chunk(Kind::End, &[]);
        }
        Ok(())
    }
}

/// A snapshot that was received whole.
#[derive(Debug)]
pub struct Received {
    pub(crate) stage: Stage,
    pub(crate) meta: Meta,
}

impl Received {
    /// What the snapshot says of itself.
    #[must_use]
    pub fn meta(&self) -> SnapshotMeta {
        self.meta.snapshot()
    }
}

/// Where snapshots from other servers go.
#[derive(Debug, Clone)]
pub struct SnapshotInbox {
    image: Arc<Image>,
}

impl SnapshotInbox {
    pub(crate) fn new(image: &Arc<Image>) -> Self {
        Self {
            image: image.clone(),
        }
    }

    /// Begins to receive a snapshot. Several may be received at a time; each has its own place.
    #[must_use]
    pub fn begin(&self) -> SnapshotReceiver {
        SnapshotReceiver {
            incoming: Some(Incoming::new(&self.image)),
        }
    }
}

/// Takes the chunks of one snapshot. Dropping it abandons what was received.
#[derive(Debug)]
pub struct SnapshotReceiver {
    /// Absent while a chunk is being written, and after that failed.
    incoming: Option<Incoming>,
}

impl SnapshotReceiver {
    /// Takes the next chunk. At most one chunk is in memory.
    ///
    /// # Errors
    /// After any error the receiver is of no use; see [`SnapshotError`] for whether to try anew.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), SnapshotError> {
        let mut incoming = self.take()?;
        let written = work::beside(move || incoming.take(&chunk).map(|()| incoming));
        self.incoming = Some(written.await??);
        Ok(())
    }

    /// Ends the transfer: the snapshot was received whole, and can be installed.
    ///
    /// # Errors
    /// [`SnapshotError`] when a part of it is missing; begin anew.
    pub async fn finish(mut self) -> Result<SnapshotData, SnapshotError> {
        let incoming = self.take()?;
        let received = work::beside(move || incoming.finish()).await??;
        Ok(SnapshotData::Received(received))
    }

    fn take(&mut self) -> Result<Incoming, SnapshotError> {
        self.incoming
            .take()
            .ok_or_else(|| SnapshotError::Ended("a chunk was refused before".to_owned()))
    }
}

#[derive(Debug)]
struct Incoming {
    stage: Stage,
    meta: Option<Meta>,
    next: u32,
    ended: bool,
}

impl Incoming {
    fn new(image: &Arc<Image>) -> Self {
        Self {
            stage: image.stage(),
            meta: None,
            next: 0,
            ended: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let number = self.next;
        let refused = |what: String| SnapshotError::Chunk { number, what };
        let chunk = chunk::decode(bytes).map_err(refused)?;
        if chunk.number != number {
            return Err(refused(format!(
                "it says that it is chunk {}",
                chunk.number
            )));
        }
        self.next += 1;
        match (chunk.kind, self.meta.is_some(), self.ended) {
            (Kind::Meta, false, false) => self.meta = Some(Meta::decode(chunk.body)?),
            (Kind::Rows, true, false) => self.take_rows(&chunk)?,
            (Kind::End, true, false) if chunk.body.is_empty() => self.ended = true,
            (Kind::Meta | Kind::Rows | Kind::End, _, _) => {
                return Err(refused(format!("{:?} does not belong here", chunk.kind)));
            }
        }
        Ok(())
    }

    fn take_rows(&mut self, chunk: &Chunk<'_>) -> Result<(), SnapshotError> {
        let refused = |what: String| SnapshotError::Chunk {
            number: chunk.number,
            what,
        };
        for entry in Entries(chunk.body) {
            let (key, value) = entry.map_err(refused)?;
            let value = value.ok_or_else(|| refused("it deletes a row".to_owned()))?;
            self.stage.put(key, value)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Received, SnapshotError> {
        let chunks = self.next;
        let meta = self.meta.filter(|_| self.ended);
        let meta = meta.ok_or(SnapshotError::Incomplete { chunks })?;
        self.stage.check(&meta)?;
        Ok(Received {
            stage: self.stage,
            meta,
        })
    }
}

/// Makes a received snapshot out of any, for installing it in `image`. Blocks the thread.
pub(crate) fn receive(
    image: &Arc<Image>,
    snapshot: SnapshotData,
) -> Result<Received, SnapshotError> {
    match snapshot {
        SnapshotData::Received(received) => Ok(received),
        SnapshotData::Image(snapshot) => {
            let mut incoming = Incoming::new(image);
            let mut taken = Ok(());
            snapshot.send(|chunk| {
                taken = incoming.take(&chunk);
                taken.is_ok()
            })?;
            taken?;
            incoming.finish()
        }
    }
}
