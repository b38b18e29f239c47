//! What goes on beside the actions, and may take longer than one of them: the saving of a tail, and the
//! copying of all data. An action that waits for it may be cut short and repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::error::DriverError;
use super::tail::{Tail, Wanted, read};

/// What is being saved, or was.
#[derive(Debug, Default)]
pub(super) struct Saving {
    running: Option<Running>,
    done: Option<(Wanted, Tail)>,
}

#[derive(Debug)]
struct Running {
    wanted: Wanted,
    bytes: Arc<AtomicU64>,
    task: JoinHandle<Result<Tail, DriverError>>,
}

impl Saving {
    /// What was saved is of an earlier time.
    pub(super) fn forget(&mut self) {
        self.running = None;
        self.done = None;
    }

    /// The tail that is wanted, once it is saved. Begins to save it when nothing does yet.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] when it takes longer than `patience`: asking again goes on waiting.
    /// Otherwise why it failed; asking again begins anew.
    pub(super) async fn tail(
        &mut self,
        wanted: Wanted,
        patience: Duration,
    ) -> Result<Tail, DriverError> {
        if let Some((_, tail)) = self.done.as_ref().filter(|(done, _)| *done == wanted) {
            return Ok(tail.clone());
        }
        let fits = self.running.as_ref().is_some_and(|it| it.wanted == wanted);
        if !fits {
            let bytes = Arc::new(AtomicU64::new(0));
            let (what, done) = (wanted.clone(), Arc::clone(&bytes));
            self.running = Some(Running {
                wanted: wanted.clone(),
                bytes,
                task: tokio::task::spawn_blocking(move || read(&what, &done)),
            });
        }
        let Some(running) = self.running.as_mut() else {
            return Err(under_way(0));
        };
        let Ok(ended) = timeout(patience, &mut running.task).await else {
            return Err(under_way(running.bytes.load(Ordering::Relaxed)));
        };
        self.running = None;
        let tail = ended.map_err(|error| DriverError::Local {
            what: "cannot save the tail".to_owned(),
            why: error.to_string(),
        })??;
        self.done = Some((wanted, tail.clone()));
        Ok(tail)
    }
}

fn under_way(bytes: u64) -> DriverError {
    DriverError::UnderWay {
        what: format!("saving what nobody else has, {bytes} bytes looked at so far"),
    }
}
