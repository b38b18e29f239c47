//! Watches whether the instance's process is there: by a connection on which it does nothing but wait, and,
//! on the same machine, by the process itself.
//!
//! A connection that ends is no exit yet, for anybody may end one: whoever is refused by the port right
//! after it has seen an exit.

use std::time::Duration;

use tenure_core::Presence;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::pid::LocalProcess;
use super::super::presence::PresenceTeller;
use super::line::{Dial, Line, Trouble};

/// How often a process that went is looked for, at first and later.
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_millis(200);
const SOON_FOR: Duration = Duration::from_secs(5);
/// How many connections that end at once are followed up at once.
const AT_ONCE_MAX: u32 = 3;
/// For how long one statement waits.
const WAITS_S: u64 = 3_600;

/// The watch, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct ExitWatch {
    watching: JoinHandle<()>,
    process: Known,
}

type Known = watch::Sender<Option<LocalProcess>>;

impl Drop for ExitWatch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl ExitWatch {
    pub(super) fn start(dial: Dial, teller: PresenceTeller) -> Self {
        let process = Known::new(None);
        let watching = tokio::spawn(watch_over(dial, teller, process.clone()));
        Self { watching, process }
    }

    /// Which process it is; None when it is not one of this machine's.
    pub(super) fn is(&self, process: Option<LocalProcess>) {
        self.process.send_replace(process);
    }

    pub(super) fn process(&self) -> Option<LocalProcess> {
        self.process.borrow().clone()
    }
}

async fn watch_over(dial: Dial, teller: PresenceTeller, process: Known) {
    let mut last_seen = Instant::now();
    let mut followed_up = 0;
    loop {
        let began = Instant::now();
        let mut ended = false;
        match dial.line().await {
            Ok(canary) => {
                teller.say(Presence::Running);
                ended = until_it_ends(canary, &process).await;
                last_seen = Instant::now();
            }
            Err(Trouble::Refused) => {
                // Or else its end would be told of once more when the next one is up.
                process.send_replace(None);
            }
            // It answers, whatever it says: it may have too many connections.
            Err(Trouble::Denied(_) | Trouble::Said { .. }) => {
                teller.say(Presence::Running);
                rest(&process, &teller, LATER).await;
                continue;
            }
            Err(Trouble::Unreachable(_) | Trouble::Silent(_)) => {
                if matches!(dial.tcp().await, Err(Trouble::Refused)) {
                    continue;
                }
                teller.say(Presence::Unknown);
                rest(&process, &teller, LATER).await;
                continue;
            }
        }
        if began.elapsed() >= SOON {
            followed_up = 0;
        }
        if ended && followed_up < AT_ONCE_MAX {
            followed_up += 1;
            continue;
        }
        if !ended {
            teller.say(Presence::Exited);
        }
        let soon = last_seen.elapsed() < SOON_FOR;
        rest(&process, &teller, if soon { SOON } else { LATER }).await;
    }
}

/// Whether the connection ended; otherwise the process is gone.
async fn until_it_ends(mut canary: Line, process: &Known) -> bool {
    let waits = Duration::from_secs(WAITS_S * 2);
    let text = format!("DO SLEEP({WAITS_S})");
    loop {
        tokio::select! {
            () = gone(process) => return false,
            woken = canary.ask(&text, waits) => if woken.is_err() {
                return true;
            },
        }
    }
}

/// Pauses, with an eye on the process.
async fn rest(process: &Known, teller: &PresenceTeller, pause: Duration) {
    tokio::select! {
        () = sleep(pause) => {}
        () = gone(process) => teller.say(Presence::Exited),
    }
}

/// Waits until the process that it is now known to be is gone. It is forgotten then, or else whoever
/// comes up next would be taken for it.
async fn gone(process: &Known) {
    let mut known = process.subscribe();
    let dead = gone_of(&mut known).await;
    process.send_if_modified(|process| process.take_if(|process| process.id == dead).is_some());
}

/// The same, and says which it was.
async fn gone_of(known: &mut watch::Receiver<Option<LocalProcess>>) -> i32 {
    loop {
        let process = known.borrow_and_update().clone();
        let ends = async {
            match process {
                Some(process) => {
                    process.gone().await;
                    process.id
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            dead = ends => return dead,
            changed = known.changed() => if changed.is_err() {
                return std::future::pending().await;
            },
        }
    }
}
