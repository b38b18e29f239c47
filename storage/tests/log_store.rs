//! The log store at work: reading back, restarting, rotating, purging, and failing.

mod common;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use common::disk::{MemoryDisk, dir};
use common::{STORE, append, entry, open, runtime, small, start_append};
use futures::StreamExt;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{EntryPayload, RaftLogReader};
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{Entry, TypeConfig, Vote, log_id};
use tenure_storage::wal::{LogError, segment};

fn folder(path: &Path) -> DataFolder {
    let identity = Identity {
        cluster: "c".into(),
        server: 1,
    };
    DataFolder::open(path, identity).expect("folder")
}

fn in_memory() -> (MemoryDisk, LogStore) {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE).expect("create");
    let log = open(Arc::new(disk.clone()), &dir());
    (disk, log)
}

#[test]
fn everything_is_back_after_a_restart_from_real_files() {
    let temp = tempfile::tempdir().expect("temp");
    let all: Vec<Entry> = (0..200)
        .map(|i| entry(1 + i / 50, i, (i * 7 % 900) as usize))
        .collect();
    runtime().block_on(async {
        let mut log = LogStore::open_with(&folder(temp.path()), small()).expect("open");
        log.save_vote(&Vote::new_committed(4, 1))
            .await
            .expect("vote");
        for some in all.chunks(13) {
            append(&mut log, some.to_vec()).await;
        }
        log.save_committed(Some(log_id(4, 190)))
            .await
            .expect("committed");
        drop(log);

        let mut log = LogStore::open_with(&folder(temp.path()), small()).expect("reopen");
        assert_eq!(
            log.read_committed().await.expect("committed"),
            Some(log_id(4, 190))
        );
        let mut reader = log.reader();
        assert_eq!(
            reader.read_vote().await.expect("vote"),
            Some(Vote::new_committed(4, 1))
        );
        assert_eq!(reader.try_get_log_entries(..).await.expect("read"), all);
        assert_eq!(
            reader.try_get_log_entries(50..=52).await.expect("read"),
            all[50..=52]
        );
        let streamed: Vec<_> = reader
            .entries_stream(3..180)
            .await
            .map(|e| e.expect("entry"))
            .collect()
            .await;
        assert_eq!(streamed, all[3..180]);
        let ids = reader
            .get_key_log_ids(log_id(1, 0)..=log_id(4, 199))
            .await
            .expect("ids");
        assert_eq!(
            ids,
            [log_id(1, 49), log_id(2, 99), log_id(3, 149), log_id(4, 199)]
        );
        assert!(log.stats().segments > 3, "{:?}", log.stats());
    });
}

#[test]
fn the_log_keeps_the_folder_locked() {
    let temp = tempfile::tempdir().expect("temp");
    let log = LogStore::open(&folder(temp.path())).expect("open");
    let identity = Identity {
        cluster: "c".into(),
        server: 1,
    };
    DataFolder::open(temp.path(), identity.clone()).expect_err("locked");
    drop(log);
    DataFolder::open(temp.path(), identity).expect("free");
}

#[test]
fn memory_holds_recent_entries_and_files_the_rest() {
    let (_disk, mut log) = in_memory();
    runtime().block_on(async {
        for index in 0..100 {
            append(&mut log, vec![entry(1, index, 500)]).await;
        }
        // The last completion comes before its entries may leave memory: one more makes sure.
        log.save_vote(&Vote::new(2, 1)).await.expect("vote");
        log.save_vote(&Vote::new(3, 1)).await.expect("vote");
        let stats = log.stats();
        assert_eq!(stats.entries, 100);
        assert!(
            stats.cached > 0 && stats.cached_bytes <= small().cache_bytes,
            "{stats:?}"
        );
        let all = log.reader().try_get_log_entries(..).await.expect("read");
        assert_eq!(all, (0..100).map(|i| entry(1, i, 500)).collect::<Vec<_>>());
    });
}

#[test]
fn segments_go_once_all_they_hold_is_purged_or_replaced() {
    let (disk, mut log) = in_memory();
    runtime().block_on(async {
        for index in 0..90 {
            append(&mut log, vec![entry(1, index, 1_000)]).await;
        }
        let before = disk.files().len();
        assert!(before >= 4, "{before} segments");
        log.truncate_after(Some(log_id(1, 39)))
            .await
            .expect("truncate");
        log.purge(log_id(1, 30)).await.expect("purge");
        append(&mut log, vec![entry(2, 40, 10)]).await;
        log.save_vote(&Vote::new(2, 1)).await.expect("vote");
        let names: Vec<String> = disk.files().into_keys().collect();
        assert!(!names[0].ends_with("01.wal"), "{names:?}");
        drop(log);

        let mut log = open(Arc::new(disk.clone()), &dir());
        log.purge(log_id(2, 40)).await.expect("purge");
        log.save_vote(&Vote::new(3, 1)).await.expect("vote");
        log.save_vote(&Vote::new(4, 1)).await.expect("vote");
        assert_eq!(
            disk.files().len(),
            1,
            "everything is purged but the last segment"
        );
        append(&mut log, vec![entry(3, 41, 10)]).await;
        drop(log);

        let log = open(Arc::new(disk.clone()), &dir());
        let all = log.reader().try_get_log_entries(..).await.expect("read");
        assert_eq!(all, [entry(3, 41, 10)]);
    });
}

#[test]
fn segments_whose_entries_were_replaced_go_with_the_next_purge() {
    let (disk, mut log) = in_memory();
    runtime().block_on(async {
        for index in 0..90 {
            append(&mut log, vec![entry(1, index, 1_000)]).await;
        }
        log.truncate_after(Some(log_id(1, 9)))
            .await
            .expect("truncate");
        append(&mut log, vec![entry(2, 10, 10)]).await;
        log.purge(log_id(1, 9)).await.expect("purge");
        log.save_vote(&Vote::new(2, 1)).await.expect("vote");
        log.save_vote(&Vote::new(3, 1)).await.expect("vote");
        assert_eq!(disk.files().len(), 1, "{:?}", disk.files().keys());
        drop(log);
        let log = open(Arc::new(disk), &dir());
        let all = log.reader().try_get_log_entries(..).await.expect("read");
        assert_eq!(all, [entry(2, 10, 10)]);
    });
}

#[test]
fn a_purge_beyond_the_end_moves_the_log_there() {
    let (disk, mut log) = in_memory();
    runtime().block_on(async {
        append(&mut log, vec![entry(1, 0, 10), entry(1, 1, 10)]).await;
        log.purge(log_id(7, 500)).await.expect("purge");
        append(&mut log, vec![entry(7, 501, 10)]).await;
        drop(log);
        let mut log = open(Arc::new(disk), &dir());
        let state = log.get_log_state().await.expect("state");
        assert_eq!(state.last_purged_log_id, Some(log_id(7, 500)));
        assert_eq!(state.last_log_id, Some(log_id(7, 501)));
    });
}

#[test]
fn entries_that_leave_a_hole_or_are_too_long_are_refused_and_change_nothing() {
    let (_disk, mut log) = in_memory();
    runtime().block_on(async {
        append(&mut log, vec![entry(1, 0, 10)]).await;
        let cases = [
            (
                vec![entry(1, 2, 10)],
                "entry 2 cannot be appended, the next one is 1",
            ),
            (
                vec![entry(1, 1, 10), entry(1, 3, 10)],
                "entry 3 cannot be appended",
            ),
            (
                vec![entry(1, 1, 40 << 20)],
                "the log takes 33554432 at most",
            ),
        ];
        for (entries, says) in cases {
            let refused = log.append(entries, IOFlushed::<TypeConfig>::noop()).await;
            let refused = refused.expect_err(says);
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(refused.to_string().contains(says), "{refused}");
        }
        append(&mut log, vec![entry(1, 1, 10)]).await;
        assert_eq!(
            log.reader()
                .try_get_log_entries(..)
                .await
                .expect("read")
                .len(),
            2
        );
    });
}

#[test]
fn a_large_append_is_durable_as_a_whole() {
    let (disk, mut log) = in_memory();
    runtime().block_on(async {
        let all: Vec<Entry> = (0..5).map(|i| entry(1, i, 600_000)).collect();
        append(&mut log, all.clone()).await;
        let on_disk = open(Arc::new(MemoryDisk::with_files(disk.files())), &dir());
        assert_eq!(
            on_disk
                .reader()
                .try_get_log_entries(..)
                .await
                .expect("read"),
            all
        );
        let some = log
            .reader()
            .limited_get_log_entries(0, 5)
            .await
            .expect("read");
        assert_eq!(some, all[..1], "what is handed out at once is bounded");
    });
}

#[test]
fn blank_entries_are_kept_as_such() {
    let (disk, mut log) = in_memory();
    let blank = Entry {
        log_id: log_id(1, 0),
        payload: EntryPayload::Blank,
    };
    runtime().block_on(async {
        append(&mut log, vec![blank.clone()]).await;
        drop(log);
        let log = open(Arc::new(disk), &dir());
        assert_eq!(
            log.reader().try_get_log_entries(..).await.expect("read"),
            [blank]
        );
    });
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_acknowledged_any_more() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for healthy in 0..2 {
            let (disk, mut log) = in_memory();
            runtime().block_on(async {
                append(&mut log, vec![entry(1, 0, 10)]).await;
                disk.fail_after(healthy, kind);
                let told = start_append(&mut log, vec![entry(1, 1, 10)])
                    .await
                    .await
                    .expect("told");
                let error = told.expect_err("not durable");
                assert_eq!(error.kind(), kind);
                let inner = error.get_ref().and_then(|e| e.downcast_ref::<LogError>());
                let Some(LogError::Disk(disk_error)) = inner else {
                    panic!("a typed error is inside: {error:?}");
                };
                assert_eq!(disk_error.is_full(), kind == ErrorKind::StorageFull);
                log.check().expect_err("stopped for good");
                let again = log
                    .append([entry(1, 2, 10)], IOFlushed::<TypeConfig>::noop())
                    .await;
                assert_eq!(again.expect_err("stopped").kind(), kind);
                assert_eq!(
                    log.save_vote(&Vote::new(9, 1))
                        .await
                        .expect_err("stopped")
                        .kind(),
                    kind
                );
                log.purge(log_id(1, 0)).await.expect_err("stopped");
                log.save_committed(Some(log_id(1, 0)))
                    .await
                    .expect_err("stopped");
                assert_eq!(log.reader().read_vote().await.expect("vote"), None);
            });
            drop(log);
            let log = open(Arc::new(MemoryDisk::with_files(disk.files())), &dir());
            let kept = runtime()
                .block_on(log.reader().try_get_log_entries(..))
                .expect("read");
            assert_eq!(kept[0], entry(1, 0, 10));
        }
    }
}

#[test]
fn what_queues_up_behind_a_slow_disk_shares_a_few_batches() {
    let (disk, mut log) = in_memory();
    runtime().block_on(async {
        append(&mut log, vec![entry(1, 0, 20)]).await;
        let before = log.stats().batches;
        let slow = disk.hold();
        let mut told = Vec::new();
        for index in 1..=300 {
            told.push(start_append(&mut log, vec![entry(1, index, 20)]).await);
        }
        assert_eq!(
            log.reader()
                .try_get_log_entries(..)
                .await
                .expect("read")
                .len(),
            301
        );
        drop(slow);
        for durable in told {
            durable.await.expect("told").expect("durable");
        }
        // The one that was under way, and all that had queued up by then.
        let batches = log.stats().batches - before;
        assert!(batches <= 2, "{batches} batches for 300 appends");
    });
}
