//! What this version does not know is an error that says so, never skipped.

use prost::Message;
use tenure_core::Key;
use tenure_storage::format::v1::command as msg;
use tenure_storage::format::{
    FormatError, VERSION, decode_command, decode_key, decode_record, encode_command, encode_record,
};

use crate::samples;

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
