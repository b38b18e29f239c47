//! What writers saw: every acknowledgement with its time and place, and what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::moment::Moment;
use super::writer::{Outcome, acknowledged};

/// One acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The number of the write.
    pub number: u64,
    /// When it was acknowledged.
    pub at: Moment,
    /// Where.
    pub by: SocketAddr,
}

/// All that one writer saw.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In the order in which they came.
    pub acks: Vec<Ack>,
    /// When a write was refused, and with which error.
    pub refused: Vec<(Moment, String)>,
    /// When it became clear that the outcome of a write is unknown.
    pub unknown: Vec<Moment>,
    /// When the primary had a write and no replica said so in time.
    pub unreplicated: Vec<Moment>,
}

impl Trace {
    /// The longest time between two acknowledgements, of those of which a part lies between `from` and `until`; in
    /// milliseconds. The time from the last one until `until` counts too.
    #[must_use]
    pub fn longest_gap_ms(&self, from: Moment, until: Moment) -> f64 {
        let mut longest: f64 = 0.0;
        let mut last = None;
        for ack in &self.acks {
            let begun = last.replace(ack.at);
            let counts = ack.at > from && begun.is_some_and(|begun| begun < until);
            if let (Some(begun), true) = (begun, counts) {
                longest = longest.max(ack.at.ms_since(begun));
            }
        }
        match last {
            Some(last) if last < until => longest.max(until.ms_since(last)),
            _later => longest,
        }
    }

    /// How often another primary acknowledged than the one before, from `since` on. The late answer to a write that
    /// was tried again elsewhere is no change.
    #[must_use]
    pub fn changes_since(&self, since: Moment) -> usize {
        let mut changes = 0;
        let mut last: Option<&Ack> = None;
        for ack in &self.acks {
            if last.is_some_and(|last| ack.number <= last.number) {
                continue;
            }
            let moved = last.is_some_and(|last| last.by != ack.by);
            changes += usize::from(moved && ack.at >= since);
            last = Some(ack);
        }
        changes
    }

    /// Of writes that were acknowledged and lost: how many, when and by whom the first and the last of them were
    /// acknowledged, and who acknowledged all the others. None when nothing was lost.
    #[must_use]
    pub fn account_of(&self, lost: &BTreeSet<u64>, signal: Moment) -> Option<String> {
        let mut gone = self.acks.iter().filter(|ack| lost.contains(&ack.number));
        let first = gone.next()?;
        let last = gone.next_back().unwrap_or(first);
        let told = |ack: &Ack| format!("{:.0} ms by {}", ack.at.ms_since(signal), ack.by);
        let mut reigns: Vec<&Ack> = Vec::new();
        for ack in &self.acks {
            if reigns.last().is_none_or(|reign| reign.by != ack.by) {
                reigns.push(ack);
            }
        }
        let reigns: Vec<String> = reigns.into_iter().map(told).collect();
        Some(format!(
            "{} acknowledged writes were lost: the first was acknowledged {} after the signal, the last {}; new primaries \
             acknowledged from {}",
            lost.len(),
            told(first),
            told(last),
            reigns.join(", ")
        ))
    }

    /// How often which error was answered from `from` on.
    #[must_use]
    pub fn refusals_since(&self, from: Moment) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (at, code) in &self.refused {
            if *at >= from {
                *counts.entry(code.clone()).or_default() += 1;
            }
        }
        counts
    }
}

/// The trace of a writer that is at work.
#[derive(Clone, Debug)]
pub struct Shared {
    trace: Arc<Mutex<Trace>>,
    /// The first acknowledgement at every address, told to whoever waits for one.
    news: Arc<watch::Sender<u64>>,
}

impl Shared {
    /// An empty trace; `news` changes with every acknowledgement.
    #[must_use]
    pub fn new(news: Arc<watch::Sender<u64>>) -> Self {
        Self {
            trace: Arc::default(),
            news,
        }
    }

    /// Notes how a write ended.
    pub fn note(&self, outcome: &Outcome, number: u64, at: SocketAddr) {
        let ack = acknowledged(number, at);
        let mut trace = self.lock();
        match outcome {
            Outcome::Acknowledged => trace.acks.push(ack),
            Outcome::Unreplicated => trace.unreplicated.push(ack.at),
            Outcome::Refused(code) => trace.refused.push((ack.at, code.clone())),
            Outcome::Unknown => trace.unknown.push(ack.at),
        }
        drop(trace);
        if *outcome == Outcome::Acknowledged {
            self.news.send_modify(|count| *count += 1);
        }
    }

    /// The first acknowledgement after `since` by another than `old`.
    #[must_use]
    pub fn first_elsewhere(&self, since: Moment, old: SocketAddr) -> Option<Ack> {
        let trace = self.lock();
        let latest = trace.acks.iter().rev().take_while(|ack| ack.at > since);
        latest.filter(|ack| ack.by != old).last().copied()
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Trace {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trace(millis: &[u64]) -> (Moment, Trace) {
        let begin = Moment::now();
        let by = SocketAddr::from(([127, 0, 0, 1], 1));
        let ack = |(number, ms): (usize, &u64)| Ack {
            number: u64::try_from(number).unwrap_or(0),
            at: begin.plus(Duration::from_millis(*ms)),
            by,
        };
        let acks = millis.iter().enumerate().map(ack).collect();
        let trace = Trace {
            acks,
            ..Trace::default()
        };
        (begin, trace)
    }

    #[test]
    fn gaps_count_when_they_touch_the_span() {
        let (begin, trace) = trace(&[0, 100, 110, 400, 410, 1_000]);
        let at = |ms| begin.plus(Duration::from_millis(ms));
        let gap = |from, until| trace.longest_gap_ms(at(from), at(until));
        assert!((gap(105, 405) - 290.0).abs() < 1e-6);
        assert!((gap(0, 105) - 100.0).abs() < 1e-6);
        assert!((gap(405, 500) - 590.0).abs() < 1e-6);
        assert!((gap(1_000, 4_000) - 3_000.0).abs() < 1e-6);
    }

    #[test]
    fn what_was_lost_is_told_with_its_time() {
        let (begin, trace) = trace(&[0, 100, 200]);
        assert_eq!(trace.account_of(&BTreeSet::new(), begin), None);
        let told = trace
            .account_of(&[1, 2].into(), begin)
            .expect("two are lost");
        assert!(
            told.starts_with("2 acknowledged writes were lost"),
            "{told}"
        );
        assert!(told.contains("the last 200 ms by 127.0.0.1:1"), "{told}");
    }

    #[test]
    fn the_first_acknowledgement_elsewhere() {
        let shared = Shared::new(Arc::new(watch::Sender::new(0)));
        let [old, new] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        shared.note(&Outcome::Acknowledged, 0, old);
        let since = Moment::now();
        while Moment::now() == since {}
        shared.note(&Outcome::Acknowledged, 1, old);
        assert_eq!(shared.first_elsewhere(since, old), None);
        shared.note(&Outcome::Acknowledged, 2, new);
        shared.note(&Outcome::Acknowledged, 3, new);
        let first = shared.seen().acks.get(2).copied();
        assert_eq!(shared.first_elsewhere(since, old), first);
        shared.note(&Outcome::Acknowledged, 2, old);
        shared.note(&Outcome::Refused("READONLY".to_owned()), 4, old);
        let seen = shared.seen();
        assert_eq!(seen.refusals_since(since).len(), 1);
        assert_eq!(seen.changes_since(since), 1);
    }
}
