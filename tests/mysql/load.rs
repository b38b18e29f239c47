//! Writers that follow the primary, and what was acknowledged to them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tenure_client::Client;
use tenure_tests::failover::follower::{Follower, Named};
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::trace::{Shared, Trace};
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::writer::Writer;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::site::{eventually, service};

const PACE: Duration = Duration::from_millis(1);

/// Two of them: what one waits for does not hold back the other.
const NAMES: [&str; 2] = ["one", "two"];

/// Writers at work. Dropping this ends them.
pub struct Load {
    _follower: Follower,
    writers: Vec<(&'static str, Shared)>,
    acknowledged: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

impl Load {
    /// By writers that follow the primary.
    pub async fn start(client: &Client) -> Load {
        Self::by(Follower::of(client, &service()).await.expect("follows"))
    }

    /// By writers that know of one server and of nothing else.
    pub fn at(address: SocketAddr) -> Load {
        let (teller, named) = watch::channel(Named {
            address: Some(address),
            at: Moment::now(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { teller.closed().await });
        Self::by(Follower::new(named, Arc::new(Notify::new()), tasks))
    }

    fn by(follower: Follower) -> Load {
        let (news, acknowledged) = watch::channel(0);
        let news = Arc::new(news);
        let mut load = Load {
            writers: Vec::new(),
            acknowledged,
            tasks: JoinSet::new(),
            _follower: follower,
        };
        for name in NAMES {
            let trace = Shared::new(news.clone());
            let writer = Writer {
                name: name.to_owned(),
                named: load._follower.named.clone(),
                pace: PACE,
                trace: trace.clone(),
            };
            load.tasks.spawn(writer.run());
            load.writers.push((name, trace));
        }
        load
    }

    /// How many commits were acknowledged so far.
    pub fn count(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Waits until so many more are.
    pub async fn acknowledged(&self, more: u64) {
        let wanted = self.count() + more;
        eventually("commits acknowledged", || async {
            (self.count() >= wanted).then_some(())
        })
        .await;
    }

    pub fn seen(&self) -> Vec<Trace> {
        self.writers.iter().map(|(_, trace)| trace.seen()).collect()
    }

    /// The longest time between two commits of one writer since a moment, in milliseconds.
    pub fn longest_gap_ms(&self, since: Moment) -> f64 {
        let now = Moment::now();
        let gaps = self.seen().into_iter();
        gaps.map(|trace| trace.longest_gap_ms(since, now))
            .fold(0.0, f64::max)
    }

    /// How often the outcome of a commit was unknown since a moment.
    pub fn unknown_since(&self, since: Moment) -> usize {
        let seen = self.seen().into_iter();
        seen.map(|trace| trace.unknown.iter().filter(|at| **at >= since).count())
            .sum()
    }

    /// How often a commit was refused since a moment.
    pub fn refused_since(&self, since: Moment) -> usize {
        let seen = self.seen().into_iter();
        seen.map(|trace| trace.refused.iter().filter(|(at, _)| *at >= since).count())
            .sum()
    }

    /// Ends the writers.
    pub async fn rest(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Ends the writers; what was acknowledged and is not there.
    pub async fn lost_at(mut self, primary: SocketAddr) -> BTreeSet<(&'static str, u64)> {
        self.rest().await;
        let mut lost = BTreeSet::new();
        for (name, trace) in &self.writers {
            let numbers: Vec<u64> = trace.seen().acks.iter().map(|ack| ack.number).collect();
            assert!(!numbers.is_empty(), "writer {name} has written nothing");
            let missing = link::missing(primary, OPERATOR, name, &numbers).await;
            let missing = missing.expect("the primary answers");
            lost.extend(missing.into_iter().map(|number| (*name, number)));
        }
        lost
    }
}
