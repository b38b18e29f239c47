//! What happens in the small cluster, as a line for people and as an object for programs.

use serde::Serialize;
use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A server was started.
    Started {
        /// Which.
        server: u64,
        /// Its process.
        pid: u32,
        /// Whether it had run before.
        again: bool,
    },
    /// A server ended although nobody here stopped it.
    Died {
        /// Which.
        server: u64,
        /// Its process.
        pid: u32,
        /// How it ended.
        how: String,
        /// After how long it is started again.
        restart_after: Duration,
    },
    /// The cluster is there, with the example in it.
    Ready {
        /// Who leads.
        leader: Option<u64>,
        /// Its process.
        pid: Option<u32>,
        /// Where the servers are asked.
        servers: String,
    },
    /// Another server leads, and a write was acknowledged since.
    Leads {
        /// Who.
        server: u64,
        /// Its process, to be killed next.
        pid: Option<u32>,
        /// In which term.
        term: u64,
        /// Who led before, and does not answer any more.
        lost: Option<u64>,
        /// How long no write was acknowledged; None when nobody noticed.
        gap: Option<Duration>,
        /// How many acknowledged writes were looked for afterwards, and found.
        found: Option<u64>,
    },
    /// A service has another primary.
    Primary {
        /// The service.
        service: String,
        /// The node.
        node: String,
        /// The epoch.
        epoch: u64,
    },
    /// Writes fail, or what was acknowledged is not there.
    Trouble {
        /// What is wrong.
        what: String,
    },
}

/// An event as `dev --no-view --json` prints it, one object per line. What does not apply is null.
#[derive(Serialize)]
pub struct EventShape {
    /// Milliseconds since the start.
    at_ms: u64,
    /// started, died, ready, leads, primary or trouble.
    event: &'static str,
    /// The line for people.
    text: String,
    server: Option<u64>,
    pid: Option<u32>,
    term: Option<u64>,
    /// With leads: milliseconds without an acknowledged write.
    gap_ms: Option<u64>,
    /// With leads: the server that led before and does not answer any more.
    lost: Option<u64>,
}

impl Event {
    /// The line for people.
    pub fn text(&self) -> String {
        match self {
            Self::Started {
                server,
                pid,
                again: false,
            } => format!("server {server} started, pid {pid}"),
            Self::Started {
                server,
                pid,
                again: true,
            } => {
                format!("server {server} started again, pid {pid}: it catches up by itself")
            }
            Self::Died {
                server,
                pid,
                how,
                restart_after,
            } => format!(
                "server {server} (pid {pid}) died: {how}; restarted in {} s",
                restart_after.as_secs()
            ),
            Self::Ready {
                leader,
                pid,
                servers,
            } => ready(*leader, *pid, servers),
            Self::Leads {
                server,
                term,
                lost,
                gap,
                found,
                ..
            } => leads(*server, *term, *lost, *gap, *found),
            Self::Primary {
                service,
                node,
                epoch,
            } => {
                format!("{node} is primary of {service} now, epoch {epoch}")
            }
            Self::Trouble { what } => what.clone(),
        }
    }

    /// Whether the view shows it: the servers and who leads have lines of their own there.
    pub fn is_news(&self) -> bool {
        match self {
            Self::Started { again, .. } => *again,
            Self::Ready { .. } => false,
            Self::Died { .. }
            | Self::Leads { .. }
            | Self::Primary { .. }
            | Self::Trouble { .. } => true,
        }
    }

    /// The object for programs.
    pub fn shape(&self, at: Duration) -> EventShape {
        let (event, server, pid) = match self {
            Self::Started { server, pid, .. } => ("started", Some(*server), Some(*pid)),
            Self::Died { server, pid, .. } => ("died", Some(*server), Some(*pid)),
            Self::Ready { leader, pid, .. } => ("ready", *leader, *pid),
            Self::Leads { server, pid, .. } => ("leads", Some(*server), *pid),
            Self::Primary { .. } => ("primary", None, None),
            Self::Trouble { .. } => ("trouble", None, None),
        };
        let (term, gap, lost) = match self {
            Self::Leads {
                term, gap, lost, ..
            } => (Some(*term), *gap, *lost),
            Self::Started { .. }
            | Self::Died { .. }
            | Self::Ready { .. }
            | Self::Primary { .. }
            | Self::Trouble { .. } => (None, None, None),
        };
        let gap_ms = gap.map(millis);
        EventShape {
            at_ms: millis(at),
            event,
            text: self.text(),
            server,
            pid,
            term,
            gap_ms,
            lost,
        }
    }
}

fn ready(leader: Option<u64>, pid: Option<u32>, servers: &str) -> String {
    let mut text = format!("ready: ask {servers}");
    if let (Some(leader), Some(pid)) = (leader, pid) {
        text.push_str(&format!(
            "; server {leader} leads, kill it with: kill -9 {pid}"
        ));
    }
    text
}

fn leads(
    server: u64,
    term: u64,
    lost: Option<u64>,
    gap: Option<Duration>,
    found: Option<u64>,
) -> String {
    let mut text = match lost {
        Some(_) => format!("leader lost: server {server} leads now"),
        None => format!("server {server} leads now, in term {term}"),
    };
    if let Some(gap) = gap {
        text.push_str(&format!(", writes resumed after {} ms", millis(gap)));
    }
    if found.is_some() {
        text.push_str("; none lost");
    }
    text
}

/// Whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_leader_is_told_with_the_gap() {
        let event = Event::Leads {
            server: 2,
            pid: Some(7),
            term: 5,
            lost: Some(1),
            gap: Some(Duration::from_millis(240)),
            found: Some(99),
        };
        let text = "leader lost: server 2 leads now, writes resumed after 240 ms; none lost";
        assert_eq!(event.text(), text);
        let shape = serde_json::to_value(event.shape(Duration::from_secs(1))).unwrap();
        assert_eq!(
            (&shape["event"], &shape["gap_ms"], &shape["at_ms"]),
            (&"leads".into(), &240.into(), &1000.into())
        );
    }
}
