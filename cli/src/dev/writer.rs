//! A small writer: one change every 50 ms, so that there is something to see when a leader dies.

use super::view::Seen;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_client::{Client, Consistency, Error};
use tenure_core::{
    Attributes, Health, Instance, NodeName, NodeRef, Note, Position, Report, ServiceName,
};

/// Of which instance the writer speaks.
pub const SERVICE: &str = "job-server";
const NODE: &str = "front-1";

/// The history that its positions belong to.
const HISTORY: &str = "dev-writer";

const EVERY: Duration = Duration::from_millis(50);

/// What is longer between two acknowledged writes is a gap that a person may want to know of.
const GAP: Duration = Duration::from_millis(150);

/// Gaps that are remembered.
const GAPS_MAX: usize = 16;

/// A time without an acknowledged write, and what was looked for after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last acknowledged write before it.
    pub from: Duration,
    /// The first one after it.
    pub to: Duration,
    /// How many writes had been acknowledged, when all were found; None before that is known.
    pub found: Option<u64>,
}

/// What the writer has done. Times are since the start of `dev`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// When the last one was.
    pub last: Option<Duration>,
    /// How long it took.
    pub latency: Duration,
    /// The longest time between two.
    pub longest: Duration,
    /// The last gaps.
    pub gaps: Vec<Gap>,
    /// Why writes fail, as long as they do.
    pub trouble: Option<String>,
    /// What was acknowledged and is not there.
    pub lost: Option<String>,
}

impl Written {
    /// Takes in an acknowledged write; says whether it ended a gap.
    pub fn acknowledge(&mut self, at: Duration, latency: Duration) -> bool {
        let from = self.last.unwrap_or(at);
        let gap = at.saturating_sub(from);
        self.acknowledged += 1;
        self.last = Some(at);
        self.latency = latency;
        self.longest = self.longest.max(gap);
        self.trouble = None;
        if gap < GAP {
            return false;
        }
        if self.gaps.len() == GAPS_MAX {
            self.gaps.remove(0);
        }
        self.gaps.push(Gap {
            from,
            to: at,
            found: None,
        });
        true
    }
}

/// Writes until it is dropped.
pub async fn run(client: Client, seen: Arc<Mutex<Seen>>, origin: Instant) {
    let (Ok(service), Ok(node)) = (ServiceName::new(SERVICE), NodeName::new(NODE)) else {
        return;
    };
    let writer = Writer {
        client,
        seen,
        origin,
        service,
        node: NodeRef::Name(node),
    };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        match writer.read().await {
            Ok(instance) => {
                let why = writer.write(&instance, &mut tick).await;
                writer.note(|written| written.trouble = Some(why.to_string()));
            }
            Err(why) => writer.note(|written| written.trouble = Some(why.to_string())),
        }
        tokio::time::sleep(EVERY * 10).await;
    }
}

struct Writer {
    client: Client,
    seen: Arc<Mutex<Seen>>,
    origin: Instant,
    service: ServiceName,
    node: NodeRef,
}

impl Writer {
    fn note<T>(&self, change: impl FnOnce(&mut Written) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut seen.written)
    }

    async fn read(&self) -> Result<Instance, Error> {
        let read = self.client.discovery();
        let read = read
            .instance(&self.service, &self.node, Consistency::Linearizable)
            .await;
        read.map(|(_, instance)| instance)
    }

    /// Writes in the incarnation that the instance spoke in, until that is refused.
    async fn write(&self, now: &Instance, tick: &mut tokio::time::Interval) -> Error {
        let member = tenure_core::Member {
            node: now.node,
            incarnation: now.reported_in,
        };
        let mut offset = now
            .report
            .position
            .as_ref()
            .map_or(0, |position| position.offset);
        loop {
            tick.tick().await;
            offset += 1;
            let began = Instant::now();
            let write = self.client.admin();
            let write = write
                .report(self.service.clone(), member, report(offset))
                .await;
            if let Err(why) = write {
                return why;
            }
            let ended_gap =
                self.note(|written| written.acknowledge(self.origin.elapsed(), began.elapsed()));
            if ended_gap {
                self.check(offset).await;
            }
        }
    }

    /// Looks whether the last acknowledged write is there; each holds the count of all before it.
    async fn check(&self, offset: u64) {
        let Ok(now) = self.read().await else {
            return;
        };
        let found = now.report.position.map_or(0, |position| position.offset);
        self.note(|written| {
            if found < offset {
                written.lost = Some(format!(
                    "write {offset} was acknowledged, and {found} is the last one there"
                ));
            } else if let Some(gap) = written.gaps.last_mut() {
                gap.found = Some(written.acknowledged);
            }
        });
    }
}

fn report(offset: u64) -> Report {
    Report {
        health: Health::Healthy,
        role: None,
        position: Some(Position {
            history: Note::new(HISTORY).unwrap_or_default(),
            offset,
        }),
        note: Note::new("written by tenure dev").unwrap_or_default(),
        attributes: Attributes::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_from_ordinary_pauses() {
        let ms = Duration::from_millis;
        let mut written = Written::default();
        assert!(
            !written.acknowledge(ms(5_000), ms(1)),
            "the first one ends no gap"
        );
        assert!(!written.acknowledge(ms(5_060), ms(1)));
        assert!(written.acknowledge(ms(5_400), ms(290)));
        assert_eq!(written.longest, ms(340));
        assert_eq!(
            written.gaps,
            [Gap {
                from: ms(5_060),
                to: ms(5_400),
                found: None
            }]
        );
        assert_eq!((written.acknowledged, written.latency), (3, ms(290)));
    }
}
