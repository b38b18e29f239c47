//! The agent's files as a failing disk may give them back: refused, or what was written.

use std::fs;

use proptest::prelude::*;
use tenure_core::agent::{Kept, KeptRules, KeptService};
use tenure_core::{ControlLoss, Endpoint, Epoch, Incarnation, Millis, Moment, NodeId, ServiceName};
use tenure_garble::{frugally, garbled};

use super::envelope::{self, Kind, Unsealed};
use super::stored::Stored;
use super::{Folder, Identity, KeptFile, StateError};

fn identity() -> Identity {
    Identity {
        cluster: "site-1".to_owned(),
        node: "db-1".to_owned(),
        id: NodeId(3),
        incarnation: Incarnation(2),
        boot: "b".to_owned(),
        lease: Millis(1_000),
    }
}

fn kept() -> impl Strategy<Value = Kept> {
    let epochs = || proptest::option::of(any::<u64>().prop_map(Epoch));
    let terms = proptest::option::of(any::<(u32, bool)>());
    let service = (
        any::<(u64, u64, bool, [u64; 3])>(),
        epochs(),
        epochs(),
        terms,
    );
    let service =
        service.prop_map(
            |((epoch, run, whole, [a, b, c]), holds, held, terms)| KeptService {
                epoch: Epoch(epoch),
                holds,
                held,
                run,
                whole,
                leased_until: Moment(a),
                pledged_until: Moment(b),
                surveyed: Epoch(c),
                terms,
            },
        );
    let name = "[a-z]{1,9}".prop_map(|name| ServiceName::new(&name).expect("it is well-formed"));
    let rules = any::<(u64, u64, u32, bool)>();
    let rules = rules.prop_map(|(lease, heartbeat, drift_permille, pledge)| KeptRules {
        lease: Millis(lease),
        heartbeat: Millis(heartbeat),
        drift_permille,
        control_loss: if pledge {
            ControlLoss::Pledge
        } else {
            ControlLoss::Fence
        },
    });
    let whom = proptest::collection::btree_map(
        any::<u64>().prop_map(NodeId),
        (1..u16::MAX)
            .prop_map(|port| Endpoint::new(&format!("b:{port}")).expect("it is well-formed")),
        0..4,
    );
    let services = proptest::collection::btree_map(name.clone(), service, 0..4);
    let electors = proptest::collection::btree_map(name, whom, 0..3);
    let all = (services, electors, proptest::option::of(rules));
    all.prop_map(|(services, electors, rules)| Kept {
        services,
        electors,
        rules,
    })
}

/// What the file of an agent that kept two records in turn holds.
fn file_of(records: [&Kept; 2]) -> (tempfile::TempDir, Folder, Vec<u8>) {
    let place = tempfile::tempdir().expect("it is well-formed");
    let folder = Folder::open(place.path()).expect("it is well-formed");
    let (mut file, _) = KeptFile::open(&folder, "boot", NodeId(3), 4).expect("it is well-formed");
    for kept in records {
        file.write(kept).expect("it is well-formed");
    }
    let bytes = folder
        .read("kept")
        .expect("it is read")
        .expect("it is there");
    (place, folder, bytes)
}

const KIND: Kind = Kind {
    magic: *b"TENUREAK",
    version: 2,
};

proptest! {
    // Each writes files and makes them durable.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 8,
        ..ProptestConfig::default()
    })]

    #[test]
    fn of_what_was_kept_the_latest_that_is_whole_is_believed(
        one in kept(),
        other in kept(),
        edits in proptest::collection::vec(tenure_garble::edit(), 0..3),
    ) {
        let (_place, folder, mut bytes) = file_of([&one, &other]);
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        fs::write(folder.file("kept"), &bytes).expect("it is well-formed");
        match KeptFile::open(&folder, "boot", NodeId(3), 4) {
            Ok((mut file, found)) => {
                let known = found.is_none_or(|found| found == one || found == other);
                prop_assert!(known);
                if edits.is_empty() {
                    let again = KeptFile::open(&folder, "boot", NodeId(3), 4).expect("it is well-formed");
                    prop_assert_eq!(again.1, Some(other.clone()));
                }
                // It goes on from there all the same.
                file.write(&other).expect("it is well-formed");
                let again = KeptFile::open(&folder, "boot", NodeId(3), 4).expect("it is well-formed");
                prop_assert_eq!(again.1, Some(other));
            }
            Err(refused) => prop_assert!(refused.to_string().contains("kept"), "{}", refused),
        }
    }

    #[test]
    fn an_identity_is_the_one_that_was_written_or_refused(bytes in garbled({
        let place = tempfile::tempdir().expect("it is well-formed");
        let folder = Folder::open(place.path()).expect("it is well-formed");
        identity().write(&folder).expect("it is well-formed");
        Just(folder.read("identity").expect("it is read").expect("it is there")).boxed()
    })) {
        let place = tempfile::tempdir().expect("it is well-formed");
        let folder = Folder::open(place.path()).expect("it is well-formed");
        fs::write(folder.file("identity"), &bytes).expect("it is well-formed");
        match Identity::read(&folder, "site-1", "db-1") {
            Ok(found) => prop_assert_eq!(found, Some(identity())),
            Err(refused) => prop_assert!(refused.to_string().contains("identity"), "{}", refused),
        }
    }

}

proptest! {
    /// A body that is something else, under a head that fits it.
    #[test]
    fn a_record_that_fits_its_checksum_is_read_or_refused(body in garbled(kept().prop_map(|kept| {
        let stored = Stored::of(&kept, 7, "boot", NodeId(3));
        envelope::seal(KIND, &stored).expect("it is well-formed")[18..].to_vec()
    }).boxed())) {
        let mut bytes = KIND.magic.to_vec();
        bytes.extend(KIND.version.to_le_bytes());
        bytes.extend(u32::try_from(body.len()).expect("it is well-formed").to_le_bytes());
        bytes.extend(crc32c::crc32c(&body).to_le_bytes());
        bytes.extend(&body);
        let read = frugally(bytes.len(), || {
            envelope::unseal::<Stored>("kept".as_ref(), KIND, &bytes)
        });
        match read {
            Ok(Unsealed::Whole(stored)) => {
                let kept = stored.into_kept();
                let again = envelope::seal(KIND, &Stored::of(&kept, 7, "boot", NodeId(3))).expect("it is well-formed");
                let read = envelope::unseal::<Stored>("kept".as_ref(), KIND, &again);
                let Ok(Unsealed::Whole(stored)) = read else {
                    panic!("{read:?}");
                };
                prop_assert_eq!(stored.into_kept(), kept);
            }
            Ok(Unsealed::Blank) => prop_assert!(bytes.iter().all(|byte| *byte == 0)),
            Err(StateError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
