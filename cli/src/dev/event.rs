//! What happens in the small cluster, as a line for people and as an object for programs.

mod shape;

use super::store::Kind;
use serde_json::Value;
use std::{fmt, time::Duration};

/// Whose process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A server's.
    Server(u64),
    /// The agent's of a node.
    Agent(&'static str),
    /// The instance's of what is real here, on a node.
    Store(Kind, &'static str),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process was started.
    Started {
        /// Whose.
        who: Who,
        /// Which.
        pid: u32,
        /// Whether it had run before.
        again: bool,
    },
    /// A process ended although nobody here stopped it.
    Died {
        /// Whose.
        who: Who,
        /// Which.
        pid: u32,
        /// How it ended.
        how: String,
        /// After how long it is started again; None where that is an agent's business.
        restart_after: Option<Duration>,
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
    Primary(Primary),
    /// The primary that was decided on takes writes.
    Serves {
        /// Which.
        primary: Primary,
        /// Its process, to be killed next.
        pid: Option<u32>,
    },
    /// What a change of primary rested on.
    Receipt(Receipt),
    /// The writer of the service goes on at another primary.
    Resumed(Resumed),
    /// Writes fail, or what was acknowledged is not there.
    Trouble {
        /// What is wrong.
        what: String,
    },
}

/// A primary by its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// The service.
    pub service: String,
    /// The node.
    pub node: String,
    /// The epoch.
    pub epoch: u64,
}

/// What a change of primary rested on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The primary that it made.
    pub primary: Primary,
    /// For people, a few lines.
    pub lines: Vec<String>,
    /// For programs, as `tenure receipts --json` has it.
    pub shape: Value,
}

/// Where the writer goes on, and what it found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// What is real here.
    pub kind: Kind,
    /// The node.
    pub node: String,
    /// The epoch.
    pub epoch: u64,
    /// From the last acknowledged write before to the first one after.
    pub gap: Duration,
    /// The last write that had been acknowledged before, as it was read back there; None when it was not
    /// there.
    pub found: Option<u64>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(id) => write!(f, "server {id}"),
            Self::Agent(node) => write!(f, "the agent of {node}"),
            Self::Store(kind, node) => write!(f, "{} on {node}", kind.name()),
        }
    }
}

impl Event {
    /// The line for people.
    pub fn text(&self) -> String {
        match self {
            Self::Started { who, pid, again } => started(*who, *pid, *again),
            Self::Died {
                who,
                pid,
                how,
                restart_after,
            } => died(*who, *pid, how, *restart_after),
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
            Self::Primary(primary) => primary.is("is primary of"),
            Self::Serves { primary, pid } => {
                let kill =
                    pid.map_or_else(String::new, |pid| format!("; kill it with: kill -9 {pid}"));
                format!("{}{kill}", primary.is("serves"))
            }
            Self::Receipt(receipt) => receipt.lines.join("; "),
            Self::Resumed(resumed) => resumed.text(),
            Self::Trouble { what } => what.clone(),
        }
    }

    /// The lines for people, where one would be too long.
    pub fn rows(&self) -> Vec<String> {
        if let Self::Receipt(receipt) = self {
            return receipt.lines.clone();
        }
        vec![self.text()]
    }

    /// Whether the view shows it: what has a line of its own there is no news.
    pub fn is_news(&self, kind: Kind) -> bool {
        match self {
            Self::Started { who, again, .. } => *again && !matches!(who, Who::Store(..)),
            Self::Primary(primary) => primary.service != kind.name(),
            Self::Ready { .. } | Self::Serves { .. } => false,
            Self::Died { .. }
            | Self::Leads { .. }
            | Self::Receipt(_)
            | Self::Resumed(_)
            | Self::Trouble { .. } => true,
        }
    }
}

impl Primary {
    fn is(&self, what: &str) -> String {
        let Self {
            service,
            node,
            epoch,
        } = self;
        format!("{node} {what} {service} now, epoch {epoch}")
    }
}

impl Resumed {
    fn text(&self) -> String {
        let (gap, node) = (millis(self.gap), &self.node);
        let found = match self.found {
            Some(found) => format!("acknowledged write {found} is there"),
            None => "NOT all that was acknowledged is there".to_owned(),
        };
        format!("writes resumed on {node} after {gap} ms; {found}")
    }
}

fn started(who: Who, pid: u32, again: bool) -> String {
    let again = if again { " again" } else { "" };
    let then = match who {
        Who::Server(_) if !again.is_empty() => ": it catches up by itself",
        Who::Store(..) if !again.is_empty() => ", by its agent",
        Who::Server(_) | Who::Agent(_) | Who::Store(..) => "",
    };
    format!("{who} started{again}, pid {pid}{then}")
}

fn died(who: Who, pid: u32, how: &str, restart_after: Option<Duration>) -> String {
    let then = match restart_after {
        Some(after) => format!("; restarted in {} s", after.as_secs()),
        None => String::new(),
    };
    format!("{who} (pid {pid}) died: {how}{then}")
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

    #[test]
    fn a_store_that_died_is_its_agents_business() {
        let event = Event::Died {
            who: Who::Store(Kind::Redis, "db-1"),
            pid: 7,
            how: "killed (SIGKILL)".to_owned(),
            restart_after: None,
        };
        let text = "redis-server on db-1 (pid 7) died: killed (SIGKILL)";
        assert_eq!(event.text(), text);
        let shape = serde_json::to_value(event.shape(Duration::ZERO)).unwrap();
        assert_eq!(
            (&shape["process"], &shape["node"], &shape["server"]),
            (&"store".into(), &"db-1".into(), &Value::Null)
        );
    }
}
