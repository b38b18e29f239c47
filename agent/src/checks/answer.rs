//! What the checks answer: 200 or 503 with a line that says why.

use std::time::Duration;

use tenure_core::agent::{Observation, Observed};
use tenure_core::{Epoch, Millis, Moment, Presence, ServiceName};

use crate::board::{Inner, Seen};

/// What a check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Primary,
    Replica,
    Peer,
}

impl Check {
    /// What a path asks, and of which service.
    pub(super) fn of(path: &str) -> Option<(Self, &str)> {
        let (what, service) = path.strip_prefix('/')?.split_once('/')?;
        let check = match what {
            "primary" => Self::Primary,
            "replica" => Self::Replica,
            "peer" => Self::Peer,
            _ => return None,
        };
        Some((check, service))
    }
}

/// An answer: the HTTP status, and the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) line: String,
}

impl Answer {
    pub(super) fn yes(line: impl Into<String>) -> Self {
        Self {
            status: 200,
            line: line.into(),
        }
    }

    pub(super) fn no(line: impl Into<String>) -> Self {
        Self {
            status: 503,
            line: line.into(),
        }
    }

    pub(super) fn unknown(line: impl Into<String>) -> Self {
        Self {
            status: 404,
            line: line.into(),
        }
    }
}

/// How old an observation may be: three looks in a row were late, or missed.
pub(super) fn fresh_for(pace: Millis) -> Duration {
    Duration::from_millis(pace.0.saturating_mul(3).saturating_add(500))
}

/// Answers a check from what is known now.
pub(super) fn answer(
    inner: &Inner,
    now: Moment,
    pace: Millis,
    check: Check,
    service: &str,
) -> Answer {
    let name = ServiceName::new(service).ok();
    let Some((name, seen)) = name.and_then(|name| {
        let seen = inner.seen.get(&name)?;
        Some((name, seen))
    }) else {
        return Answer::unknown(format!("no service {service:?} on this node"));
    };
    if let Err(why) = usable(seen, now, pace) {
        return Answer::no(format!("{name}: {why}"));
    }
    let role = seen.observation.role;
    match check {
        Check::Primary => primary(&name, inner.machine.primary_of(&name, now), role),
        Check::Replica => match role {
            Observed::Following { linked: true } => Answer::yes(format!("{name}: follows")),
            Observed::Following { linked: false } => {
                Answer::no(format!("{name}: its link to the primary is down"))
            }
            Observed::Nothing | Observed::Writable | Observed::Fenced | Observed::Peer => {
                Answer::no(format!("{name}: is no replica"))
            }
        },
        Check::Peer => match role {
            Observed::Peer => Answer::yes(format!("{name}: serves")),
            Observed::Nothing
            | Observed::Writable
            | Observed::Fenced
            | Observed::Following { .. } => Answer::no(format!("{name}: is no peer")),
        },
    }
}

fn primary(name: &ServiceName, held: Option<Epoch>, role: Observed) -> Answer {
    match (held, role) {
        (Some(epoch), Observed::Writable) => {
            Answer::yes(format!("{name}: primary by epoch {epoch}"))
        }
        (
            Some(epoch),
            Observed::Nothing | Observed::Fenced | Observed::Following { .. } | Observed::Peer,
        ) => Answer::no(format!("{name}: becoming primary by epoch {epoch}")),
        (None, _) => Answer::no(format!("{name}: is not primary")),
    }
}

/// Whether requests may be sent to it at all.
fn usable(seen: &Seen, now: Moment, pace: Millis) -> Result<(), String> {
    let Observation {
        presence,
        health,
        note,
        ..
    } = &seen.observation;
    let age = now.since(seen.at);
    if seen.at == Moment(0) {
        return Err("was not looked at yet".to_owned());
    }
    if Duration::from_millis(age.0) > fresh_for(pace) {
        return Err(format!("was last looked at {age} ago"));
    }
    if *presence != Presence::Running {
        return Err(format!("does not run: {note}"));
    }
    if health.serves() {
        return Ok(());
    }
    Err(if note.as_str().is_empty() {
        format!("is {health}")
    } else {
        format!("is {health}: {note}")
    })
}
