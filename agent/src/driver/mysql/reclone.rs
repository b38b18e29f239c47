//! Has all data copied from the primary anew, beside the actions, and says how far that has got.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenure_core::Endpoint;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::copy::Job;
use super::dialect::Dialect;
use super::{DriverError, Mysql};

/// How long one call waits for the copy.
const PATIENCE: Duration = Duration::from_millis(500);
/// After a copy that failed, how long until the next is begun.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is done, and how far it has got.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) bytes: AtomicU64,
    /// How much there is about; 0 while nobody knows.
    pub(super) about: AtomicU64,
}

/// A copy that is being made.
#[derive(Debug)]
pub(super) struct Copying {
    from: Endpoint,
    since: Instant,
    progress: Arc<Progress>,
    task: JoinHandle<Result<(), DriverError>>,
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Copying {
    /// How far it has got, for people.
    fn said(&self) -> String {
        let bytes = self.progress.bytes.load(Ordering::Relaxed);
        let about = self.progress.about.load(Ordering::Relaxed);
        let elapsed = self.since.elapsed();
        let estimate = estimate(bytes, about, elapsed);
        format!(
            "copying all data of {}: {bytes} bytes in {} s{estimate}",
            self.from,
            elapsed.as_secs()
        )
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.task.is_finished()
    }
}

/// How much is left, as far as it can be told.
fn estimate(bytes: u64, about: u64, elapsed: Duration) -> String {
    let left = about.saturating_sub(bytes);
    if about == 0 || bytes == 0 {
        return String::new();
    }
    let per_byte = elapsed.as_secs_f64() / bytes as f64;
    let seconds = (left as f64 * per_byte).ceil();
    format!(" of about {about}, about {seconds} s left")
}

impl Mysql {
    /// Has all data copied, which takes longer than a call: what it comes to is an error until the instance
    /// is another store. `saved` says what was saved before.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] while it is copied; held where nobody has said how.
    pub(super) async fn copied_anew(
        &mut self,
        dialect: Dialect,
        primary: &Endpoint,
        saved: &str,
    ) -> Result<(), DriverError> {
        if self.copying.is_none() {
            if self.copy_after.is_some_and(|at| Instant::now() < at) {
                return Err(DriverError::UnderWay {
                    what: format!("{saved}; the latest copy failed: {}", self.copy_failed),
                });
            }
            let beyond = self
                .beyond
                .as_ref()
                .filter(|(endpoint, _)| endpoint == primary);
            let job = Job {
                settings: Arc::clone(&self.settings),
                dialect,
                dial: self.dial.clone(),
                primary: primary.clone(),
                beside: beyond.is_some_and(|(_, line)| line.process.is_some()),
                datadir: PathBuf::from(&self.last.datadir),
                service: self.service.to_string(),
                progress: Arc::default(),
            };
            if let Some(why) = job.impossible() {
                return Err(DriverError::Held(format!("{saved}; {why}")));
            }
            self.copying = Some(Copying {
                from: primary.clone(),
                since: Instant::now(),
                progress: Arc::clone(&job.progress),
                task: tokio::spawn(job.run()),
            });
        }
        self.copy_goes_on(PATIENCE).await?;
        // The instance was stopped, and comes up as another one.
        Err(DriverError::UnderWay {
            what: format!("{saved}; all data is copied, and the instance starts"),
        })
    }

    /// Waits for a copy that is being made. Nothing, when there is none.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] while it goes on; why it failed.
    pub(super) async fn copy_goes_on(&mut self, patience: Duration) -> Result<(), DriverError> {
        let Some(copying) = self.copying.as_mut() else {
            return Ok(());
        };
        let Ok(ended) = timeout(patience, &mut copying.task).await else {
            return Err(DriverError::UnderWay {
                what: copying.said(),
            });
        };
        self.copying = None;
        let ended = ended.unwrap_or_else(|error| {
            Err(DriverError::Local {
                what: "cannot copy the data".to_owned(),
                why: error.to_string(),
            })
        });
        match ended {
            Ok(()) => {
                self.is_another_store();
                Ok(())
            }
            Err(error) => {
                self.copy_failed = error.to_string();
                self.copy_after = Some(Instant::now() + AGAIN_AFTER);
                Err(error)
            }
        }
    }

    pub(super) fn copy_told(&self) -> Option<String> {
        self.copying.as_ref().map(Copying::said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_given_when_there_is_one() {
        let elapsed = Duration::from_secs(2);
        assert_eq!(estimate(10, 40, elapsed), " of about 40, about 6 s left");
        assert_eq!(estimate(0, 40, elapsed), "");
        assert_eq!(estimate(50, 40, elapsed), " of about 40, about 0 s left");
    }
}
