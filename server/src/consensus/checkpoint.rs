//! Checkpoints on demand.

use openraft::async_runtime::watch::WatchReceiver;
use tenure_core::LogIndex;

use super::{Consensus, fatal, group};

/// How long a checkpoint on demand may take: it writes what has changed, at most the whole state.
const CHECKPOINT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Writes a checkpoint and waits until it reaches what was applied when this was called.
pub(super) async fn write(consensus: &Consensus) -> Result<LogIndex, String> {
    let raft = consensus.raft();
    let applied = group::status(raft).applied;
    if applied == 0 {
        return Err("nothing was applied yet".into());
    }
    raft.trigger()
        .snapshot()
        .await
        .map_err(|error| fatal(&error))?;
    let mut metrics = raft.data_metrics();
    let reached = async {
        loop {
            let snapshot = metrics
                .borrow_and_update()
                .snapshot
                .map_or(0, |id| id.index);
            if snapshot >= applied {
                return Ok(LogIndex(snapshot));
            }
            // The core takes no request for a checkpoint while it writes one.
            let changed = tokio::time::timeout(AGAIN_AFTER, metrics.changed()).await;
            match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err("consensus has stopped on this server".to_owned()),
                Err(_) => raft
                    .trigger()
                    .snapshot()
                    .await
                    .map_err(|error| fatal(&error))?,
            }
        }
    };
    tokio::time::timeout(CHECKPOINT_TIMEOUT, reached)
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "the checkpoint took longer than {} s; it goes on",
                CHECKPOINT_TIMEOUT.as_secs()
            ))
        })
}

/// When nothing has changed for so long, the checkpoint is asked for again.
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
