//! A damaged or lost image is made anew from the log, or refused with what to do.

use std::fs;
use std::path::Path;

use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use tenure_storage::image::Probe;
use tenure_storage::store::StoreError;
use tenure_storage::types::log_id;

use crate::fixture::{Fixture, a_world, add_node, copy_folder, data, entry, envelope, open};

/// The process that may die: an example of this package, which cargo builds together with the tests.
fn child() -> Probe {
    let own = std::env::current_exe().expect("this program");
    let built = own
        .parent()
        .and_then(Path::parent)
        .expect("the folder of the build");
    let program = built.join("examples").join("probe");
    assert!(
        program.is_file(),
        "{} is built with the tests",
        program.display()
    );
    Probe::Command {
        program,
        args: vec![],
    }
}

/// A store with an image and, when asked, a log that no longer has its beginning.
async fn a_store(purge: bool) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.apply(a_world(500)).await;
    fixture.checkpoint().await;
    let last = fixture.next - 1;
    let entries: Vec<_> = (0..=last)
        .map(|index| entry(index, &envelope(add_node(index))))
        .collect();
    let log = &mut fixture.store().log;
    log.blocking_append(entries).await.expect("append");
    if purge {
        log.purge(log_id(1, last)).await.expect("purge");
        let vote = tenure_storage::types::Vote::new(1, 1);
        log.save_vote(&vote).await.expect("vote");
    }
    fixture.store = None;
    fixture
}

/// Takes a row away behind the image's back.
fn damage(image: &Path) {
    let db = sled::Config::new()
        .path(image)
        .segment_size(8 << 20)
        .open()
        .expect("database");
    let rows = db.open_tree("rows-1").expect("rows");
    let (key, _) = rows.iter().nth(700).expect("a row").expect("readable");
    rows.remove(key).expect("remove");
    db.flush().expect("flush");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("list")
        .map(|found| found.expect("entry").file_name().to_string_lossy().into())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_whole_image_passes_the_trial() {
    let fixture = a_store(true).await;
    let store = open(fixture.temp.path(), child()).expect("opens");
    assert_eq!(store.set_aside, None);
    assert_eq!(store.reader.read(|state| state.instance_count()), 500);
}

#[tokio::test]
async fn a_damaged_image_is_set_aside_when_the_log_is_whole() {
    let fixture = a_store(false).await;
    let data = data(fixture.temp.path());
    damage(&data.join("image"));
    let store = open(fixture.temp.path(), child()).expect("opens");
    assert_eq!(store.set_aside, Some(data.join("image.damaged-1")));
    assert_eq!(store.reader.read(|state| state.nodes().len()), 0);
    assert_eq!(names(&data)[..2], ["identity", "image"]);
    drop(store);
    let again = open(fixture.temp.path(), child()).expect("opens");
    assert_eq!(again.set_aside, None);
}

#[tokio::test]
async fn a_damaged_image_is_refused_when_the_log_has_lost_its_beginning() {
    let fixture = a_store(true).await;
    let data = data(fixture.temp.path());
    damage(&data.join("image"));
    let refused = open(fixture.temp.path(), child()).expect_err("refused");
    let said = refused.to_string();
    for part in ["is damaged", "cannot be rebuilt", "new server id"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(names(&data), ["identity", "image", "log"]);
}

/// Segments of this size are counted wrongly once they are full: no image is kept in them.
fn with_long_segments(image: &Path) {
    fs::remove_dir_all(image).expect("removed");
    let db = sled::Config::new().path(image).segment_size(16 << 20);
    let db = db.open().expect("database");
    db.insert("meta", b"of an earlier build").expect("insert");
    db.flush().expect("flush");
}

#[tokio::test]
async fn an_image_with_long_segments_is_set_aside_or_refused() {
    let fixture = a_store(false).await;
    let data_folder = data(fixture.temp.path());
    with_long_segments(&data_folder.join("image"));
    let store = open(fixture.temp.path(), child()).expect("opens");
    assert_eq!(store.set_aside, Some(data_folder.join("image.damaged-1")));

    let fixture = a_store(true).await;
    with_long_segments(&data(fixture.temp.path()).join("image"));
    let refused = open(fixture.temp.path(), child()).expect_err("refused");
    let said = refused.to_string();
    assert!(said.contains("new server id"), "{said}");
}

/// The database forgets in silence what follows a damaged byte, or ends the process. Whatever it does,
/// a server whose log cannot make up for it does not start with less than it had.
#[tokio::test]
async fn no_flipped_byte_makes_a_server_start_with_less() {
    let fixture = a_store(true).await;
    let image = data(fixture.temp.path()).join("image");
    let good = fixture.temp.path().join("good");
    copy_folder(&image, &good);
    let written = last_run_of_content(&fs::read(good.join("db")).expect("read"));
    let (mut refused, mut whole) = (0, 0);
    for at in (0..written).step_by(written / 24) {
        fs::remove_dir_all(&image).expect("remove");
        copy_folder(&good, &image);
        let mut bytes = fs::read(image.join("db")).expect("read");
        bytes[at] ^= 0xff;
        fs::write(image.join("db"), bytes).expect("write");
        match open(fixture.temp.path(), child()) {
            Ok(store) => {
                let count = store.reader.read(|state| state.instance_count());
                assert_eq!(count, 500, "byte {at}");
                whole += 1;
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("new server id"), "byte {at}: {said}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "{whole} were whole, none refused");
}

/// Where the first stretch of content ends: segments are mostly empty.
fn last_run_of_content(bytes: &[u8]) -> usize {
    let empty = |window: &[u8]| window.iter().all(|byte| *byte == 0);
    let blocks = bytes.chunks(64 * 1024).take_while(|block| !empty(block));
    blocks.map(<[u8]>::len).sum()
}

#[tokio::test]
async fn a_lost_image_is_missed() {
    for whole in [true, false] {
        let fixture = a_store(!whole).await;
        fs::remove_dir_all(data(fixture.temp.path()).join("image")).expect("remove");
        let opened = open(fixture.temp.path(), Probe::None);
        match opened {
            Ok(store) => assert!(whole && store.set_aside.is_none()),
            Err(refused) => {
                assert!(
                    !whole && refused.to_string().contains("new server id"),
                    "{refused}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_emptied_image_does_not_meet_a_purged_log() {
    let fixture = a_store(true).await;
    let image = data(fixture.temp.path()).join("image");
    fs::remove_dir_all(&image).expect("remove");
    fs::create_dir(&image).expect("create");
    let refused = open(fixture.temp.path(), Probe::None).expect_err("refused");
    let said = refused.to_string();
    assert!(said.contains("stands at the beginning"), "{said}");
    assert!(said.contains("new server id"), "{said}");
}

#[tokio::test]
async fn the_image_of_another_folder_is_refused() {
    let (mine, other) = (a_store(false).await, a_store(false).await);
    let image = data(mine.temp.path()).join("image");
    fs::remove_dir_all(&image).expect("remove");
    copy_folder(&data(other.temp.path()).join("image"), &image);
    let refused = open(mine.temp.path(), Probe::None).expect_err("refused");
    assert!(matches!(refused, StoreError::Image(_)), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("belongs to another data folder"), "{said}");
}

#[tokio::test]
async fn a_trial_that_cannot_be_started_is_no_damage() {
    let fixture = a_store(false).await;
    let probe = Probe::Command {
        program: fixture.temp.path().join("no-such-program"),
        args: Vec::new(),
    };
    let refused = open(fixture.temp.path(), probe).expect_err("refused");
    assert!(refused.to_string().contains("no-such-program"), "{refused}");
    assert_eq!(
        names(&data(fixture.temp.path())),
        ["identity", "image", "log"]
    );
}
