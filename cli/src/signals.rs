//! The signals that mean: stop, or make room for another version.

use crate::exit::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, and SIGHUP where it is asked for, from the moment on at which this was made.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Stop {
    /// Takes the signals over from the system, which would end the process. A service leaves SIGHUP
    /// as it is: whoever started it may have had it ignored.
    ///
    /// # Errors
    /// When the system refuses; a retry cannot help.
    pub fn new(with_hangup: bool) -> Result<Self, Failure> {
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hangup: with_hangup
                .then(|| take(SignalKind::hangup()))
                .transpose()?,
        })
    }

    /// Waits for the next one, and says its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            () = hangup(self.hangup.as_mut()) => "SIGHUP",
        }
    }
}

/// SIGUSR2, from the moment on at which this was made: another version of this process takes over.
pub struct Upgrade(Signal);

impl Upgrade {
    /// Takes the signal over from the system, which would end the process.
    ///
    /// # Errors
    /// When the system refuses; a retry cannot help.
    pub fn new() -> Result<Self, Failure> {
        take(SignalKind::user_defined2()).map(Self)
    }

    /// Waits for the next one, and says its name.
    pub async fn next(&mut self) -> &'static str {
        self.0.recv().await;
        "SIGUSR2"
    }
}

fn take(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|why| Failure::local(format!("signals cannot be handled: {why}")))
}

async fn hangup(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
