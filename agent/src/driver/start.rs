//! Starts an instance that is not there, where an operator has said how.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::run::{Errand, run};

const PAUSE_LEAST: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(30);
const OUTPUT_MAX: usize = 64 * 1024;

/// The start program, run again with growing pauses while the instance stays away.
#[derive(Debug)]
pub(super) struct Starter {
    argv: Option<Vec<String>>,
    within: Duration,
    running: Option<JoinHandle<Result<(), String>>>,
    not_before: Instant,
    pause: Duration,
    failed: Option<String>,
}

impl Drop for Starter {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

impl Starter {
    pub(super) fn new(argv: Option<Vec<String>>, within: Duration) -> Self {
        Self {
            argv,
            within,
            running: None,
            not_before: Instant::now(),
            pause: PAUSE_LEAST,
            failed: None,
        }
    }

    /// The instance answers.
    pub(super) fn is_up(&mut self) {
        self.pause = PAUSE_LEAST;
        self.failed = None;
    }

    /// The instance is not there. Whether it was just started.
    pub(super) async fn is_down(&mut self) -> bool {
        if let Some(running) = self.running.take_if(|running| running.is_finished()) {
            self.failed = match running.await {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(error) => Some(error.to_string()),
            };
        }
        let Some(argv) = self.argv.clone() else {
            return false;
        };
        if self.running.is_some() || Instant::now() < self.not_before {
            return false;
        }
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MOST);
        self.running = Some(tokio::spawn(start(argv, self.within)));
        true
    }

    /// Why the latest start failed.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }
}

async fn start(argv: Vec<String>, within: Duration) -> Result<(), String> {
    let ran = run(Errand {
        argv: &argv,
        verb: None,
        environment: &[],
        within,
        output_max: OUTPUT_MAX,
    });
    let ran = ran.await.map_err(|error| error.to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    Err(format!("{:?}: {}: {}", argv, ran.status, ran.complaint))
}
