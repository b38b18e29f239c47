//! Commits a write to a table of the agent's own, again and again, and says for how long that has made no
//! progress.
//!
//! It has its own connection, its own task, and an account of its own that may write nothing while the
//! instance is read-only: what a fence stops it stops too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{Epoch, Millis};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::error::millis;
use super::line::{Dial, Line, Trouble};

/// After how long a write that is not answered is given up and tried on another connection. It goes on
/// counting as no progress.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// What a commit waits for where replicas are attached and acknowledge nothing.
pub(super) const SILENT_REPLICAS: &str = "replicas that are attached";
/// For how long that is no standstill: they may be slow. After that another primary might do better, for there are
/// those who could take over.
const REPLICAS_MAY_TAKE: u64 = 10_000;

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
    /// On which connection.
    connection: Option<u32>,
    /// What it was last seen to wait for.
    waits: Option<String>,
}

impl Progress {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            outcome: Outcome::Written,
            sent: None,
            connection: None,
            waits: None,
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
    /// A probe that rests. `dial` logs in as the probe.
    pub(super) fn start(dial: Dial, every: Duration) -> Self {
        let (mode, wanted) = watch::channel(None);
        let progress = Arc::new(Mutex::new(Progress::begin()));
        let writer = Writer {
            dial,
            every,
            wanted,
            progress: Arc::clone(&progress),
            line: None,
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
        progress.since = Instant::now();
        progress.outcome = Outcome::Written;
        progress.sent = progress.sent.map(|_| Instant::now());
        progress.waits = None;
    }

    /// The connection on which a write has not been answered for a while: what it waits for is worth a
    /// look.
    pub(super) fn overdue(&self) -> Option<u32> {
        let progress = lock(&self.progress);
        let waited = progress.sent.map_or(Duration::ZERO, |sent| sent.elapsed());
        progress.connection.filter(|_| waited > self.every)
    }

    /// What the write on a connection was seen to wait for.
    pub(super) fn waits_for(&self, connection: u32, what: &str) {
        let mut progress = lock(&self.progress);
        if progress.connection == Some(connection) {
            progress.waits = Some(what.to_owned());
        }
    }

    /// What is known now.
    pub(super) fn verdict(&self) -> Verdict {
        if self.mode.borrow().is_none() {
            return Verdict::default();
        }
        let progress = lock(&self.progress);
        let stalled = millis(progress.since.elapsed());
        let waited = progress.sent.map_or(Duration::ZERO, |sent| sent.elapsed());
        let overdue = waited > self.every;
        match (&progress.outcome, &progress.waits) {
            (_, Some(what)) if overdue && what == SILENT_REPLICAS => Verdict {
                stalled: Millis(stalled.0.saturating_sub(REPLICAS_MAY_TAKE)),
                why: Some("commits wait: no replica that is attached acknowledges".to_owned()),
            },
            // Another primary would wait for the same replicas.
            (_, Some(what)) if overdue && is_for_replicas(what) => Verdict {
                stalled: Millis(0),
                why: Some("commits wait: no replica acknowledges".to_owned()),
            },
            (Outcome::Stuck(why), _) => Verdict {
                stalled,
                why: Some(why.clone()),
            },
            (Outcome::Written | Outcome::HeldBack(_), Some(what)) if overdue => Verdict {
                stalled,
                why: Some(format!("a commit is not answered: {what}")),
            },
            (Outcome::Written | Outcome::HeldBack(_), None) if overdue => Verdict {
                stalled,
                why: Some("a commit is not answered".to_owned()),
            },
            (Outcome::HeldBack(why), _) => Verdict {
                stalled: Millis(0),
                why: Some(why.clone()),
            },
            (Outcome::Written, _) => Verdict::default(),
        }
    }
}

/// Whether a thread's state is the wait for the acknowledgement of replicas.
fn is_for_replicas(state: &str) -> bool {
    state.to_lowercase().contains("semi-sync ack")
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    dial: Dial,
    every: Duration,
    wanted: watch::Receiver<Option<Epoch>>,
    progress: Arc<Mutex<Progress>>,
    line: Option<Line>,
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
            let due = Instant::now() + self.every;
            let mut wanted = self.wanted.clone();
            tokio::select! {
                () = self.write(epoch) => {}
                changed = wanted.changed() => {
                    let mut progress = lock(&self.progress);
                    progress.sent = None;
                    progress.connection = None;
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
        let outcome = match self.line.take() {
            Some(line) => self.write_on(line, epoch).await,
            None => match self.dial.line().await {
                Ok(line) => self.write_on(line, epoch).await,
                Err(trouble) => Outcome::Stuck(format!("a write cannot be sent: {trouble}")),
            },
        };
        let mut progress = lock(&self.progress);
        progress.sent = None;
        progress.connection = None;
        progress.waits = None;
        if !matches!(outcome, Outcome::Stuck(_)) {
            progress.since = Instant::now();
        }
        progress.outcome = outcome;
    }

    async fn write_on(&mut self, mut line: Line, epoch: Epoch) -> Outcome {
        lock(&self.progress).connection = Some(line.id());
        let text = format!(
            "INSERT INTO tenure.progress (id, epoch, written) VALUES (1, {epoch}, 1) \
             ON DUPLICATE KEY UPDATE epoch = {epoch}, written = written + 1"
        );
        match line.ask(&text, GIVEN_UP_AFTER).await {
            Ok(_) => {
                self.line = Some(line);
                Outcome::Written
            }
            Err(Trouble::Said { code, message }) => {
                self.line = Some(line);
                judge(code, &message)
            }
            // Its connection is ended whenever the instance is fenced; that is not its trouble.
            Err(Trouble::Unreachable(why)) if self.dial.line().await.is_ok() => {
                Outcome::HeldBack(format!("the probe's connection was ended: {why}"))
            }
            Err(trouble) => Outcome::Stuck(format!("a commit is not answered: {trouble}")),
        }
    }
}

/// What a refusal means. Stuck is what another instance could do better; a limit that is set alike
/// everywhere, or a lack of permission, is not.
fn judge(code: u16, message: &str) -> Outcome {
    match code {
        // The option --read-only, or MySQL's super_read_only.
        1290 | 1836 => Outcome::HeldBack("it is read-only".to_owned()),
        1205 => Outcome::Stuck(format!("a write waits for a lock: {message}")),
        // Full or failing disks, as either server or its engine says it.
        3 | 1021 | 1026 | 1030 | 1114 | 1180 | 1598 | 1950 => Outcome::Stuck(format!(
            "commits fail, its disk fails it: error {code}: {message}"
        )),
        _ => Outcome::HeldBack(format!(
            "the probe's write is refused: error {code}: {message}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_could_do_better_is_stuck() {
        for code in [3, 1021, 1114, 1205] {
            assert!(matches!(judge(code, "x"), Outcome::Stuck(_)), "{code}");
        }
        for code in [1045, 1142, 1290, 1836] {
            assert!(matches!(judge(code, "x"), Outcome::HeldBack(_)), "{code}");
        }
    }

    #[tokio::test]
    async fn to_wait_for_replicas_is_a_standstill_only_where_they_are_attached_and_that_takes_long()
    {
        let seconds = |many| {
            Instant::now()
                .checked_sub(Duration::from_secs(many))
                .unwrap()
        };
        let told = |waits: &str, since| {
            let (mode, _wanted) = watch::channel(Some(Epoch(1)));
            let mut progress = Progress::begin();
            progress.since = since;
            progress.sent = Some(since);
            progress.connection = Some(7);
            progress.waits = Some(waits.to_owned());
            let probe = Probe {
                writing: tokio::spawn(async {}),
                mode,
                progress: Arc::new(Mutex::new(progress)),
                every: Duration::from_millis(250),
            };
            probe.verdict()
        };
        assert_eq!(
            told("Waiting for semi-sync ACK from slave", seconds(30)).stalled,
            Millis(0)
        );
        assert_eq!(told(SILENT_REPLICAS, seconds(9)).stalled, Millis(0));
        let long = told(SILENT_REPLICAS, seconds(13));
        assert!(
            long.stalled >= Millis(3_000) && long.why.is_some(),
            "{long:?}"
        );
        assert!(told("Commit", seconds(3)).stalled >= Millis(3_000));
    }

    #[test]
    fn both_dialects_wait_for_replicas_in_words_of_their_own() {
        for state in [
            "Waiting for semi-sync ACK from slave",
            "Waiting for semi-sync ACK from replica",
        ] {
            assert!(is_for_replicas(state));
        }
        assert!(!is_for_replicas("Waiting for backup lock"));
    }
}
