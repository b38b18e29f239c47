//! The bytes of every kind of command and record, as format version 1 writes them for ever.
//!
//! `TENURE_WRITE_GOLDEN=1` rewrites the file; a line that changes means that servers of two versions
//! do not understand each other.

use std::collections::BTreeSet;
use std::fmt::Write;

use openraft::Membership;
use tenure_core::Revision;
use tenure_storage::format::{
    Meta, Pending, VERSION, decode_command, decode_key, decode_record, encode_command, encode_key,
    encode_record,
};
use tenure_storage::types::{ServerAddr, StoredMembership, log_id};

use crate::samples;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/format-v1.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("ascii");
        u8::from_str_radix(pair, 16).expect("hex")
    };
    text.as_bytes().chunks(2).map(digit).collect()
}

fn meta() -> Meta {
    let voters = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 4])];
    let servers = (1..=5u64).map(|id| {
        let address = ServerAddr {
            raft: format!("s{id}:7101"),
            api: format!("s{id}:7100"),
        };
        (id, address)
    });
    let servers: std::collections::BTreeMap<u64, ServerAddr> = servers.collect();
    let membership = Membership::new(voters, servers).expect("membership");
    Meta {
        applied: Some(log_id(3, 900)),
        revision: Revision(899),
        membership: StoredMembership::new(Some(log_id(2, 700)), membership),
        checkpoint: 12,
        tree: 2,
        parts: 1_000,
        sum: u64::MAX,
    }
}

fn lines() -> Vec<(String, Vec<u8>)> {
    let command = |(kind, command)| {
        let bytes = encode_command(&samples::envelope(command)).to_vec();
        (format!("command {kind}"), bytes)
    };
    let mut all: Vec<_> = samples::commands().into_iter().map(command).collect();
    for record in samples::records() {
        let key = record.key();
        all.push((format!("key {key}"), encode_key(&key)));
        all.push((format!("record {key}"), encode_record(&record)));
    }
    let pending = Pending {
        meta: meta(),
        pieces: 17,
    };
    all.push(("meta".to_owned(), meta().encode()));
    all.push(("empty meta".to_owned(), Meta::default().encode()));
    all.push(("pending".to_owned(), pending.encode()));
    all
}

#[test]
fn every_kind_has_the_bytes_that_version_1_gave_it() {
    let line = |(name, bytes): (String, Vec<u8>)| format!("v{VERSION} {name}: {}\n", hex(&bytes));
    let now: String = lines().into_iter().map(line).collect();
    if std::env::var_os("TENURE_WRITE_GOLDEN").is_some() {
        std::fs::write(FILE, &now).expect("write");
    }
    let golden = std::fs::read_to_string(FILE).expect("golden file");
    for (golden, now) in golden.lines().zip(now.lines()) {
        assert_eq!(golden, now);
    }
    assert_eq!(golden, now, "a kind is missing in the file or here");
}

#[test]
fn the_golden_bytes_mean_what_they_meant() {
    let golden = std::fs::read_to_string(FILE).expect("golden file");
    let bytes_of = |name: &str| {
        let prefix = format!("v1 {name}: ");
        let line = golden.lines().find_map(|line| line.strip_prefix(&prefix));
        unhex(line.unwrap_or_else(|| panic!("no line {name}")))
    };
    for (kind, command) in samples::commands() {
        let decoded = decode_command(&bytes_of(&format!("command {kind}"))).expect(kind);
        assert_eq!(decoded, samples::envelope(command));
    }
    for record in samples::records() {
        let key = record.key();
        let (found, rest) = decode_key(&bytes_of(&format!("key {key}")))
            .map(|(key, rest)| (key, rest.len()))
            .expect("key");
        assert_eq!((&found, rest), (&key, 0));
        let decoded = decode_record(&key, &bytes_of(&format!("record {key}"))).expect("record");
        assert_eq!(decoded, record);
    }
    assert_eq!(Meta::decode(&bytes_of("meta")), Ok(meta()));
    assert_eq!(Meta::decode(&bytes_of("empty meta")), Ok(Meta::default()));
    assert_eq!(
        Pending::decode(&bytes_of("pending")).map(|pending| pending.pieces),
        Ok(17)
    );
}
