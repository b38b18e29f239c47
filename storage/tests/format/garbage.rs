//! Payloads and rows as a disk may give them back, and as another version or a broken server may send them: read
//! as what they say, or refused, without a panic and without taking memory that the bytes are not worth.

use std::sync::Arc;

use proptest::prelude::*;
use tenure_core::{Key, Record};
use tenure_garble::{frugally, garbled};
use tenure_storage::format::{
    decode_command, decode_key, decode_record, encode_command, encode_key, encode_record,
};

use crate::{any, any_failover, samples};

fn commands() -> impl Strategy<Value = Vec<u8>> + Clone {
    let generated = any::envelope().boxed();
    let each = samples::commands().into_iter();
    let each: Vec<_> = each
        .map(|(_, command)| samples::envelope(command))
        .collect();
    let one = prop_oneof![generated, prop::sample::select(each)].boxed();
    one.prop_map(|envelope| encode_command(&envelope).to_vec())
        .boxed()
}

fn records() -> BoxedStrategy<Record> {
    let receipts = any_failover::receipt().prop_map(|it| Record::Receipt(Arc::new(it)));
    prop_oneof![
        4 => prop::sample::select(samples::records()),
        1 => receipts,
    ]
    .boxed()
}

proptest! {
    #[test]
    fn commands_are_read_as_what_they_say_or_refused(bytes in garbled(commands())) {
        match frugally(bytes.len(), || decode_command(&bytes)) {
            Ok(envelope) => {
                let again = encode_command(&envelope);
                prop_assert_eq!(again.len(), bytes.len());
                prop_assert_eq!(decode_command(&again), Ok(envelope));
            }
            Err(refused) => prop_assert!(refused.to_string().len() > 8, "{}", refused),
        }
    }

    #[test]
    fn rows_are_those_of_their_key_or_refused(
        key in records().prop_map(|it| it.key()),
        bytes in garbled(records().prop_map(|it| encode_record(&it)).boxed()),
    ) {
        match frugally(bytes.len(), || decode_record(&key, &bytes)) {
            Ok(record) => {
                prop_assert_eq!(record.key(), key.clone());
                let again = encode_record(&record);
                prop_assert_eq!(again.len(), bytes.len());
                prop_assert_eq!(decode_record(&key, &again), Ok(record));
            }
            Err(refused) => prop_assert!(refused.to_string().len() > 8, "{}", refused),
        }
    }

    #[test]
    fn a_row_that_was_garbled_is_read_under_its_own_key_or_refused(
        (key, bytes) in records().prop_flat_map(|it| {
            let right = Just(encode_record(&it)).boxed();
            (Just(it.key()), garbled(right))
        }),
    ) {
        if let Ok(record) = frugally(bytes.len(), || decode_record(&key, &bytes)) {
            prop_assert_eq!(decode_record(&key, &encode_record(&record)), Ok(record));
        }
    }

    #[test]
    fn keys_have_one_encoding(bytes in garbled(any::key().prop_map(|it| encode_key(&it)).boxed())) {
        if let Ok((key, rest)) = frugally(bytes.len(), || decode_key(&bytes)) {
            let read = bytes.len() - rest.len();
            prop_assert_eq!(encode_key(&key), &bytes[..read]);
        }
    }
}

#[test]
fn a_key_of_nothing_is_refused() {
    assert!(decode_key(&[]).is_err());
    assert_eq!(
        decode_key(&encode_key(&Key::Settings)),
        Ok((Key::Settings, &[][..]))
    );
}
