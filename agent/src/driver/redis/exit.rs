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
    loop {
        let began = Instant::now();
        match dial.tcp().await {
            Ok(canary) => {
                teller.say(Presence::Running);
                until_it_ends(canary, &process, &teller).await;
                last_seen = Instant::now();
            }
            Err(Trouble::Refused) => {
                teller.say(Presence::Exited);
                // Or else its end would be told of once more when the next one is up.
                process.send_replace(None);
            }
            Err(Trouble::Unreachable(_) | Trouble::Silent(_) | Trouble::Denied(_)) => {
                teller.say(Presence::Unknown);
            }
        }
        // A connection that stood for a while is followed up at once: being refused now is the proof.
        if began.elapsed() < SOON {
            let soon = last_seen.elapsed() < SOON_FOR;
            sleep(if soon { SOON } else { LATER }).await;
        }
    }
}

/// Returns when the connection ends or the process is gone; says so in the latter case.
async fn until_it_ends(mut canary: TcpStream, process: &Known, teller: &PresenceTeller) {
    let mut said = [0; 512];
    let mut known = process.subscribe();
    loop {
        tokio::select! {
            dead = gone(&mut known) => {
                teller.say(Presence::Exited);
                // Or else whoever comes up next would be taken for it.
                process.send_if_modified(|process| {
                    process.take_if(|process| process.id == dead).is_some()
                });
                return;
            }
            // What an instance says here, such as that it has too many clients, is no sign of an exit.
            read = canary.read(&mut said) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
        }
    }
}

/// Waits until the process that it is now known to be is gone, and says which it was.
async fn gone(known: &mut watch::Receiver<Option<LocalProcess>>) -> i32 {
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
