//! What this version does not know is an error that says so, never skipped.

use prost::Message;
use tenure_core::{Key, Record, Scope};
use tenure_storage::format::v1::automation::{self as msg_automation, scope::Of};
use tenure_storage::format::v1::receipt::{
    self as msg_receipt, Account, Step, completeness::Known, fence::Proof,
};
use tenure_storage::format::v1::{command as msg, record as msg_record};
use tenure_storage::format::{
    FormatError, VERSION, decode_command, decode_key, decode_record, encode_command, encode_record,
};

use crate::{failover, samples};

/// A command of a kind that a newer version could have: tag 900, an empty message.
const NEWER_KIND: [u8; 4] = [0xa2, 0x38, 0x01, 0x00];

fn payload(message: &msg::Envelope, command: &[u8]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(message.encode_to_vec());
    // Field 4, length-delimited.
    bytes.extend([0x22, u8::try_from(command.len()).expect("short")]);
    bytes.extend(command);
    bytes
}

#[test]
fn a_newer_kind_of_command_is_told_from_damage() {
    let bytes = payload(&msg::Envelope::default(), &NEWER_KIND);
    assert_eq!(decode_command(&bytes), Err(FormatError::UnknownCommand));
    let said = FormatError::UnknownCommand.to_string();
    assert!(said.contains("never skipped"), "{said}");
}

#[test]
fn a_newer_field_of_a_known_command_is_refused() {
    let (_, command) = samples::commands().remove(0);
    let mut bytes = encode_command(&samples::envelope(command)).to_vec();
    bytes.extend(NEWER_KIND);
    let refused = decode_command(&bytes);
    assert!(
        matches!(refused, Err(FormatError::UnknownFields { extra: 4, .. })),
        "{refused:?}"
    );
}

#[test]
fn another_version_is_refused_by_name() {
    for version in [0, VERSION + 1, 255] {
        let known = VERSION;
        let refused = Err(FormatError::UnknownVersion {
            found: version,
            known,
        });
        assert_eq!(decode_command(&[version, 1, 2, 3]), refused);
    }
    assert_eq!(decode_command(&[]), Err(FormatError::Empty));
}

#[test]
fn values_pass_the_constructors_of_the_core() {
    let command = |text: &str| msg::Envelope {
        actor: "someone".to_owned(),
        command: Some(msg::Command {
            kind: Some(msg::Kind::RemoveService(msg::RemoveService {
                name: text.to_owned(),
                expected: 1,
            })),
        }),
        ..msg::Envelope::default()
    };
    let decode = |message: &msg::Envelope| {
        let mut bytes = vec![VERSION];
        bytes.extend(message.encode_to_vec());
        decode_command(&bytes)
    };
    assert!(decode(&command("redis")).is_ok());
    for bad in ["", "Redis", "a\u{0}b", "-a", &"a".repeat(64)] {
        let refused = decode(&command(bad));
        assert!(
            matches!(
                refused,
                Err(FormatError::Invalid {
                    what: "name of a service",
                    ..
                })
            ),
            "{bad:?}: {refused:?}"
        );
    }
    let mut message = command("redis");
    message.actor = "bell \u{7}".to_owned();
    assert!(matches!(
        decode(&message),
        Err(FormatError::Invalid { what: "actor", .. })
    ));
}

#[test]
fn a_row_under_the_key_of_another_is_refused() {
    let records = samples::records();
    for record in &records {
        for other in records.iter().filter(|other| other.key() != record.key()) {
            let refused = decode_record(&other.key(), &encode_record(record));
            assert!(refused.is_err(), "{} as {}", record.key(), other.key());
        }
    }
    assert_eq!(decode_key(&[77, 1]), Err(FormatError::UnknownRecord(77)));
    assert!(decode_key(&[2, 1, 2]).is_err());
    assert_eq!(
        decode_key(&[1, 9]).map(|(key, rest)| (key, rest.to_vec())),
        Ok((Key::Settings, vec![9]))
    );
}

fn sealed(message: &impl Message) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(message.encode_to_vec());
    bytes
}

/// A receipt whose account was changed, read again.
fn receipt(change: impl FnOnce(&mut Account)) -> Result<Record, FormatError> {
    let receipts = failover::receipts();
    let receipt = receipts
        .iter()
        .find(|receipt| receipt.account.timeline.len() > 1);
    let receipt = receipt.expect("one with steps");
    let mut message = msg_receipt::Receipt::from(receipt);
    change(message.account.as_mut().expect("an account"));
    let key = Key::Receipt(receipt.service.clone(), receipt.epoch);
    decode_record(&key, &sealed(&message))
}

#[test]
fn an_account_has_one_encoding() {
    let missing = |what| Err(FormatError::Missing(what));
    assert!(receipt(|_| ()).is_ok());
    assert_eq!(
        receipt(|account| account.fence = None),
        missing("fence proof")
    );
    for no in [
        Proof::Nobody(false),
        Proof::Confirmed(false),
        Proof::Exited(false),
        Proof::Operator(false),
    ] {
        let refused = receipt(|account| account.fence = Some(no));
        assert_eq!(refused, missing("fence proof"), "{no:?}");
    }
    for no in [
        None,
        Some(Known::First(false)),
        Some(Known::Equal(false)),
        Some(Known::Unknown(false)),
    ] {
        let refused = receipt(|account| account.completeness = no.clone());
        assert_eq!(refused, missing("completeness"), "{no:?}");
    }
    let unsorted = Known::Proven(msg_receipt::Heard { nodes: vec![2, 2] });
    let invalid = [
        (
            receipt(|account| account.completeness = Some(unsorted)),
            "set of nodes",
        ),
        (receipt(|account| account.timeline.reverse()), "timeline"),
        (
            receipt(|account| account.timeline.push(account.timeline[0])),
            "timeline",
        ),
        (
            receipt(|account| account.evidence.push("a\nb".to_owned())),
            "piece of evidence",
        ),
    ];
    for (refused, wrong) in invalid {
        assert!(
            matches!(refused, Err(FormatError::Invalid { what, .. }) if what == wrong),
            "{wrong}: {refused:?}"
        );
    }
    for (refused, wrong) in [
        (
            receipt(|account| account.cause = 99),
            "cause of a change of primary",
        ),
        (
            receipt(|account| account.timeline.insert(0, Step::default())),
            "step of a change of primary",
        ),
    ] {
        assert!(
            matches!(refused, Err(FormatError::UnknownValue { what, .. }) if what == wrong),
            "{wrong}: {refused:?}"
        );
    }
}

#[test]
fn a_pause_is_of_something() {
    let pause = |of| {
        let message = msg_automation::Pause {
            scope: Some(msg_automation::Scope { of }),
            ..msg_automation::Pause::default()
        };
        decode_record(&Key::Pause(Scope::Cluster), &sealed(&message))
    };
    assert!(pause(Some(Of::Cluster(true))).is_ok());
    for of in [None, Some(Of::Cluster(false))] {
        assert_eq!(pause(of), Err(FormatError::Missing("scope of a pause")));
    }
    let unknown = FormatError::UnknownValue {
        what: "scope in a key",
        number: 4,
    };
    assert_eq!(decode_key(&[11, 4]), Err(unknown));
    assert_eq!(
        decode_key(&[11]),
        Err(FormatError::Missing("scope in a key"))
    );
    assert!(decode_key(&[12, b'a', 0, 1]).is_err());
}

/// What was written before there was failover says nothing of who is syncing.
#[test]
fn an_assignment_without_anybody_syncing_is_written_as_it_always_was() {
    for record in samples::records() {
        let Record::Assignment(assignment) = &record else {
            continue;
        };
        let message = msg_record::Assignment::from(&**assignment);
        let bytes = encode_record(&record);
        // Field 8, length-delimited, can only stand at the end.
        let tail = bytes.len() - message.syncing.len() - 2;
        let has_field = !message.syncing.is_empty() && bytes[tail] == 0x42;
        assert_eq!(has_field, !assignment.syncing.is_empty(), "{record:?}");
        let before = msg_record::Assignment {
            syncing: vec![],
            ..message
        };
        let before = decode_record(&record.key(), &sealed(&before));
        let Ok(Record::Assignment(before)) = before else {
            panic!("{before:?} is no assignment");
        };
        assert!(before.syncing.is_empty());
    }
}
