//! Snapshots in chunks, as a call of their own on the connection of a link, so that they hold up
//! neither appends nor heartbeats. At most a few chunks are in memory on either side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use openraft::raft::SnapshotResponse;
use tenure_proto::raft as pb;
use tenure_proto::raft::snapshot_chunk::{Body, Start};
use tenure_storage::snapshot::{SnapshotData, SnapshotInbox};
use tenure_storage::types::{TypeConfig, Vote};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::link::{Link, LinkError};
use super::{Raft, wire};

pub(super) type Data = SnapshotData;
pub(super) type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, Data>;

/// Sends a snapshot. Fails when for `patience` no chunk was taken and no answer came.
pub(super) async fn send(
    link: &Arc<Link>,
    vote: Vote,
    snapshot: Snapshot,
    patience: Duration,
) -> Result<SnapshotResponse<TypeConfig>, LinkError> {
    let connection = link.connection().await?;
    let (last_log, membership_log, membership) = wire::snapshot_meta_to_wire(&snapshot.meta);
    let start = Start {
        identity: Some(link.identity()?),
        vote: Some(wire::vote_to_wire(&vote)),
        last_log,
        membership_log,
        membership: Some(membership),
    };
    let (taken, mut progress) = watch::channel(0_u64);
    let failed = Arc::new(AtomicBool::new(false));
    let chunks = messages(start, snapshot.snapshot.chunks(), taken, failed.clone());
    let mut client = connection.client();
    let mut answer = std::pin::pin!(client.install_snapshot(chunks));
    let response = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            moved = timeout(patience, progress.changed()) => match moved {
                Ok(Ok(())) => {}
                // Everything was sent: what is left is the answer.
                Ok(Err(_)) => match timeout(patience, &mut answer).await {
                    Ok(answer) => break answer,
                    Err(_) => return Err(LinkError::TimedOut(patience)),
                },
                Err(_) => return Err(LinkError::TimedOut(patience)),
            },
        }
    };
    if failed.load(Ordering::Relaxed) {
        return Err(LinkError::Failed("the snapshot could not be read".into()));
    }
    let response = response.map_err(|status| LinkError::Failed(status.message().to_owned()))?;
    let vote = wire::vote(response.into_inner().vote)
        .map_err(|error| LinkError::Failed(error.to_string()))?;
    Ok(SnapshotResponse::new(vote))
}

/// The messages of a transfer. Ends early, and says so in `failed`, when a chunk cannot be read.
fn messages(
    start: Start,
    chunks: impl Stream<Item = Result<Bytes, tenure_storage::snapshot::SnapshotError>> + Send + 'static,
    taken: watch::Sender<u64>,
    failed: Arc<AtomicBool>,
) -> impl Stream<Item = pb::SnapshotChunk> + Send + 'static {
    let first = stream::once(async move { Body::Start(start) });
    let rest = tokio_stream::StreamExt::map_while(chunks, move |chunk| match chunk {
        Ok(bytes) => {
            taken.send_modify(|count| *count += 1);
            Some(Body::Data(bytes))
        }
        Err(error) => {
            tracing::warn!(%error, "a snapshot could not be sent");
            failed.store(true, Ordering::Relaxed);
            None
        }
    });
    first
        .chain(rest)
        .map(|body| pb::SnapshotChunk { body: Some(body) })
}

/// Takes the first message, which says what is to come.
pub(super) async fn start(chunks: &mut Streaming<pb::SnapshotChunk>) -> Result<Start, Status> {
    match chunks.message().await?.and_then(|first| first.body) {
        Some(Body::Start(start)) => Ok(start),
        Some(Body::Data(_)) | None => Err(Status::invalid_argument(
            "a snapshot begins with its description",
        )),
    }
}

/// Takes the chunks in and installs the snapshot.
pub(super) async fn receive(
    raft: &Raft,
    inbox: &SnapshotInbox,
    start: Start,
    mut chunks: Streaming<pb::SnapshotChunk>,
) -> Result<pb::SnapshotResponse, Status> {
    let malformed = |error: wire::Malformed| Status::invalid_argument(error.to_string());
    let meta = wire::snapshot_meta(&start).map_err(malformed)?;
    let vote = wire::vote(start.vote).map_err(malformed)?;
    let mut receiver = inbox.begin();
    while let Some(message) = timeout(CHUNK_TIMEOUT, chunks.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the next chunk did not come"))??
    {
        match message.body {
            Some(Body::Data(bytes)) => receiver.write(bytes).await.map_err(unusable)?,
            Some(Body::Start(_)) | None => {
                return Err(Status::invalid_argument("a chunk without data"));
            }
        }
    }
    let snapshot = receiver.finish().await.map_err(unusable)?;
    let response = raft
        .install_full_snapshot(vote, Snapshot { meta, snapshot })
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(pb::SnapshotResponse {
        vote: Some(wire::vote_to_wire(&response.vote)),
    })
}

/// How long the sender may take for the next chunk.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);

fn unusable(error: tenure_storage::snapshot::SnapshotError) -> Status {
    tracing::warn!(%error, "a snapshot could not be taken in");
    Status::data_loss(error.to_string())
}
