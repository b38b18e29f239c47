//! What a person sees of the small cluster, and the events that follow from how it changes. Pure:
//! times are arguments, as durations since the start.

use super::{
    event::{Event, Who},
    primaries::Primaries,
    store::{Kind, traffic::Traffic},
    writer::{Gap, Written},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tenure_core::{Endpoint, Receipt, State};

/// Events that are kept for the view.
const EVENTS_MAX: usize = 50;

/// How long the first write under a new leader is waited for before the change is told without it.
const RESUME_WITHIN: Duration = Duration::from_secs(10);

/// How much later than it happened something may be seen.
const SLACK: Duration = Duration::from_millis(500);

/// How long looking for what was acknowledged is waited for.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// What was seen last, filled in by those who look.
#[derive(Debug, Default)]
pub struct Seen {
    /// The state, as a watch has it.
    pub state: State,
    /// What the latest changes of primary rested on, which no watch tells.
    pub receipts: Vec<Receipt>,
    /// What each server said of itself; None when it does not answer.
    pub said: BTreeMap<u64, Option<Said>>,
    /// What the writer of the servers did.
    pub written: Written,
    /// What the writer of the service did whose primary is moved.
    pub traffic: Traffic,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its role, as a word.
    pub role: String,
    /// Whether it leads.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// The last entry that it has applied.
    pub applied: u64,
}

/// Whether a server's process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Running(u32),
    /// It died, and is started again.
    Dead {
        /// How.
        how: String,
        /// When.
        at: Duration,
        /// When it is started again.
        restart_at: Duration,
    },
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: u64,
    /// Where it is asked.
    pub api: Endpoint,
    /// Whether its process runs.
    pub life: Option<Life>,
    /// What it said last.
    pub said: Option<Said>,
}

impl Row {
    /// Its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        match self.life {
            Some(Life::Running(pid)) => Some(pid),
            Some(Life::Dead { .. }) | None => None,
        }
    }
}

/// Another server leads, and no write was acknowledged since.
#[derive(Debug)]
struct Change {
    to: u64,
    term: u64,
    lost: Option<u64>,
    /// When the old leader fell, as far as is known, and when the new one was seen.
    fell: Duration,
    seen: Duration,
}

/// What a person sees.
#[derive(Debug)]
pub struct View {
    /// What is real here.
    pub kind: Kind,
    /// The servers.
    pub servers: Vec<Row>,
    /// Who leads.
    pub leader: Option<u64>,
    /// The instances' processes that run, by node.
    pub stores: BTreeMap<&'static str, u32>,
    /// The last events that the view shows and when they were, oldest first.
    pub events: VecDeque<(Duration, Event)>,
    /// Who led last, dead or alive, and the latest term that was seen.
    led: Option<u64>,
    term: u64,
    change: Option<Change>,
    primaries: Primaries,
    trouble: Option<String>,
}

impl View {
    /// Before anything was seen of the servers, which are asked at these endpoints. What is real is of a kind.
    pub fn new(servers: &[Endpoint], kind: Kind) -> Self {
        let row = |(id, api): (u64, &Endpoint)| Row {
            id,
            api: api.clone(),
            life: None,
            said: None,
        };
        Self {
            kind,
            servers: (1..).zip(servers).map(row).collect(),
            leader: None,
            stores: BTreeMap::new(),
            events: VecDeque::new(),
            led: None,
            term: 0,
            change: None,
            primaries: Primaries::of(kind),
            trouble: None,
        }
    }

    /// The server with this number.
    pub fn server(&self, id: u64) -> Option<&Row> {
        self.servers.iter().find(|row| row.id == id)
    }

    /// The process of the server that leads.
    pub fn leader_pid(&self) -> Option<u32> {
        self.server(self.leader?)?.pid()
    }

    /// Takes in what happened to a process, or to the whole.
    pub fn happened(&mut self, event: Event, now: Duration) {
        match &event {
            Event::Started {
                who: Who::Server(server),
                pid,
                ..
            } => self.live(*server, Life::Running(*pid)),
            Event::Started {
                who: Who::Store(_, node),
                pid,
                ..
            } => drop(self.stores.insert(node, *pid)),
            Event::Died {
                who: Who::Store(_, node),
                pid,
                ..
            } if self.stores.get(node) == Some(pid) => drop(self.stores.remove(node)),
            Event::Died {
                who: Who::Server(server),
                how,
                restart_after,
                ..
            } => {
                let restart_at = now + restart_after.unwrap_or_default();
                self.live(
                    *server,
                    Life::Dead {
                        how: how.clone(),
                        at: now,
                        restart_at,
                    },
                );
            }
            Event::Started { .. }
            | Event::Died { .. }
            | Event::Ready { .. }
            | Event::Leads { .. }
            | Event::Primary(_)
            | Event::Serves { .. }
            | Event::Receipt(_)
            | Event::Resumed(_)
            | Event::Trouble { .. } => {}
        }
        if !event.is_news(self.kind) {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back((now, event));
    }

    fn live(&mut self, server: u64, life: Life) {
        if let Some(row) = self.servers.iter_mut().find(|row| row.id == server) {
            row.life = Some(life);
            row.said = None;
        }
    }

    /// Compares with what was seen last, and gives what follows from it.
    pub fn look(&mut self, seen: &Seen, now: Duration) -> Vec<Event> {
        for row in &mut self.servers {
            let said = seen.said.get(&row.id).cloned().flatten();
            row.said = said.filter(|_| matches!(row.life, Some(Life::Running(_))));
        }
        let mut events = Vec::new();
        self.follow_leader(now);
        events.extend(self.resumed(&seen.written, now));
        events.extend(self.primaries.look(seen, &self.stores, now));
        let trouble = seen
            .written
            .lost
            .clone()
            .or_else(|| seen.written.trouble.clone());
        if trouble != self.trouble {
            self.trouble.clone_from(&trouble);
            events.extend(trouble.map(|what| Event::Trouble {
                what: format!("the writer: {what}"),
            }));
        }
        events
    }

    fn follow_leader(&mut self, now: Duration) {
        let leads = |row: &Row| {
            let said = row.said.as_ref().filter(|said| said.leads)?;
            Some((said.term, row.id))
        };
        let leader = self.servers.iter().filter_map(leads).max();
        self.leader = leader.map(|(_, id)| id);
        let Some((term, id)) = leader.filter(|(term, _)| *term > self.term) else {
            return;
        };
        self.term = term;
        let before = self.led.replace(id).filter(|before| *before != id);
        if let Some(before) = before.and_then(|before| self.server(before)) {
            let fell = match before.life {
                Some(Life::Dead { at, .. }) => at,
                Some(Life::Running(_)) | None => now,
            };
            let lost = before.said.is_none().then_some(before.id);
            self.change = Some(Change {
                to: id,
                term,
                lost,
                fell,
                seen: now,
            });
        }
    }

    /// A change of leader is told once writes go on, with how long they did not.
    fn resumed(&mut self, written: &Written, now: Duration) -> Option<Event> {
        let change = self.change.as_ref()?;
        let ended = |gap: &&Gap| gap.to + SLACK >= change.fell;
        let gap = written.gaps.iter().rev().find(ended);
        let is_told = match gap {
            Some(gap) => gap.found.is_some() || now > gap.to + CHECK_WITHIN,
            None => {
                let unnoticed = written.last.is_some_and(|last| last > change.seen + SLACK);
                unnoticed || now > change.seen + RESUME_WITHIN
            }
        };
        let event = Event::Leads {
            server: change.to,
            pid: self.server(change.to).and_then(Row::pid),
            term: change.term,
            lost: change.lost,
            gap: gap.map(|gap| gap.to.saturating_sub(gap.from)),
            found: gap.and_then(|gap| gap.found),
        };
        if !is_told {
            return None;
        }
        self.change = None;
        Some(event)
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
