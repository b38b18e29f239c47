//! The signals that mean: stop.

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
        let take = |kind| {
            signal(kind).map_err(|why| Failure::local(format!("signals cannot be handled: {why}")))
        };
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

async fn hangup(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
