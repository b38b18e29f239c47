//! An event as an object for programs.

use super::{Event, Primary, Who, millis};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// An event as `dev --no-view --json` prints it, one object per line. What does not apply is null.
#[derive(Default, Serialize)]
pub struct EventShape {
    /// Milliseconds since the start.
    at_ms: u64,
    /// started, died, ready, leads, primary, serves, receipt, resumed or trouble.
    event: &'static str,
    /// The line for people.
    text: String,
    /// With started and died: server, agent or store.
    process: Option<&'static str>,
    server: Option<u64>,
    pid: Option<u32>,
    term: Option<u64>,
    /// With leads and resumed: milliseconds without an acknowledged write.
    gap_ms: Option<u64>,
    /// With leads: the server that led before and does not answer any more.
    lost: Option<u64>,
    service: Option<String>,
    node: Option<String>,
    epoch: Option<u64>,
    /// With resumed: the last write that had been acknowledged before, and was read back; null when it was
    /// not there.
    found: Option<u64>,
    /// With receipt: what it says.
    receipt: Option<Value>,
}

impl Event {
    /// The object for programs.
    pub fn shape(&self, at: Duration) -> EventShape {
        let shape = EventShape {
            at_ms: millis(at),
            text: self.text(),
            ..EventShape::default()
        };
        match self {
            Self::Started { who, pid, .. } => shape.of_process("started", *who, *pid),
            Self::Died { who, pid, .. } => shape.of_process("died", *who, *pid),
            Self::Ready { leader, pid, .. } => EventShape {
                event: "ready",
                server: *leader,
                pid: *pid,
                ..shape
            },
            Self::Leads {
                server,
                pid,
                term,
                gap,
                lost,
                ..
            } => EventShape {
                event: "leads",
                server: Some(*server),
                pid: *pid,
                term: Some(*term),
                gap_ms: gap.map(millis),
                lost: *lost,
                ..shape
            },
            Self::Primary(primary) => shape.of_primary("primary", primary),
            Self::Serves { primary, pid } => EventShape {
                pid: *pid,
                ..shape.of_primary("serves", primary)
            },
            Self::Receipt(receipt) => EventShape {
                receipt: Some(receipt.shape.clone()),
                ..shape.of_primary("receipt", &receipt.primary)
            },
            Self::Resumed(resumed) => EventShape {
                event: "resumed",
                service: Some(resumed.kind.name().to_owned()),
                node: Some(resumed.node.clone()),
                epoch: Some(resumed.epoch),
                gap_ms: Some(millis(resumed.gap)),
                found: resumed.found,
                ..shape
            },
            Self::Trouble { .. } => EventShape {
                event: "trouble",
                ..shape
            },
        }
    }
}

impl EventShape {
    fn of_process(self, event: &'static str, who: Who, pid: u32) -> Self {
        let (process, server, node) = match who {
            Who::Server(id) => ("server", Some(id), None),
            Who::Agent(node) => ("agent", None, Some(node)),
            Who::Store(_, node) => ("store", None, Some(node)),
        };
        Self {
            event,
            process: Some(process),
            server,
            node: node.map(ToOwned::to_owned),
            pid: Some(pid),
            ..self
        }
    }

    fn of_primary(self, event: &'static str, primary: &Primary) -> Self {
        Self {
            event,
            service: Some(primary.service.clone()),
            node: Some(primary.node.clone()),
            epoch: Some(primary.epoch),
            ..self
        }
    }
}
