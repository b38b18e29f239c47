//! The files of the log in any shape: damaged anywhere, and written with right checksums by a program that errs.
//! Opening refuses with a sentence and writes nothing, or gives what was written and goes on from there.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use common::disk::{MemoryDisk, dir};
use common::{STORE, append, entry, open, runtime, small};
use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tenure_garble::{Edit, edit, frugally, garbled};
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{
    Entry, EntryPayload, LogId, Membership, Payload, ServerAddr, Vote, log_id,
};
use tenure_storage::wal::Options;
use tenure_storage::wal::frame::{BatchHead, SegmentHead, seed};
use tenure_storage::wal::record::{
    Checkpoint, Record, decode_entry, encode_entry, encode_state, split_record,
};
use tenure_storage::wal::segment;

type Files = BTreeMap<String, Vec<u8>>;

fn options() -> Options {
    Options {
        segment_bytes: 2_000,
        batch_bytes: 600,
        ahead_bytes: 500,
        ..small()
    }
}

const ENTRIES: u64 = 30;

/// A closed log of entries in several segments, between votes.
fn closed_log() -> Files {
    let disk = MemoryDisk::default();
    segment::create(&disk, &dir(), STORE).expect("create");
    let on = Arc::new(disk.clone());
    let mut log = LogStore::open_on(on, &dir(), STORE, options()).expect("open");
    runtime().block_on(async {
        for index in 0..ENTRIES {
            if index % 10 == 0 {
                let vote = Vote::new(1 + index, 1);
                log.save_vote(&vote).await.expect("vote");
            }
            append(&mut log, vec![entry(1, index, 90)]).await;
        }
    });
    drop(log);
    disk.files()
}

/// What happens to a folder of files.
#[derive(Debug, Clone)]
enum Mishap {
    Edited(Index, Vec<Edit>),
    Gone(Index),
    /// One holds what another held.
    Copied(Index, Index),
    /// What lies in one is put into the midst of another.
    Spliced(Index, Index, Index),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let at = any::<Index>;
    prop_oneof![
        8 => (at(), vec(edit(), 1..3)).prop_map(|(file, edits)| Mishap::Edited(file, edits)),
        1 => at().prop_map(Mishap::Gone),
        1 => (at(), at()).prop_map(|(from, to)| Mishap::Copied(from, to)),
        1 => (at(), at(), at()).prop_map(|(from, to, place)| Mishap::Spliced(from, to, place)),
    ]
}

impl Mishap {
    fn befall(&self, files: &mut Files) {
        let names: Vec<String> = files.keys().cloned().collect();
        let name = |file: &Index| names[file.index(names.len())].clone();
        match self {
            Self::Edited(file, edits) => {
                let bytes = files.get_mut(&name(file)).expect("it is there");
                edits.iter().for_each(|edit| edit.apply(bytes));
            }
            Self::Gone(file) => drop(files.remove(&name(file))),
            Self::Copied(from, to) => {
                let bytes = files[&name(from)].clone();
                files.insert(name(to), bytes);
            }
            Self::Spliced(from, to, place) => {
                let piece = files[&name(from)].clone();
                let bytes = files.get_mut(&name(to)).expect("it is there");
                let at = place.index(bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// Opens the files; when they are refused nothing was written.
fn try_open(files: Files) -> Option<(LogStore, MemoryDisk)> {
    let held: usize = files.values().map(Vec::len).sum();
    let disk = MemoryDisk::with_files(files);
    let on = Arc::new(disk.clone());
    let opened = frugally(held, || LogStore::open_on(on, &dir(), STORE, options()));
    match opened {
        Ok(log) => Some((log, disk)),
        Err(refused) => {
            assert_eq!(disk.changes(), 0, "it was refused: {refused}");
            assert!(refused.to_string().len() > 20, "{refused}");
            None
        }
    }
}

fn last(log: &mut LogStore) -> Option<LogId> {
    let state = runtime().block_on(log.get_log_state());
    state.expect("it can be asked").last_log_id
}

proptest! {
    #[test]
    fn garbage_in_a_log_is_refused_or_leaves_the_beginning_of_what_it_was(mishap in mishap()) {
        let mut files = closed_log();
        mishap.befall(&mut files);
        let Some((mut log, disk)) = try_open(files) else {
            return Ok(());
        };
        let next = last(&mut log).map_or(0, |last| last.index + 1);
        prop_assert!(next <= ENTRIES);
        let mut reader = log.reader();
        let read = runtime().block_on(reader.try_get_log_entries(0..u64::MAX)).expect("read");
        let written: Vec<Entry> = (0..next).map(|index| entry(1, index, 90)).collect();
        prop_assert_eq!(read, written);
        runtime().block_on(append(&mut log, vec![entry(2, next, 10)]));
        drop((log, reader));
        let mut again = open(Arc::new(disk), &dir());
        prop_assert_eq!(last(&mut again), Some(log_id(2, next)));
    }
}

/// What an erring program may have written with a right checksum.
#[derive(Debug, Clone)]
enum Written {
    /// The next entry, or one that leaves some out.
    Entry(u64, Shape),
    /// So many entries are taken back, or given away.
    Truncate(u64),
    Purge(u64),
    State(Record),
    Garbled(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Shape {
    Blank,
    Command(Vec<u8>),
    Membership,
}

fn ids() -> impl Strategy<Value = LogId> {
    let index = prop_oneof![0..40_u64, (u64::MAX - 2)..=u64::MAX, any::<u64>()];
    (0..4_u64, index).prop_map(|(term, index)| log_id(term, index))
}

fn states() -> impl Strategy<Value = Record> {
    let vote = (any::<u64>(), any::<u64>()).prop_map(|(term, server)| Vote::new(term, server));
    let maybe = || proptest::option::of(ids());
    let checkpoint = (proptest::option::of(vote), maybe(), maybe(), maybe());
    let checkpoint = checkpoint.prop_map(|(vote, committed, purged, last)| Checkpoint {
        vote,
        committed,
        purged,
        last,
    });
    prop_oneof![
        checkpoint.prop_map(Record::Checkpoint),
        maybe().prop_map(Record::Committed),
        maybe().prop_map(Record::TruncateAfter),
        ids().prop_map(Record::Purge),
        ids().prop_map(Record::Entry),
    ]
}

fn membership() -> Membership {
    let address = ServerAddr {
        raft: "a:1".to_owned(),
        api: "a:2".to_owned(),
    };
    let servers = BTreeMap::from([(1, address.clone()), (2, address)]);
    Membership::new(vec![[1, 2].into()], servers).expect("it is well-formed")
}

fn encoded(id: LogId, shape: &Shape) -> Vec<u8> {
    let payload = match shape {
        Shape::Blank => EntryPayload::Blank,
        Shape::Command(bytes) => EntryPayload::Normal(Payload(Bytes::from(bytes.clone()))),
        Shape::Membership => EntryPayload::Membership(membership()),
    };
    let mut bytes = Vec::new();
    let log_id = id;
    encode_entry(&mut bytes, &Entry { log_id, payload });
    bytes
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Blank),
        vec(any::<u8>(), 0..40).prop_map(Shape::Command),
        Just(Shape::Membership),
    ]
}

/// Any record, as it was encoded.
fn records() -> BoxedStrategy<Vec<u8>> {
    let of_state = states().prop_map(|record| {
        let mut bytes = Vec::new();
        encode_state(&mut bytes, &record);
        bytes
    });
    let of_entry = (ids(), shapes()).prop_map(|(id, shape)| encoded(id, &shape));
    prop_oneof![of_state, of_entry].boxed()
}

/// Kind and body as they are, under a head that fits them.
fn sealed(kind_and_body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(kind_and_body.len().saturating_sub(1)).expect("it is short");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(crc32c::crc32c(kind_and_body).to_le_bytes());
    bytes.extend(kind_and_body);
    bytes
}

fn resealed() -> impl Strategy<Value = Vec<u8>> {
    let bodies = records().prop_map(|bytes| bytes[8..].to_vec()).boxed();
    garbled(bodies).prop_map(|body| sealed(if body.is_empty() { &[0] } else { &body }))
}

fn written() -> impl Strategy<Value = Written> {
    let skips = prop_oneof![30 => Just(0_u64), 1 => 1..3_u64];
    prop_oneof![
        20 => (skips, shapes()).prop_map(|(skip, shape)| Written::Entry(skip, shape)),
        3 => (0..6_u64).prop_map(Written::Truncate),
        3 => (0..6_u64).prop_map(Written::Purge),
        1 => states().prop_map(Written::State),
        1 => resealed().prop_map(Written::Garbled),
    ]
}

/// The body of a batch, which goes on after `last`.
fn body(records: &[Written], last: &mut Option<LogId>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        match record {
            Written::Entry(skip, shape) => {
                let next = last.map_or(0, |last| last.index.wrapping_add(1));
                let id = log_id(3, next.wrapping_add(*skip));
                bytes.extend(encoded(id, shape));
                *last = Some(id);
            }
            Written::Truncate(by) => {
                let to = last.and_then(|last| Some(log_id(3, last.index.checked_sub(*by)?)));
                encode_state(&mut bytes, &Record::TruncateAfter(to));
                *last = to;
            }
            Written::Purge(behind) => {
                let to = last.map_or(0, |last| last.index.saturating_sub(*behind));
                encode_state(&mut bytes, &Record::Purge(log_id(3, to)));
            }
            Written::State(record) => drop(encode_state(&mut bytes, record)),
            Written::Garbled(garbled) => bytes.extend(garbled),
        }
    }
    bytes
}

/// One segment that begins with a checkpoint, with numbers as high as asked for.
fn segment(begin: &Checkpoint, number: u32, first_seq: u64, batches: &[Vec<Written>]) -> Files {
    let (store, seed) = (STORE, seed(STORE));
    let head = SegmentHead {
        store,
        number: u64::from(number),
        first_seq,
    };
    let mut bytes = head.encode().to_vec();
    let mut first = Vec::new();
    encode_state(&mut first, &Record::Checkpoint(*begin));
    let mut last = begin.last;
    let bodies = batches.iter().map(|batch| body(batch, &mut last));
    for (seq, body) in std::iter::once(first).chain(bodies).enumerate() {
        let seq = first_seq.wrapping_add(seq as u64);
        let batch = BatchHead::of(&body, seq, seq.wrapping_sub(1), seed);
        bytes.extend(batch.encode(seed));
        bytes.extend(body);
    }
    let path = segment::segment_path(&dir(), number);
    let name = path.file_name().expect("it has a name").to_string_lossy();
    [(name.into_owned(), bytes)].into()
}

fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    let near_the_end = (0..6_u64).prop_map(|from| u64::MAX - from);
    let at = prop_oneof![0..20_u64, near_the_end].prop_map(|index| Some(log_id(2, index)));
    prop_oneof![
        3 => Just(Checkpoint::default()),
        // Everything up to there was purged.
        3 => at.prop_map(|last| Checkpoint { last, purged: last, ..Checkpoint::default() }),
        1 => states().prop_map(|state| {
            if let Record::Checkpoint(it) = state { it } else { Checkpoint::default() }
        }),
    ]
}

/// Found by the test below: each was opened once, or ended the program.
#[test]
fn numbers_that_no_log_has_are_refused() {
    let at = |purged: Option<u64>, last: Option<u64>| Checkpoint {
        purged: purged.map(|index| log_id(1, index)),
        last: last.map(|index| log_id(1, index)),
        ..Checkpoint::default()
    };
    let entry = |skip| vec![vec![Written::Entry(skip, Shape::Blank)]];
    for (begin, first_seq, batches) in [
        (at(None, None), 1, entry(1)),
        (at(None, Some(1)), 1, entry(0)),
        (at(Some(1), None), 1, entry(0)),
        (at(None, None), u64::MAX - 3, vec![vec![]; 5]),
        (at(Some(u64::MAX), Some(u64::MAX)), 1, vec![]),
    ] {
        let opened = try_open(segment(&begin, 1, first_seq, &batches));
        assert!(opened.is_none(), "{begin:?}, {first_seq}, {batches:?}");
    }
}

proptest! {
    #[test]
    fn garbage_that_was_written_is_refused_or_gone_on_from(
        begin in checkpoints(),
        number in prop_oneof![Just(1_u32), Just(2), Just(u32::MAX / 2)],
        first_seq in prop_oneof![4 => Just(1_u64), 1 => (u64::MAX - 5)..=u64::MAX, 1 => 0..2_u64],
        batches in vec(vec(written(), 0..6), 0..5),
    ) {
        let files = segment(&begin, number, first_seq, &batches);
        let Some((mut log, _)) = try_open(files) else {
            return Ok(());
        };
        let (last, purged) = (last(&mut log), log.purged());
        let mut reader = log.reader();
        let read = runtime().block_on(reader.try_get_log_entries(0..u64::MAX));
        if let Ok(read) = read {
            let from = purged.map_or(0, |purged| purged.index.saturating_add(1));
            let indexes = read.iter().map(|entry| entry.log_id.index);
            prop_assert!(indexes.eq(from..from + read.len() as u64));
            prop_assert_eq!(read.last().map(|it| it.log_id).or(purged), last);
        }
        if let Some(next) = last.map_or(Some(0), |last| last.index.checked_add(1)) {
            let wanted = vec![entry(4, next, 10)];
            // A log whose numbers are used up may say so; it must not do anything else.
            let told = runtime().block_on(async {
                common::start_append(&mut log, wanted).await.await
            });
            drop(told);
        }
    }

    #[test]
    fn garbage_for_a_record_is_read_as_what_it_says_or_refused(bytes in prop_oneof![
        garbled(records()),
        resealed(),
    ]) {
        let split = frugally(bytes.len(), || split_record(&bytes).map(|(raw, end)| (raw.decode(), end)));
        if let Ok((record, end)) = split {
            prop_assert!(end <= bytes.len());
            if let Ok(record) = record {
                let mut again = Vec::new();
                encode_state(&mut again, &record);
                let read = split_record(&again).and_then(|(raw, _)| raw.decode());
                prop_assert_eq!(read, Ok(record));
            }
        }
        let shared = Bytes::from(bytes);
        if let Ok(entry) = frugally(shared.len(), || decode_entry(&shared, 0)) {
            let mut again = Vec::new();
            encode_entry(&mut again, &entry);
            prop_assert_eq!(decode_entry(&Bytes::from(again), 0), Ok(entry));
        }
    }
}
