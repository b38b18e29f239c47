//! Damaged, foreign and missing pieces of the log: refused with file and offset, and left alone.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::disk::{MemoryDisk, Random, dir};
use common::{STORE, append, entry, open, runtime, small};
use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;
use tenure_storage::error::OpenError;
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{Vote, log_id};
use tenure_storage::wal::Options;
use tenure_storage::wal::frame::{BATCH_HEAD, BatchHead, SEGMENT_HEAD, seed};
use tenure_storage::wal::segment;

type Files = BTreeMap<String, Vec<u8>>;

const FIRST: &str = "00000000000000000001.wal";
const SECOND: &str = "00000000000000000002.wal";

/// A closed log: a vote and entries, one batch each, in a first and a second segment.
fn closed_log(entries: u64) -> Files {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE).expect("create");
    let mut log = open(Arc::new(disk.clone()), &dir());
    runtime().block_on(async {
        log.save_vote(&Vote::new(1, 1)).await.expect("vote");
        for index in 0..entries {
            append(&mut log, vec![entry(1, index, 700)]).await;
        }
    });
    drop(log);
    disk.files()
}

/// Opens `files`; returns what was said and what the files are afterwards.
fn try_open(files: Files) -> (Result<LogStore, OpenError>, MemoryDisk) {
    let disk = MemoryDisk::with_files(files);
    let log = LogStore::open_on(Arc::new(disk.clone()), &dir(), STORE, small());
    (log, disk)
}

fn refusal(files: &Files) -> String {
    let (opened, disk) = try_open(files.clone());
    let refused = opened.expect_err("refused").to_string();
    assert_eq!(disk.changes(), 0, "nothing is written: {refused}");
    refused
}

/// Where each batch of a segment begins, and where the last one ends.
fn batches(segment: &[u8]) -> Vec<usize> {
    let mut starts = vec![SEGMENT_HEAD];
    let mut at = SEGMENT_HEAD;
    while let Some(head) = BatchHead::decode(&segment[at..], seed(STORE)) {
        at += BATCH_HEAD + head.length as usize;
        starts.push(at);
    }
    starts
}

#[test]
fn a_flip_before_the_last_batch_is_refused_wherever_it_is() {
    let files = closed_log(32);
    for name in [FIRST, SECOND] {
        let good = &files[name];
        let starts = batches(good);
        let end = match name {
            SECOND => starts[starts.len() - 2],
            _ => starts[starts.len() - 1],
        };
        let mut random = Random(7);
        for at in 0..end {
            // Every byte of the headers, and a sample of what lies between.
            let in_head = starts
                .iter()
                .any(|start| (*start..start + BATCH_HEAD + 16).contains(&at));
            if !in_head && at >= SEGMENT_HEAD && random.below(40) > 0 {
                continue;
            }
            let mut damaged = files.clone();
            damaged.get_mut(name).expect("there")[at] ^= 1 << random.below(8);
            let says = refusal(&damaged);
            assert!(
                says.contains(name) && says.contains("byte"),
                "byte {at}: {says}"
            );
        }
    }
}

#[test]
fn damage_is_said_to_be_where_the_batch_begins() {
    let files = closed_log(5);
    let start = batches(&files[FIRST])[3];
    let mut damaged = files.clone();
    damaged.get_mut(FIRST).expect("there")[start + BATCH_HEAD + 100] ^= 4;
    let says = refusal(&damaged);
    assert!(
        says.contains(&format!("damaged at byte {start}: batch 4 is not whole")),
        "{says}"
    );
    assert!(says.contains("server id"), "it says what to do: {says}");
}

#[test]
fn a_seal_makes_damage_to_the_last_entry_known() {
    let files = closed_log(3);
    let starts = batches(&files[FIRST]);
    let last_entry = starts[starts.len() - 3];
    let mut damaged = files.clone();
    damaged.get_mut(FIRST).expect("there")[last_entry + BATCH_HEAD + 50] ^= 1;
    assert!(refusal(&damaged).contains("is not whole"));
}

#[test]
fn an_idle_log_is_sealed_each_time_it_falls_idle() {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE).expect("create");
    let options = Options {
        seal_after: Duration::from_millis(1),
        ..small()
    };
    let mut log = LogStore::open_on(Arc::new(disk.clone()), &dir(), STORE, options).expect("open");
    for index in 0..3 {
        runtime().block_on(append(&mut log, vec![entry(1, index, 700)]));
        let end = Instant::now() + Duration::from_secs(20);
        while !ends_with_a_seal(&disk.files()[FIRST]) {
            assert!(
                Instant::now() < end,
                "entry {index}: no seal although the log is idle"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn ends_with_a_seal(segment: &[u8]) -> bool {
    let starts = batches(segment);
    let last = starts[starts.len() - 2];
    BatchHead::decode(&segment[last..], seed(STORE)).is_some_and(|head| head.length == 0)
}

#[test]
fn a_log_cut_off_in_its_last_batch_is_mended() {
    let files = closed_log(5);
    let starts = batches(&files[FIRST]);
    let (last, end) = (starts[starts.len() - 3], starts[starts.len() - 2]);
    for cut in last..end {
        let mut torn = files.clone();
        torn.get_mut(FIRST).expect("there").truncate(cut);
        let (opened, disk) = try_open(torn);
        let mut log = opened.expect("mended");
        let state = runtime().block_on(log.get_log_state()).expect("state");
        assert_eq!(state.last_log_id, Some(log_id(1, 3)), "cut at {cut}");
        runtime().block_on(append(&mut log, vec![entry(1, 4, 10)]));
        drop(log);
        let (again, _) = try_open(disk.files());
        let state = runtime()
            .block_on(again.expect("whole").get_log_state())
            .expect("state");
        assert_eq!(state.last_log_id, Some(log_id(1, 4)), "cut at {cut}");
    }
}

#[test]
fn nothing_of_a_torn_batch_stays_in_the_file() {
    let files = closed_log(5);
    let starts = batches(&files[FIRST]);
    let (last, end) = (starts[starts.len() - 3], starts[starts.len() - 2]);
    let mut torn = files.clone();
    let bytes = torn.get_mut(FIRST).expect("there");
    bytes.truncate(end);
    bytes[last..last + 300].fill(0);
    let (opened, disk) = try_open(torn);
    let log = opened.expect("mended");
    assert_eq!(disk.files()[FIRST].len(), last);
    drop(log);
}

#[test]
fn batches_count_only_in_their_order() {
    let files = closed_log(5);
    let good = &files[FIRST];
    let starts = batches(good);
    let end = *starts.last().expect("batches");
    let (before, batch, after) = (
        &good[..starts[2]],
        &good[starts[2]..starts[3]],
        &good[starts[3]..end],
    );

    let without = Files::from([(FIRST.to_owned(), [before, after].concat())]);
    assert!(refusal(&without).contains("batch 3 is not whole"));

    let repeated = Files::from([(FIRST.to_owned(), [before, batch, after, batch].concat())]);
    let (opened, _) = try_open(repeated);
    let state = runtime()
        .block_on(opened.expect("torn").get_log_state())
        .expect("state");
    assert_eq!(state.last_log_id, Some(log_id(1, 4)));
}

#[test]
fn random_bytes_never_panic_and_are_never_taken_for_a_log() {
    let files = closed_log(5);
    let good = &files[FIRST];
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let keep = random.below(good.len() as u64) as usize;
        let mut bytes = good[..keep].to_vec();
        bytes.extend((0..random.below(2_000)).map(|_| random.next() as u8));
        let garbage = Files::from([(FIRST.to_owned(), bytes)]);
        let (opened, _) = try_open(garbage);
        if let Ok(mut log) = opened {
            let state = runtime().block_on(log.get_log_state()).expect("state");
            let last = state.last_log_id.map_or(0, |id| id.index + 1);
            assert!(last <= 5, "seed {seed}: {last} entries out of garbage");
        }
    }
}

#[test]
fn flips_anywhere_never_panic_and_never_alter_an_entry() {
    let files = closed_log(12);
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let mut bytes = files[FIRST].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        let (opened, _) = try_open(Files::from([(FIRST.to_owned(), bytes)]));
        let Ok(log) = opened else { continue };
        runtime().block_on(async {
            let found = log.reader().try_get_log_entries(..).await.expect("read");
            for (index, found) in (0..).zip(found) {
                assert_eq!(found, entry(1, index, 700), "seed {seed}");
            }
        });
    }
}

#[test]
fn missing_and_foreign_segments_are_refused() {
    let files = closed_log(70);
    assert!(files.len() >= 3, "{} segments", files.len());
    let without = |name: &str| {
        let mut files = files.clone();
        files.remove(name);
        files
    };
    let with = |name: &str, bytes: Vec<u8>| {
        let mut files = files.clone();
        files.insert(name.to_owned(), bytes);
        files
    };
    let changed = |name: &str, at: usize, to: u8| {
        let mut bytes = files[name].clone();
        bytes[at] = to;
        with(name, bytes)
    };
    let cases = [
        (without(FIRST), "were never purged"),
        (without(SECOND), "is missing"),
        (Files::new(), "is missing"),
        (with(SECOND, files[FIRST].clone()), "the file's header says"),
        (with(SECOND, Vec::new()), "is not a file of Tenure"),
        (
            with(SECOND, files[SECOND][..20].to_vec()),
            "ends within its header",
        ),
        (
            with(SECOND, files[SECOND][..50].to_vec()),
            "begins with is not whole",
        ),
        (with("notes.wal", Vec::new()), "not that of a segment"),
        (changed(FIRST, 0, b'X'), "is not a file of Tenure"),
        (changed(FIRST, 8, 2), "format version 2 (byte 8)"),
        (changed(FIRST, 20, 1), "does not match its checksum"),
    ];
    for (files, says) in cases {
        let said = refusal(&files);
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn the_log_of_another_store_is_refused() {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE + 1).expect("create");
    let says = refusal(&disk.files());
    assert!(says.contains("the file's header says"), "{says}");
}

#[test]
fn what_an_interrupted_rotation_leaves_is_removed() {
    let mut files = closed_log(5);
    let new = "00000000000000000002.wal.new";
    files.insert(new.to_owned(), b"TENUREWL half of it".to_vec());
    let (opened, disk) = try_open(files);
    drop(opened.expect("opened"));
    assert!(!disk.files().contains_key(new));
}
