//! Proposals: whoever waits is taken along in the next batch, without lingering for more.

use std::time::Duration;

use futures::StreamExt;
use tenure_core::Outcome;
use tenure_storage::types::Payload;
use tokio::sync::{mpsc, oneshot};

use super::{fatal, write_error};
use crate::error::ProposeError;
use crate::raft::Raft;

/// How long a caller waits before it is told that the outcome is unknown.
pub(super) const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How many proposals go to the core in one message.
const BATCH_MAX: usize = 512;

/// A proposal and who waits for its outcome.
pub(super) struct Write {
    pub(super) payload: Payload,
    pub(super) answer: oneshot::Sender<Result<Outcome, ProposeError>>,
}

/// Hands proposals to the core until every sender is gone.
pub(super) async fn serve(mut proposed: mpsc::Receiver<Write>, raft: Raft) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while proposed.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (payloads, answers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|write| (write.payload, write.answer))
            .unzip();
        match raft.client_write_many(payloads).await {
            Ok(outcomes) => drop(tokio::spawn(deliver(outcomes, answers))),
            Err(error) => {
                let why = fatal(&error);
                for answer in answers {
                    // A caller that has gone away wants no answer.
                    let _gone = answer.send(Err(ProposeError::Fatal(why.clone())));
                }
            }
        }
    }
}

type Outcomes = futures::stream::BoxStream<
    'static,
    Result<
        openraft::raft::WriteResult<tenure_storage::types::TypeConfig>,
        openraft::errors::Fatal<tenure_storage::types::TypeConfig>,
    >,
>;

/// Outcomes come in the order of the batch. When consensus stops there is one error for all that are left.
async fn deliver(outcomes: Outcomes, answers: Vec<oneshot::Sender<Result<Outcome, ProposeError>>>) {
    // It must not be asked again once it has ended.
    let mut outcomes = outcomes.fuse();
    for answer in answers {
        let result = match outcomes.next().await {
            Some(Ok(Ok(done))) => Ok(done.response),
            Some(Ok(Err(error))) => Err(write_error(error)),
            Some(Err(error)) => Err(ProposeError::Unknown(fatal(&error))),
            None => Err(ProposeError::Unknown("consensus stopped".into())),
        };
        let _gone = answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn all_who_wait_are_answered_when_consensus_stops() {
        let stopped = stream::unfold(Some(()), |left| async move {
            left.map(|()| (Err(openraft::errors::Fatal::Stopped), None))
        });
        let (answers, waiting): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        deliver(stopped.boxed(), answers).await;
        for outcome in waiting {
            let outcome = outcome.await.expect("an answer");
            assert!(
                matches!(outcome, Err(ProposeError::Unknown(_))),
                "{outcome:?}"
            );
        }
    }
}
