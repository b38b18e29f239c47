//! How a client behaves.

use crate::Error;
use std::time::Duration;
use tenure_core::Note;

/// How a client behaves. The defaults suit servers on the same site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a call may take with all its retries. 5 s.
    pub deadline: Duration,
    /// How long a change of the servers (adding, removing, handing over leadership) and a checkpoint
    /// may take: a new server first has to catch up. 2 min.
    pub change_deadline: Duration,
    /// How long one server may take to answer before another one is asked. 1 s.
    pub attempt: Duration,
    /// How long it may take to reach a server. 300 ms.
    pub connect: Duration,
    /// How long a watched server may be silent, or say that it is out of date, before the watch goes on
    /// at another one. Servers send something every second. 3 s.
    pub watch_silence: Duration,
    /// Follow primaries and peers by two watches at two servers, so that one that is frozen or cut off
    /// delays no news. True.
    pub watch_twice: bool,
    /// Spread linearizable reads over all servers. Otherwise they go to the leader as long as it is
    /// known, which answers soonest. False.
    pub spread_reads: bool,
    /// Who asks, for the history: up to 512 bytes without control characters. Empty.
    pub actor: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            change_deadline: Duration::from_secs(120),
            attempt: Duration::from_secs(1),
            connect: Duration::from_millis(300),
            watch_silence: Duration::from_secs(3),
            watch_twice: true,
            spread_reads: false,
            actor: String::new(),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let durations = [
            ("deadline", self.deadline),
            ("change_deadline", self.change_deadline),
            ("attempt", self.attempt),
            ("connect", self.connect),
            ("watch_silence", self.watch_silence),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, value)| value.is_zero()) {
            return Err(Error::Invalid(format!("the option {name} must not be 0")));
        }
        match Note::new(&self.actor) {
            Ok(_) => Ok(()),
            Err(why) => Err(Error::Invalid(format!(
                "the option actor is refused: {why}"
            ))),
        }
    }
}
