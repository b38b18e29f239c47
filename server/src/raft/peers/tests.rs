use super::*;
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::store::{Store, StoreOptions};

/// Links of server 1, over a state with nothing in it: at feature level 1.
fn links(quiet: Duration) -> (tempfile::TempDir, DataFolder, Arc<Links>) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity {
        cluster: "test".into(),
        server: 1,
    };
    let folder = DataFolder::open(dir.path().join("data"), identity).unwrap();
    let store = Store::open(&folder, StoreOptions::default()).unwrap();
    let links = Links::new("test".into(), 1, folder.store_id(), store.reader, quiet);
    (dir, folder, links)
}

fn answer(feature_level: u32) -> pb::HelloResponse {
    pb::HelloResponse {
        cluster: "test".into(),
        server: 2,
        store: vec![2; 16].into(),
        feature_level,
        ..pb::HelloResponse::default()
    }
}

#[test]
fn a_server_that_does_not_understand_what_the_cluster_uses_is_refused() {
    let (_dir, _folder, links) = links(Duration::ZERO);
    let welcome = links
        .check_answerer(2, &answer(1))
        .map(|hello| hello.feature_level);
    assert_eq!(welcome, Ok(1));
    let refused = links.check_answerer(2, &answer(0)).map(drop);
    let too_old = Refusal::TooOld {
        id: 2,
        theirs: 0,
        ours: 1,
    };
    assert_eq!(refused, Err(too_old));
    assert_eq!(links.level(1), Some(Settings::FEATURE_LEVEL_SUPPORTED));
    assert_eq!(links.level(2), None, "no stream is open");
}

#[test]
fn a_server_is_quiet_for_as_long_as_a_lease_that_it_may_have_confirmed() {
    let (_dir, _folder, started) = links(Duration::from_secs(3_600));
    assert!(started.is_quiet());
    let (_dir, _folder, long_up) = links(Duration::ZERO);
    assert!(!long_up.is_quiet());
}
