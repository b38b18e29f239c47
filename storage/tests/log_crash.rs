//! Power cuts at every boundary of the log's writes and syncs: whatever was acknowledged is there.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::disk::{Change, MemoryDisk, Random, Unsynced, dir, image};
use common::{STORE, append, entry, open, runtime, small, start_append};
use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{Entry, LogId, Vote, log_id};
use tenure_storage::wal::segment;

/// What a reader of the log may rely on.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

/// A state that was asked for: from which change on it may be seen, from which it must be.
#[derive(Debug, Clone)]
struct Step {
    asked_at: usize,
    durable_at: usize,
    known: Known,
}

struct History {
    disk: MemoryDisk,
    log: LogStore,
    now: Known,
    steps: Vec<Step>,
}

impl History {
    fn begin() -> History {
        let disk = MemoryDisk::default();
        segment::create(&disk, &dir(), STORE).expect("create");
        let log = open(Arc::new(disk.clone()), &dir());
        let at = disk.changes();
        let first = Step {
            asked_at: 0,
            durable_at: at,
            known: Known::default(),
        };
        History {
            disk,
            log,
            now: Known::default(),
            steps: vec![first],
        }
    }

    fn record(&mut self, asked_at: usize) {
        self.steps.push(Step {
            asked_at,
            durable_at: self.disk.changes(),
            known: self.now.clone(),
        });
    }

    async fn append(&mut self, term: u64, sizes: &[usize]) {
        let asked_at = self.disk.changes();
        let start = self.next();
        let entries: Vec<Entry> = (start..)
            .zip(sizes)
            .map(|(i, size)| entry(term, i, *size))
            .collect();
        for entry in &entries {
            self.now.entries.insert(entry.log_id.index, entry.clone());
        }
        append(&mut self.log, entries).await;
        self.record(asked_at);
    }

    async fn vote(&mut self, term: u64) {
        let asked_at = self.disk.changes();
        self.now.vote = Some(Vote::new(term, 1));
        self.log.save_vote(&Vote::new(term, 1)).await.expect("vote");
        self.record(asked_at);
    }

    /// Truncates and appends: the two are durable together or one after the other.
    async fn replace_after(&mut self, index: u64, term: u64, sizes: &[usize]) {
        let asked_at = self.disk.changes();
        let before = self.now.entries[&index].log_id;
        self.log
            .truncate_after(Some(before))
            .await
            .expect("truncate");
        self.now.entries.retain(|i, _| *i <= index);
        self.steps.push(Step {
            asked_at,
            durable_at: usize::MAX,
            known: self.now.clone(),
        });
        self.append(term, sizes).await;
    }

    async fn purge(&mut self, index: u64) {
        let asked_at = self.disk.changes();
        let upto = self.now.entries[&index].log_id;
        self.log.purge(upto).await.expect("purge");
        self.now.purged = Some(upto);
        self.now.entries.retain(|i, _| *i > index);
        self.steps.push(Step {
            asked_at,
            durable_at: usize::MAX,
            known: self.now.clone(),
        });
    }

    fn next(&self) -> u64 {
        match (self.now.entries.keys().next_back(), self.now.purged) {
            (Some(last), _) => last + 1,
            (None, Some(purged)) => purged.index + 1,
            (None, None) => 0,
        }
    }
}

async fn read_all(log: &mut LogStore) -> Known {
    let mut reader = log.reader();
    let entries = reader.try_get_log_entries(..).await.expect("read");
    Known {
        vote: reader.read_vote().await.expect("vote"),
        purged: log.get_log_state().await.expect("state").last_purged_log_id,
        entries: entries.into_iter().map(|e| (e.log_id.index, e)).collect(),
    }
}

async fn a_busy_life() -> History {
    let mut history = History::begin();
    history.vote(1).await;
    history.append(1, &[10]).await;
    history.append(1, &[300, 5_000, 20]).await;
    history.append(1, &[9_000, 100, 100]).await;
    history.vote(2).await;
    history.replace_after(4, 2, &[700, 6_000]).await;
    history.append(2, &[12_000]).await;
    history.purge(3).await;
    history.append(2, &[40, 40]).await;
    history.append(2, &[13_000]).await;
    history.append(2, &[13_000, 10]).await;
    history.purge(9).await;
    history.vote(3).await;
    history.append(3, &[1, 2, 3]).await;
    history.replace_after(10, 4, &[9_000, 9_000]).await;
    history.append(4, &[50]).await;
    history
}

/// The states that may be seen after a cut that follows `cut` changes.
fn allowed(steps: &[Step], cut: usize) -> Vec<&Known> {
    let sure = steps
        .iter()
        .rposition(|step| step.durable_at <= cut)
        .unwrap_or(0);
    let possible = steps[sure..].iter().take_while(|step| step.asked_at <= cut);
    possible.map(|step| &step.known).collect()
}

fn check_image(files: BTreeMap<String, Vec<u8>>, steps: &[Step], cut: usize, how: Unsynced) {
    let disk = MemoryDisk::with_files(files);
    let opened = LogStore::open_on(Arc::new(disk), &dir(), STORE, small());
    let mut log = opened.unwrap_or_else(|e| panic!("cut {cut} {how:?}: {e}"));
    runtime().block_on(async {
        let found = read_all(&mut log).await;
        let allowed = allowed(steps, cut);
        let brief = |k: &Known| {
            (
                k.vote,
                k.purged,
                k.entries.values().map(|e| e.log_id).collect::<Vec<_>>(),
            )
        };
        assert!(
            allowed.contains(&&found),
            "cut {cut} {how:?}: found {:?}, allowed {:?}",
            brief(&found),
            allowed.iter().map(|k| brief(k)).collect::<Vec<_>>()
        );
        let next = found.entries.keys().next_back().map_or(0, |i| i + 1);
        let next = next.max(found.purged.map_or(0, |p| p.index + 1));
        append(&mut log, vec![entry(9, next, 100)]).await;
    });
}

#[test]
fn acknowledged_entries_and_votes_survive_a_power_cut_anywhere() {
    let history = runtime().block_on(a_busy_life());
    let changes = history.disk.recorded();
    let created = history.steps[0].durable_at;
    let syncs = changes
        .iter()
        .filter(|c| matches!(c, Change::Sync { .. }))
        .count();
    assert!(
        syncs > 15,
        "the history is too short to show anything: {syncs}"
    );
    let removed = changes.iter().any(|c| matches!(c, Change::Remove { .. }));
    assert!(removed, "the history never removed a segment");
    let none = BTreeMap::new();
    for cut in created..=changes.len() {
        for how in [Unsynced::Dropped, Unsynced::Kept] {
            check_image(image(&none, &changes[..cut], how), &history.steps, cut, how);
        }
        for seed in 0..40 {
            let how = Unsynced::InPart(seed * 1000 + cut as u64);
            check_image(image(&none, &changes[..cut], how), &history.steps, cut, how);
        }
    }
}

#[test]
fn a_power_cut_while_a_torn_end_is_mended_is_mended_too() {
    let history = runtime().block_on(a_busy_life());
    let changes = history.disk.recorded();
    let cut = changes
        .iter()
        .rposition(|c| matches!(c, Change::Write { .. }))
        .expect("a write")
        + 1;
    let none = BTreeMap::new();
    for seed in 0..30 {
        let torn = image(&none, &changes[..cut], Unsynced::InPart(seed));
        let disk = MemoryDisk::with_files(torn.clone());
        drop(LogStore::open_on(Arc::new(disk.clone()), &dir(), STORE, small()).expect("mend"));
        let mending = disk.recorded();
        for second in 0..=mending.len() {
            for how in [Unsynced::Dropped, Unsynced::Kept, Unsynced::InPart(seed)] {
                let files = image(&torn, &mending[..second], how);
                check_image(files, &history.steps, cut, how);
            }
        }
    }
}

#[test]
fn what_is_read_at_start_was_made_durable_first() {
    let history = runtime().block_on(a_busy_life());
    let changes = history.disk.recorded();
    let none = BTreeMap::new();
    // The process dies between write and sync: the operating system still has the bytes.
    let written = image(&none, &changes[..changes.len() - 1], Unsynced::Kept);
    let disk = MemoryDisk::with_files(written.clone());
    let mut log = open(Arc::new(disk.clone()), &dir());
    let found = runtime().block_on(read_all(&mut log));
    let opening = disk.recorded();
    let rewritten: usize = opening
        .iter()
        .map(|c| {
            if let Change::Write { bytes, .. } = c {
                bytes.len()
            } else {
                0
            }
        })
        .sum();
    assert!(rewritten > 0, "the last batch is written again");
    let after = image(&written, &opening, Unsynced::Dropped);
    let mut again = open(Arc::new(MemoryDisk::with_files(after)), &dir());
    assert_eq!(runtime().block_on(read_all(&mut again)), found);
}

#[test]
fn operations_queued_together_keep_their_order_through_a_cut() {
    // Many operations in few batches: after a cut, what is found is a prefix of what was asked.
    for seed in 0..6 {
        let disk = MemoryDisk::default();
        segment::create(&disk, &dir(), STORE).expect("create");
        let created = disk.changes();
        let mut log = open(Arc::new(disk.clone()), &dir());
        let mut random = Random(seed);
        runtime().block_on(async {
            let mut told = Vec::new();
            for index in 0..60 {
                let size = random.below(900) as usize;
                told.push(start_append(&mut log, vec![entry(1, index, size)]).await);
            }
            for told in told {
                told.await.expect("told").expect("durable");
            }
        });
        let changes = disk.recorded();
        for cut in created..=changes.len() {
            let files = image(
                &BTreeMap::new(),
                &changes[..cut],
                Unsynced::InPart(seed + cut as u64),
            );
            let mut log = open(Arc::new(MemoryDisk::with_files(files)), &dir());
            let found = runtime().block_on(read_all(&mut log));
            let indexes: Vec<u64> = found.entries.keys().copied().collect();
            let prefix: Vec<u64> = (0..indexes.len() as u64).collect();
            assert_eq!(indexes, prefix, "seed {seed} cut {cut}");
        }
        assert_eq!(log_id(1, 59), log_state_last(&mut log));
    }
}

#[test]
fn the_committed_position_never_goes_beyond_the_entries() {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE).expect("create");
    let created = disk.changes();
    let mut log = open(Arc::new(disk.clone()), &dir());
    runtime().block_on(async {
        let slow = disk.hold();
        let mut told = Vec::new();
        // The large ones fill a batch each, so that the last entry is not in the first batch.
        for (index, size) in [(0, 10), (1, 17_000), (2, 17_000), (3, 10)] {
            told.push(start_append(&mut log, vec![entry(1, index, size)]).await);
        }
        log.save_committed(Some(log_id(1, 3)))
            .await
            .expect("committed");
        drop(slow);
        for durable in told {
            durable.await.expect("told").expect("durable");
        }
    });
    drop(log);
    let changes = disk.recorded();
    let mut seen = 0;
    for cut in created..=changes.len() {
        let files = image(&BTreeMap::new(), &changes[..cut], Unsynced::Kept);
        let mut log = open(Arc::new(MemoryDisk::with_files(files)), &dir());
        let committed = runtime().block_on(log.read_committed()).expect("committed");
        if committed.is_some() {
            assert_eq!(log_state_last(&mut log), log_id(1, 3), "cut {cut}");
            seen += 1;
        }
    }
    assert!(seen > 0, "the committed position was never written");
}

fn log_state_last(log: &mut LogStore) -> LogId {
    let state = runtime().block_on(log.get_log_state()).expect("state");
    state.last_log_id.expect("entries")
}
