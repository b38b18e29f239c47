//! Writers that note which of their writes were acknowledged, for watchers to be compared with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_client::Client;
use tenure_core::{Key, Record, Revision};
use tokio::task::JoinSet;

use super::picture::Picture;
use crate::cluster::registers::Register;
use crate::cluster::{ClusterError, SETTLE_BOUND, until};

/// What was acknowledged: for each register the revisions and values of its writes, in order.
#[derive(Debug, Default)]
pub struct Acknowledged {
    writes: Mutex<BTreeMap<Key, Vec<(Revision, u64)>>>,
    count: AtomicU64,
    stop: AtomicBool,
}

impl Acknowledged {
    /// How many writes were acknowledged.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The revision of the latest one.
    #[must_use]
    pub fn latest(&self) -> Revision {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let last = writes.values().filter_map(|writes| writes.last());
        last.map(|(revision, _)| *revision)
            .max()
            .unwrap_or_default()
    }

    fn note(&self, key: &Key, revision: Revision, value: u64) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes
            .entry(key.clone())
            .or_default()
            .push((revision, value));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks that a picture shows every write acknowledged up to its revision, or a later one of the register.
    ///
    /// # Errors
    /// Which write is missing.
    pub fn check(&self, picture: &Picture) -> Result<(), String> {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, writes) in writes.iter() {
            let known = writes.partition_point(|(revision, _)| *revision <= picture.revision);
            let Some((revision, value)) = known.checked_sub(1).and_then(|at| writes.get(at)) else {
                continue;
            };
            let shown = value_of(picture.records.get(key));
            if shown < Some(*value) {
                return Err(format!(
                    "{key}: {value} was acknowledged at {revision}, the picture of {} shows {shown:?}",
                    picture.revision
                ));
            }
        }
        Ok(())
    }
}

/// The value that a register's record holds.
#[must_use]
pub fn value_of(record: Option<&Record>) -> Option<u64> {
    match record? {
        Record::Instance(instance) => instance
            .report
            .position
            .as_ref()
            .map(|position| position.offset),
        Record::Settings(_)
        | Record::Server(_)
        | Record::Node(_)
        | Record::Service(_)
        | Record::Assignment(_)
        | Record::Pin(_)
        | Record::History(_)
        | Record::Client(_)
        | Record::Automation(_)
        | Record::Pause(_)
        | Record::Receipt(_)
        | Record::Store(_)
        | Record::Rebalance(_)
        | Record::Item(_) => None,
    }
}

/// One writer per register, each of which writes larger and larger values.
#[derive(Debug)]
pub struct Writers {
    /// What was acknowledged.
    pub acknowledged: Arc<Acknowledged>,
    tasks: JoinSet<()>,
}

impl Writers {
    /// Starts them.
    #[must_use]
    pub fn start(client: &Client, registers: &[Register]) -> Self {
        let acknowledged = Arc::new(Acknowledged::default());
        let mut tasks = JoinSet::new();
        for register in registers {
            tasks.spawn(write(
                client.clone(),
                register.clone(),
                acknowledged.clone(),
            ));
        }
        Self {
            acknowledged,
            tasks,
        }
    }

    /// Waits until so many more writes were acknowledged.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`].
    pub async fn progress(&self, more: u64) -> Result<(), ClusterError> {
        let wanted = self.acknowledged.count() + more;
        until(
            format!("{more} more acknowledged writes"),
            SETTLE_BOUND,
            async || {
                let now = self.acknowledged.count();
                if now >= wanted {
                    Ok(())
                } else {
                    Err(format!("{} lack", wanted - now))
                }
            },
        )
        .await
    }

    /// Ends them.
    ///
    /// # Panics
    /// When a writer panicked.
    pub async fn finish(self) -> Arc<Acknowledged> {
        self.acknowledged.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        self.acknowledged
    }
}

async fn write(client: Client, register: Register, acknowledged: Arc<Acknowledged>) {
    let key = Key::Instance(register.service.clone(), register.node);
    let mut value = 0;
    while !acknowledged.stop.load(Ordering::Relaxed) {
        value += 1;
        // One whose outcome is unknown is superseded by the next one, or was never made.
        if let Ok(done) = client.admin().execute(register.command(None, value)).await {
            acknowledged.note(&key, done.revision, value);
        }
    }
}
