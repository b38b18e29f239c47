//! Writes to a key of its own, again and again, and says for how long that has made no progress.
//!
//! It has its own connection and its own task, so that a write that hangs holds nothing else up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tenure_core::{Epoch, Millis, ServiceName};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::error::millis;
use super::answer::refusal;
use super::line::{Dial, Line};

/// After how long a write that is not answered is given up and tried on another connection. It goes on
/// counting as no progress.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// Every probe key begins so.
pub(super) const KEY_PREFIX: &str = "tenure:probe:";

/// What the latest writes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Written,
    /// Refused for a reason that says nothing about whether the store works.
    HeldBack(String),
    /// No progress, and why.
    Stuck(String),
}

#[derive(Debug)]
struct Progress {
    /// When a write last made progress, or writing began.
    since: Instant,
    outcome: Outcome,
    /// When the write that is under way was sent.
    sent: Option<Instant>,
}

impl Progress {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            outcome: Outcome::Written,
            sent: None,
        }
    }
}

/// What the probe says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    /// For how long no write has made progress.
    pub(super) stalled: Millis,
    /// Why, or why writes are held back.
    pub(super) why: Option<String>,
}

/// The probe, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Probe {
    writing: JoinHandle<()>,
    mode: watch::Sender<Option<Epoch>>,
    progress: Arc<Mutex<Progress>>,
    every: Duration,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

impl Probe {
    /// A probe that rests.
    pub(super) fn start(dial: Dial, service: &ServiceName, every: Duration) -> Self {
        let (mode, wanted) = watch::channel(None);
        let progress = Arc::new(Mutex::new(Progress::begin()));
        let writer = Writer {
            dial,
            key: format!("{KEY_PREFIX}{service}"),
            every,
            wanted,
            progress: Arc::clone(&progress),
            line: None,
            count: 0,
        };
        Self {
            writing: tokio::spawn(writer.run()),
            mode,
            progress,
            every,
        }
    }

    /// Writes by this epoch from now on, or rests.
    pub(super) fn turn(&self, epoch: Option<Epoch>) {
        self.mode.send_if_modified(|mode| {
            if *mode == epoch {
                return false;
            }
            if mode.is_none() {
                self.forgive();
            }
            *mode = epoch;
            true
        });
    }

    /// What was held back until now on purpose is not counted.
    pub(super) fn forgive(&self) {
        let mut progress = lock(&self.progress);
        let sent = progress.sent.map(|_| Instant::now());
        *progress = Progress {
            sent,
            ..Progress::begin()
        };
    }

    /// What is known now.
    pub(super) fn verdict(&self) -> Verdict {
        if self.mode.borrow().is_none() {
            return Verdict::default();
        }
        let progress = lock(&self.progress);
        let stalled = millis(progress.since.elapsed());
        let waited = progress.sent.map_or(Duration::ZERO, |sent| sent.elapsed());
        match &progress.outcome {
            Outcome::Stuck(why) => Verdict {
                stalled,
                why: Some(why.clone()),
            },
            Outcome::Written | Outcome::HeldBack(_) if waited > self.every => Verdict {
                stalled,
                why: Some("a write is not answered".to_owned()),
            },
            Outcome::HeldBack(why) => Verdict {
                stalled: Millis(0),
                why: Some(why.clone()),
            },
            Outcome::Written => Verdict::default(),
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    dial: Dial,
    key: String,
    every: Duration,
    wanted: watch::Receiver<Option<Epoch>>,
    progress: Arc<Mutex<Progress>>,
    line: Option<Line>,
    count: u64,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let wanted = *self.wanted.borrow_and_update();
            let Some(epoch) = wanted else {
                self.line = None;
                if self.wanted.changed().await.is_err() {
                    return;
                }
                continue;
            };
            self.count = self.count.wrapping_add(1);
            let due = Instant::now() + self.every;
            let mut wanted = self.wanted.clone();
            tokio::select! {
                () = self.write(epoch) => {}
                changed = wanted.changed() => {
                    lock(&self.progress).sent = None;
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
            }
            sleep(due.saturating_duration_since(Instant::now())).await;
        }
    }

    /// One write. When it is cancelled its connection is dropped with it.
    async fn write(&mut self, epoch: Epoch) {
        lock(&self.progress).sent = Some(Instant::now());
        let outcome = match self.line.take().filter(|line| !line.is_closed()) {
            Some(line) => self.write_on(line, epoch).await,
            None => match self.dial.line().await {
                Ok(line) => self.write_on(line, epoch).await,
                Err(trouble) => Outcome::Stuck(format!("a write cannot be sent: {trouble}")),
            },
        };
        let mut progress = lock(&self.progress);
        progress.sent = None;
        if !matches!(outcome, Outcome::Stuck(_)) {
            progress.since = Instant::now();
        }
        progress.outcome = outcome;
    }

    async fn write_on(&mut self, mut line: Line, epoch: Epoch) -> Outcome {
        let mut pipe = redis::Pipeline::new();
        let value = format!("{epoch}:{}", self.count);
        pipe.cmd("SET").arg(&self.key).arg(value);
        match line.ask(&pipe, GIVEN_UP_AFTER).await {
            Ok(answers) => {
                self.line = Some(line);
                judge(answers.first())
            }
            Err(trouble) => Outcome::Stuck(format!("a write is not answered: {trouble}")),
        }
    }
}

/// What an answer to the write means. Stuck is what another instance could do better; a limit that is
/// set alike everywhere, or a lack of permission, is not.
fn judge(answer: Option<&Value>) -> Outcome {
    let Some(Value::ServerError(error)) = answer else {
        return Outcome::Written;
    };
    let said = refusal(error);
    match error.code() {
        "NOREPLICAS" => Outcome::HeldBack(format!("too few replicas acknowledge: {said}")),
        "READONLY" | "LOADING" => Outcome::HeldBack(said),
        "MISCONF" => Outcome::Stuck(format!("writes are refused, its disk fails it: {said}")),
        "BUSY" => Outcome::Stuck(format!("a script keeps it from everything else: {said}")),
        _ => Outcome::HeldBack(format!("the probe's write is refused: {said}")),
    }
}
