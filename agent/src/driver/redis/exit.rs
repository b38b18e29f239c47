//! Watches whether the instance's process is there: by a connection that is never used, and, on the
//! same machine, by the process itself.
//!
//! The connection alone may outlive the process in a child that is saving the data; the process alone
//! cannot be watched from outside a container. A connection that ends is no exit yet: whoever is
//! refused by the port right after it has seen one.

use std::time::Duration;

use tenure_core::Presence;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::pid::LocalProcess;
use super::super::presence::PresenceTeller;
use super::line::{Dial, Trouble};

/// How often a process that went is looked for, at first and later.
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_millis(200);
const SOON_FOR: Duration = Duration::from_secs(5);
/// How many connections that end at once are followed up at once. A process that goes closes its
/// connections before its port: the first that follows one up may still be accepted. But an instance that
/// accepts and closes, having too many clients, is not asked without a pause.
const AT_ONCE_MAX: u32 = 3;

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
        match dial.tcp().await {
            Ok(canary) => {
                teller.say(Presence::Running);
                ended = until_it_ends(canary, &process).await;
                last_seen = Instant::now();
            }
            Err(Trouble::Refused) => {
                // Or else its end would be told of once more when the next one is up.
                process.send_replace(None);
            }
            Err(Trouble::Unreachable(_) | Trouble::Silent(_) | Trouble::Denied(_)) => {
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
async fn until_it_ends(mut canary: TcpStream, process: &Known) -> bool {
    let mut said = [0; 512];
    loop {
        tokio::select! {
            () = gone(process) => return false,
            // What an instance says here, such as that it has too many clients, is no sign of an exit.
            read = canary.read(&mut said) => match read {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
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
