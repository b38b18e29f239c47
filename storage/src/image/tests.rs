//! What a crash between any two steps leaves.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tenure_core::{
    Attributes, Incarnation, Key, Lifecycle, Node, NodeId, NodeName, Note, Record, Revision,
};

use super::checkpoint::Step;
use super::{Changes, Image, ImageError, Probe, Stage, Tally, rows, tree_numbers};
use crate::format::Meta;
use crate::types::log_id;

type Observer = Box<dyn FnMut(Step) + Send>;

/// Calls back at each step.
#[derive(Default)]
pub(crate) struct Steps(Mutex<Option<Observer>>);

impl Steps {
    pub(super) fn reached(&self, step: Step) {
        if let Some(observer) = self.0.lock().expect("observer").as_mut() {
            observer(step);
        }
    }

    pub(super) fn observe(&self, observer: impl FnMut(Step) + Send + 'static) {
        *self.0.lock().expect("observer") = Some(Box::new(observer));
    }
}

struct Place {
    temp: tempfile::TempDir,
}

const STORE: u128 = 7;

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("temp");
        fs::create_dir(temp.path().join("image")).expect("image");
        Self { temp }
    }

    fn open(&self) -> Arc<Image> {
        Arc::new(open(&self.temp.path().join("image")))
    }

    fn copies(&self) -> PathBuf {
        self.temp.path().join("copies")
    }
}

fn open(folder: &Path) -> Image {
    Image::open(folder, STORE, &Probe::None).expect("image")
}

/// Copies the folder after each step into a folder with the step's name: what a killed process leaves.
fn copy_at_each_step(image: &Image, place: &Place) {
    let (from, to) = (place.temp.path().join("image"), place.copies());
    drop(fs::remove_dir_all(&to));
    image.steps.observe(move |step| {
        let to = to.join(format!("{step:?}"));
        fs::create_dir_all(&to).expect("create");
        for found in fs::read_dir(&from).expect("list") {
            let found = found.expect("entry");
            if found.file_type().expect("type").is_file() {
                fs::copy(found.path(), to.join(found.file_name())).expect("copy");
            }
        }
    });
}

fn node(id: u64, weight: u32) -> Record {
    Record::Node(Arc::new(Node {
        id: NodeId(id),
        name: NodeName::new(&format!("node-{id}")).expect("name"),
        zone: None,
        labels: Attributes::default(),
        weight,
        incarnation: Incarnation(1),
        lifecycle: Lifecycle::Active,
        reason: Note::default(),
        created: Revision(1),
        modified: Revision(1),
    }))
}

fn changes(at: u64, records: impl IntoIterator<Item = Record>, gone: &[u64]) -> Changes {
    let set = records
        .into_iter()
        .map(|record| (record.key(), Some(record)));
    let gone = gone.iter().map(|id| (Key::Node(NodeId(*id)), None));
    Changes {
        applied: Some(log_id(1, at)),
        revision: Revision(at),
        rows: set.chain(gone).collect(),
        ..Changes::default()
    }
}

/// What a copy of the image holds: where it stands, and the weight of every node.
fn found(folder: &Path) -> (u64, Vec<(u64, u32)>) {
    let image = open(folder);
    let state = image.load().expect("whole");
    let nodes = state.nodes().values().map(|node| (node.id.0, node.weight));
    let first = nodes.collect();
    let again = image.load().expect("whole");
    assert_eq!(again, state);
    (state.applied().0, first)
}

fn weights(ids: RangeInclusive<u64>, weight: u32) -> Vec<(u64, u32)> {
    ids.map(|id| (id, weight)).collect()
}

#[test]
fn a_crash_at_any_step_of_a_checkpoint_leaves_the_old_image_or_the_new_one() {
    let place = Place::new();
    let image = place.open();
    let first = || changes(10, (1..=3_000).map(|id| node(id, 1)), &[]);
    copy_at_each_step(&image, &place);
    image.checkpoint(first).expect("first");
    let (none, old) = ((0, vec![]), (10, weights(1..=3_000, 1)));
    for (step, expected) in [
        (Step::Journal, &none),
        (Step::Pending, &old),
        (Step::Rows, &old),
        (Step::Meta, &old),
    ] {
        let copy = place.copies().join(format!("{step:?}"));
        assert_eq!(&found(&copy), expected, "first checkpoint, {step:?}");
    }

    copy_at_each_step(&image, &place);
    let gone: Vec<u64> = (2_001..=3_000).collect();
    let second = || changes(20, (1..=1_000).map(|id| node(id, 2)), &gone);
    image.checkpoint(second).expect("second");
    let mut new = weights(1..=1_000, 2);
    new.extend(weights(1_001..=2_000, 1));
    let new = (20, new);
    for (step, expected) in [
        (Step::Journal, &old),
        (Step::Pending, &new),
        (Step::Rows, &new),
        (Step::Meta, &new),
    ] {
        let copy = place.copies().join(format!("{step:?}"));
        assert_eq!(&found(&copy), expected, "second checkpoint, {step:?}");
    }
}

#[test]
fn an_image_completed_after_a_crash_goes_on() {
    let place = Place::new();
    let image = place.open();
    image
        .checkpoint(|| changes(10, (1..=100).map(|id| node(id, 1)), &[]))
        .expect("first");
    copy_at_each_step(&image, &place);
    image
        .checkpoint(|| changes(20, (1..=50).map(|id| node(id, 2)), &[]))
        .expect("second");
    let copy = place.copies().join("Pending");
    let completed = open(&copy);
    completed
        .checkpoint(|| changes(30, [node(101, 3)], &[1]))
        .expect("third");
    drop(completed);
    let mut expected = weights(2..=50, 2);
    expected.extend(weights(51..=100, 1));
    expected.push((101, 3));
    assert_eq!(found(&copy), (30, expected));
}

fn staged(image: &Arc<Image>, records: impl IntoIterator<Item = Record>) -> (Stage, Meta) {
    let mut stage = image.stage();
    let mut tally = Tally::default();
    for record in records {
        for part in super::part::split(&record.key(), &record) {
            let opened = super::part::open(&part.key, &part.value).expect("a part");
            tally.add(opened.crc);
            stage.put(&part.key, &part.value).expect("put");
        }
    }
    let meta = Meta {
        applied: Some(log_id(2, 50)),
        revision: Revision(50),
        parts: tally.parts,
        sum: tally.sum,
        ..Meta::default()
    };
    (stage, meta)
}

#[test]
fn a_crash_at_any_step_of_an_adoption_leaves_the_old_image_or_the_new_one() {
    let place = Place::new();
    let image = place.open();
    image
        .checkpoint(|| changes(10, (1..=100).map(|id| node(id, 1)), &[]))
        .expect("first");
    let (stage, meta) = staged(&image, (1..=200).map(|id| node(id, 5)));
    stage.check(&meta).expect("whole");
    copy_at_each_step(&image, &place);
    image.adopt(stage, &meta, drop).expect("adopt");
    let old = (10, weights(1..=100, 1));
    let new = (50, weights(1..=200, 5));
    assert_eq!(found(&place.copies().join("Staged")), old);
    assert_eq!(found(&place.copies().join("Meta")), new);
    image
        .checkpoint(|| changes(60, [], &[200]))
        .expect("goes on");
    assert_eq!(tree_numbers(&image.db).len(), 1, "the old rows are dropped");
    drop(image);
    let after = (60, weights(1..=199, 5));
    assert_eq!(found(&place.temp.path().join("image")), after);
}

#[test]
fn what_was_received_in_vain_is_cleared_away() {
    let place = Place::new();
    let image = place.open();
    let (stage, _) = staged(&image, (1..=200).map(|id| node(id, 5)));
    assert_eq!(tree_numbers(&image.db).len(), 1);
    drop(stage);
    image
        .checkpoint(|| changes(10, [node(1, 1)], &[]))
        .expect("checkpoint");
    assert_eq!(tree_numbers(&image.db).len(), 1);

    let (stage, _) = staged(&image, (1..=200).map(|id| node(id, 5)));
    assert_eq!(tree_numbers(&image.db).len(), 2);
    std::mem::forget(stage);
    image.db.make_durable().expect("durable");
    copy_at_each_step(&image, &place);
    image.reached(Step::Rows);
    let copy = open(&place.copies().join("Rows"));
    assert_eq!(tree_numbers(&copy.db).len(), 1);
    assert_eq!(copy.load().expect("whole").nodes().len(), 1);
}

/// What a row's bytes turn into, and what is said of it.
#[test]
fn rows_that_are_not_what_was_written_are_named() {
    let place = Place::new();
    let image = place.open();
    image
        .checkpoint(|| changes(10, (1..=5).map(|id| node(id, 1)), &[]))
        .expect("first");
    let tree = image.db.tree(&rows(1)).expect("tree");
    let key = super::part::split(&Key::Node(NodeId(3)), &node(3, 1))[0]
        .key
        .clone();
    let good = tree.get(&key).expect("read").expect("there");
    let refused = || image.load().expect_err("refused").to_string();

    let mut flipped = good.to_vec();
    *flipped.last_mut().expect("bytes") ^= 1;
    tree.insert(&key, flipped).expect("write");
    assert!(
        refused().contains("node 3, part 0: its checksum"),
        "{}",
        refused()
    );
    let mut newer = good.to_vec();
    newer[0] = 9;
    tree.insert(&key, newer).expect("write");
    assert!(refused().contains("format version 9"), "{}", refused());
    tree.insert(&key, &good[..3]).expect("write");
    assert!(refused().contains("only 3 bytes"), "{}", refused());
    tree.remove(&key).expect("remove");
    assert!(refused().contains("5 parts"), "{}", refused());
    tree.insert(&key, good).expect("write");
    assert_eq!(image.load().expect("whole").nodes().len(), 5);
    tree.insert(b"\x63what", b"?").expect("write");
    assert!(refused().contains("key cwhat"), "{}", refused());
}

#[test]
fn after_a_failed_write_the_image_stays_closed() {
    let place = Place::new();
    let image = place.open();
    image
        .checkpoint(|| changes(10, [node(1, 1)], &[]))
        .expect("first");
    let tree = image.db.tree(&rows(1)).expect("tree");
    let key = super::part::split(&Key::Node(NodeId(1)), &node(1, 1))[0]
        .key
        .clone();
    tree.insert(key, b"damaged").expect("write");
    let second = || changes(20, [node(1, 2)], &[]);
    let failed = image.checkpoint(second).expect_err("damaged");
    assert!(failed.is_damage(), "{failed}");
    let again = image.checkpoint(second).expect_err("closed");
    assert!(matches!(again, ImageError::Poisoned(_)), "{again}");
    assert!(again.to_string().contains("Restart this server"), "{again}");
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let place = Place::new();
    let image = place.open();
    let first = || changes(10, [node(1, 1)], &[]);
    let meta = image.checkpoint(first).expect("first");
    let same = image.checkpoint(|| changes(10, [], &[])).expect("same");
    assert_eq!(meta, same);
    let moved = image.checkpoint(|| changes(11, [], &[])).expect("moved");
    assert_eq!((moved.checkpoint, moved.parts), (2, meta.parts));
}
