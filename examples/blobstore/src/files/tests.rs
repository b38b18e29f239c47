use super::*;

fn open(place: &Path) -> Files {
    Files::open(place).unwrap()
}

fn only_file(files: &Files, item: &str, version: u64) -> PathBuf {
    let path = files.path(item, version);
    assert!(path.is_file(), "{}", path.display());
    path
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    for (item, version, data) in [("a/b", 1, "one"), ("a/b", 2, "two"), ("ü \u{1f5c4}", 7, "")] {
        let sum = files.keep(item, version, data.as_bytes(), false).unwrap();
        assert_eq!(sum, Sum::of(data.as_bytes()));
    }
    drop(files);
    let files = open(place.path());
    let names = |after| -> Vec<(String, u64)> {
        let page = files.page(after, 10).into_iter();
        page.map(|it| (it.item, it.latest)).collect()
    };
    let all = [("a/b".to_owned(), 2), ("ü \u{1f5c4}".to_owned(), 7)];
    assert_eq!(names(None), all);
    assert_eq!(names(Some("a/b")), all[1..]);
    assert_eq!(files.read("a/b", 1).unwrap().1, b"one");
    assert_eq!(files.read("a/b", 2).unwrap().1, b"two");
    assert_eq!(files.latest("a/b"), Some(2));
    assert_eq!(files.total(), (2, 6));
}

#[test]
fn a_version_is_written_once_unless_the_cluster_says_otherwise() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    files.keep("x", 3, b"one", false).unwrap();
    files.keep("x", 3, b"one", false).unwrap();
    let taken = files.keep("x", 3, b"two", false).unwrap_err();
    assert!(
        matches!(taken, FileError::Taken { version: 3, .. }),
        "{taken}"
    );
    assert_eq!(files.read("x", 3).unwrap().1, b"one");
    files.keep("x", 3, b"two", true).unwrap();
    assert_eq!(files.read("x", 3).unwrap().1, b"two");
    for version in 4..19 {
        files.keep("x", version, b"", false).unwrap();
    }
    let many = files.keep("x", 19, b"", false).unwrap_err();
    assert!(
        matches!(many, FileError::TooMany { count: 16, .. }),
        "{many}"
    );
}

#[test]
fn earlier_versions_go_when_a_later_one_is_the_items() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    for version in 1..=4 {
        files.keep("x", version, b"data", false).unwrap();
    }
    files.settle("x", 3).unwrap();
    let gone = files.read("x", 2).unwrap_err();
    assert!(
        matches!(gone, FileError::Absent { version: 2, .. }),
        "{gone}"
    );
    assert!(files.held("x", 3).is_some() && files.held("x", 4).is_some());
    files.remove("x", 3).unwrap();
    assert_eq!(files.latest("x"), Some(4));
    files.remove("x", u64::MAX).unwrap();
    drop(files);
    assert_eq!(open(place.path()).total(), (0, 0));
}

#[test]
fn what_was_kept_again_meanwhile_is_not_swept_away() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    files.keep("x", 1, b"data", false).unwrap();
    let seen = files.page(None, 1).remove(0);
    files.keep("x", 1, b"data", true).unwrap();
    assert!(!files.remove_unless_kept("x", seen.mark).unwrap());
    assert_eq!(files.read("x", 1).unwrap().1, b"data");
    let seen = files.page(None, 1).remove(0);
    assert!(files.remove_unless_kept("x", seen.mark).unwrap());
    assert_eq!(files.total(), (0, 0));
}

#[test]
fn a_flipped_bit_is_never_taken_for_data() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    files.keep("item", 1, b"some data", false).unwrap();
    let whole = fs::read(only_file(&files, "item", 1)).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x04;
        fs::write(files.path("item", 1), &damaged).unwrap();
        let again = open(place.path());
        if again.held("item", 1).is_some() {
            // Only data can differ behind a header that is whole.
            let error = again.read("item", 1).unwrap_err();
            assert!(
                matches!(error, FileError::Damaged { .. }),
                "byte {at}: {error}"
            );
            assert_eq!(again.held("item", 1), None);
        }
        assert!(!files.path("item", 1).exists(), "byte {at}");
    }
    for length in 0..whole.len() {
        fs::write(files.path("item", 1), &whole[..length]).unwrap();
        assert_eq!(open(place.path()).held("item", 1), None, "{length} bytes");
    }
}

#[test]
fn what_was_not_finished_is_gone_at_the_next_start() {
    let place = tempfile::tempdir().unwrap();
    let files = open(place.path());
    fs::write(place.path().join(UNFINISHED).join("0"), b"half").unwrap();
    files.keep("x", 1, b"whole", false).unwrap();
    drop(files);
    let files = open(place.path());
    assert_eq!(files.read("x", 1).unwrap().1, b"whole");
    assert_eq!(
        entries(&place.path().join(UNFINISHED)).unwrap(),
        [] as [PathBuf; 0]
    );
}
