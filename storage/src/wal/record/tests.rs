use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::types::{Membership, ServerAddr, log_id};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry(term: u64, index: u64, payload: EntryPayload) -> Entry {
    Entry {
        log_id: log_id(term, index),
        payload,
    }
}

fn membership() -> Membership {
    let server = |raft: &str, api: &str| ServerAddr {
        raft: raft.into(),
        api: api.into(),
    };
    let servers = BTreeMap::from([(1, server("a", "b")), (2, server("c", "d"))]);
    Membership::new(vec![BTreeSet::from([1, 2])], servers).expect("valid")
}

fn command(bytes: &'static [u8]) -> EntryPayload {
    EntryPayload::Normal(Payload(Bytes::from_static(bytes)))
}

// The bytes of the goldens below were computed by a program of its own.
#[test]
fn golden_entries_of_format_version_1() {
    let cases = [
        (entry(3, 7, EntryPayload::Blank), "0300000049e8610501030700"),
        (
            entry(3, 256, command(b"hi")),
            "070000006835a7020103fb0001016869",
        ),
        (
            entry(1, 0, EntryPayload::Membership(membership())),
            "120000003fff36d901010002010201020201016101620201630164",
        ),
    ];
    for (entry, golden) in cases {
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, &entry);
        assert_eq!(hex(&bytes), golden, "{entry}");
        let bytes = Bytes::from(bytes);
        assert_eq!(decode_entry(&bytes, 0), Ok(entry.clone()));
        let (raw, length) = split_record(&bytes).expect("whole");
        assert_eq!(
            (raw.decode(), length),
            (Ok(Record::Entry(entry.log_id)), bytes.len())
        );
    }
}

#[test]
fn golden_state_records_of_format_version_1() {
    let id = Some(log_id(5, 9));
    let vote = Vote::new_committed(5, 2);
    let checkpoint = Checkpoint {
        vote: Some(vote),
        committed: id,
        purged: None,
        last: Some(log_id(5, 10)),
    };
    let cases = [
        (Record::Vote(vote), "03000000cfedb11902050201"),
        (Record::Committed(id), "03000000e7729eaa03010509"),
        (Record::Committed(None), "010000004bdf86c50300"),
        (Record::TruncateAfter(id), "030000002dca9eb304010509"),
        (Record::Purge(log_id(5, 9)), "0200000079b7617e050509"),
        (
            Record::Checkpoint(checkpoint),
            "0b0000002e44980c06010502010105090001050a",
        ),
    ];
    for (record, golden) in cases {
        let mut bytes = Vec::new();
        encode_state(&mut bytes, &record);
        assert_eq!(hex(&bytes), golden, "{record:?}");
        let (raw, _) = split_record(&bytes).expect("whole");
        assert_eq!(raw.decode(), Ok(record));
    }
}

#[test]
fn records_that_cannot_be_read_say_why() {
    let mut good = Vec::new();
    encode_state(&mut good, &Record::Purge(log_id(5, 9)));
    let made = |kind: u8, body: &[u8]| {
        let mut bytes = Vec::new();
        encode(&mut bytes, kind, (), body);
        bytes
    };
    let cases = [
        (good[..4].to_vec(), "does not fit"),
        (good[..good.len() - 1].to_vec(), "does not fit"),
        ([&[0xFF; 8][..], &good[8..]].concat(), "does not fit"),
        ([&good[..10], &[7][..]].concat(), "checksum"),
        (made(99, b""), "kind 99"),
        (made(PURGE, &[5]), "kind 5 has a body"),
        (made(PURGE, &[5, 9, 1]), "1 bytes are left over"),
        (made(ENTRY, &[5, 9, 7]), "shape 7"),
        (
            made(ENTRY, &[5, 9, 2, 0xFD, 0xFF, 0xFF, 0xFF]),
            "kind 1 has a body",
        ),
    ];
    for (bytes, says) in cases {
        let error = match split_record(&bytes) {
            Ok((raw, _)) if raw.kind == ENTRY => decode_entry(&Bytes::from(bytes), 0).err(),
            Ok((raw, _)) => raw.decode().err(),
            Err(e) => Some(e),
        };
        let error = error.expect(says).to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}
