//! What was written is read again as what it was.

use std::sync::Arc;

use proptest::prelude::*;
use tenure_core::{Command, Record};
use tenure_storage::format::{
    FormatError, decode_command, decode_key, decode_record, encode_command, encode_key,
    encode_record,
};

use crate::{any, any_failover, samples};

proptest! {
    #[test]
    fn commands_come_back(envelope in any::envelope()) {
        let bytes = encode_command(&envelope);
        prop_assert_eq!(decode_command(&bytes), Ok(envelope));
    }

    #[test]
    fn keys_come_back_and_sort_like_the_core_sorts_them(a in any::key(), b in any::key()) {
        let (x, y) = (encode_key(&a), encode_key(&b));
        prop_assert_eq!(decode_key(&x).map(|(key, rest)| (key, rest.len())), Ok((a.clone(), 0)));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert!(a == b || !y.starts_with(&x), "{a} begins like {b}");
    }

    #[test]
    fn receipts_come_back(receipt in any_failover::receipt()) {
        let record = Record::Receipt(Arc::new(receipt));
        prop_assert_eq!(decode_record(&record.key(), &encode_record(&record)), Ok(record));
    }

    #[test]
    fn random_bytes_are_refused_or_mean_exactly_themselves(bytes: Vec<u8>) {
        if let Ok(envelope) = decode_command(&bytes) {
            prop_assert_eq!(encode_command(&envelope).len(), bytes.len());
        }
        for record in samples::records() {
            let same = |found| found == record;
            prop_assert!(decode_record(&record.key(), &bytes).is_err()
                || decode_record(&record.key(), &bytes).is_ok_and(same));
        }
        drop(decode_key(&bytes));
    }

    #[test]
    fn flipped_bits_never_panic(envelope in any::envelope(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = encode_command(&envelope).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(other) = decode_command(&bytes) {
            prop_assert_eq!(encode_command(&other).len(), bytes.len());
        }
    }
}

#[test]
fn every_single_bit_of_every_record_may_flip_without_a_panic() {
    for record in samples::records() {
        let (key, bytes) = (record.key(), encode_record(&record));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = decode_record(&key, &flipped) {
                assert_eq!(other.key(), key, "bit {bit}");
            }
        }
    }
}

#[test]
fn of_a_batch_in_a_batch_only_the_fact_is_kept() {
    let mut deep = Command::OpenClient;
    for _ in 0..10_000 {
        deep = Command::Batch(vec![deep]);
    }
    let kept = decode_command(&encode_command(&samples::envelope(deep))).map(|e| e.command);
    let fact = Command::Batch(vec![Command::Batch(vec![])]);
    assert_eq!(kept, Ok::<_, FormatError>(fact));
}
