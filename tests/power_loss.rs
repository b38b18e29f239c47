//! Power cuts at every write and sync of a traced program. `TENURE_POWER_LOSS_FULL=1` runs longer traces with more ways
//! in which the unsynced part of a file can end up.

// A test that cannot run fails, and its counts are part of what it shows.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use tenure_storage::image::Probe;
use tenure_tests::power_loss::{
    Treatment,
    damage::{flips, losses, try_all},
    image::Image,
    loads::{
        files::{Fault, Files},
        log::{plan::plan, subject::Log},
        store::{self, plan::Weight, subject::Store},
    },
    pages::Pages,
    report::Report,
    run::{Traced, scratch, traced, traced_twice},
    sweep::{Restarted, Subject, cut, sweep},
    trace::{Kind, Record},
};

/// The program that is cut off.
fn load() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_power_loss_load"))
}

/// The ways in which the power can go at one point: always without and with all that was not synced, and in part.
fn ways(after: usize) -> Vec<Treatment> {
    some_ways(after, if full() { 16 } else { 4 })
}

/// Fewer ways, for what takes long to open.
fn few_ways(after: usize) -> Vec<Treatment> {
    some_ways(after, if full() { 6 } else { 1 })
}

fn some_ways(after: usize, seeds: u64) -> Vec<Treatment> {
    let mut ways = vec![Treatment::DROPPED, Treatment::KEPT];
    ways.extend((0..seeds).map(|seed| Treatment::partial((after as u64) << 8 | seed)));
    if full() {
        ways.extend([Treatment::EMPTY_FILES, Treatment::LOST_NAMES]);
    }
    ways
}

fn full() -> bool {
    std::env::var_os("TENURE_POWER_LOSS_FULL").is_some_and(|value| value == "1")
}

fn sweep_files(fault: Fault) -> Report {
    let word = Fault::ALL
        .into_iter()
        .find(|(_, known)| *known == fault)
        .expect("all faults have a word")
        .0;
    let run = traced(load(), &["files", word, "14"], &Image::default()).unwrap();
    let report = sweep(&Files, &Image::default(), &run.trace, ways).unwrap();
    println!("plain files, fault {word}: {}", report.counts);
    report
}

#[test]
fn the_bench_finds_nothing_wrong_with_an_honest_program() {
    let report = sweep_files(Fault::None);
    assert_eq!(report.complaints, [""; 0]);
    assert!(report.counts.images > 30, "{}", report.counts);
}

#[test]
fn the_bench_catches_an_acknowledgement_before_the_sync() {
    let report = sweep_files(Fault::EarlyAcknowledgement);
    assert!(
        report.counts.broken > 0 && report.counts.refused == 0,
        "{:#?}",
        report
    );
}

#[test]
fn the_bench_catches_a_folder_that_was_not_synced() {
    let report = sweep_files(Fault::UnsyncedFolder);
    assert!(report.counts.broken > 0, "{:#?}", report);
}

#[test]
fn the_bench_catches_a_name_given_before_the_sync() {
    let report = sweep_files(Fault::EarlyRename);
    assert!(report.counts.refused > 0, "{:#?}", report);
}

#[test]
fn the_bench_notices_a_call_that_went_past_the_recorder() {
    let error = traced(load(), &["files", "unseen-call", "2"], &Image::default()).unwrap_err();
    assert!(
        error.to_string().contains("log/copy: absent and a file"),
        "{error}"
    );
}

fn run_log(lie: &str, length: usize) -> Traced {
    traced(
        load(),
        &["log", lie, "1", &length.to_string()],
        &Image::default(),
    )
    .unwrap()
}

fn log_length() -> usize {
    if full() { 3000 } else { 400 }
}

/// The log load in the length that the environment asks for, and the subject that knows its plan.
fn honest_log() -> (Traced, Log) {
    let length = log_length();
    (run_log("none", length), Log::new(plan(1, length)))
}

#[test]
fn the_log_keeps_what_it_acknowledged_through_every_power_cut() {
    let (run, log) = honest_log();
    let count = |kind| {
        run.trace
            .iter()
            .filter(|record| record.kind == kind)
            .count()
    };
    assert!(
        count(Kind::Rename) > 5 && count(Kind::Unlink) > 3,
        "the plan fills and removes segments"
    );
    let report = sweep(&log, &Image::default(), &run.trace, ways).unwrap();
    println!("log: {}", report.counts);
    assert_eq!(report.complaints, [""; 0]);
    assert!(
        report.counts.repaired > 50,
        "the plan is torn in many places: {}",
        report.counts
    );
}

#[test]
fn the_bench_catches_a_log_on_a_disk_that_does_not_sync() {
    for lie in ["file-sync", "folder-sync"] {
        let (run, log) = (run_log(lie, 100), Log::new(plan(1, 100)));
        let report = sweep(&log, &Image::default(), &run.trace, ways).unwrap();
        println!("log, without {lie}: {}", report.counts);
        assert!(
            report.counts.broken + report.counts.refused > 0,
            "{lie}: {report:#?}"
        );
    }
}

/// Boundaries right after a write, `count` of them over the whole trace.
fn after_writes(trace: &[Record], count: usize) -> Vec<usize> {
    let writes = (1..=trace.len()).filter(|after| trace[after - 1].kind == Kind::Write);
    let writes: Vec<usize> = writes.collect();
    writes
        .iter()
        .copied()
        .step_by((writes.len() / count).max(1))
        .collect()
}

#[test]
fn the_log_survives_a_power_cut_in_the_start_after_a_power_cut() {
    let (run, log) = honest_log();
    let mut total = Report::default();
    for after in after_writes(&run.trace, if full() { 300 } else { 12 }) {
        let (image, progress) = cut(
            &Image::default(),
            &run.trace,
            after,
            Treatment::partial(after as u64),
        )
        .unwrap();
        let start = traced(load(), &["log-open"], &image).unwrap();
        let subject = Restarted {
            subject: &log,
            progress,
        };
        total.add(sweep(&subject, &image, &start.trace, ways).unwrap());
    }
    println!("log, in the start after a cut: {}", total.counts);
    assert_eq!(total.complaints, [""; 0]);
    assert!(
        total.counts.images > 24,
        "every start writes something: {}",
        total.counts
    );
}

/// Kills the load after a write, at `count` places of the trace of `run`, and cuts the power in the start after that: what
/// was written and not synced is there for the start to read, and is lost afterwards.
fn cuts_after_kills<S: Subject>(
    run: &Traced,
    subject: &S,
    load_words: &[&str],
    open: &str,
    (count, ways): (usize, fn(usize) -> Vec<Treatment>),
) -> Report {
    let mut total = Report::default();
    // How the log groups its writes depends on the moment: another run may make fewer records.
    let most = &run.trace[..run.trace.len() / 4 * 3];
    for after in after_writes(most, count) {
        let run = traced_twice(load(), load_words, after, &[open]).unwrap();
        let since = |after| {
            if after < run.restart {
                vec![]
            } else {
                ways(after)
            }
        };
        total.add(sweep(subject, &Image::default(), &run.trace, since).unwrap());
    }
    total
}

#[test]
fn the_log_survives_a_power_cut_in_the_start_after_a_kill() {
    let (run, log) = honest_log();
    let length = log_length().to_string();
    let words = ["log", "none", "1", &length];
    let total = cuts_after_kills(
        &run,
        &log,
        &words,
        "log-open",
        (if full() { 150 } else { 25 }, ways),
    );
    println!("log, in the start after a kill: {}", total.counts);
    assert_eq!(total.complaints, [""; 0]);
}

#[test]
fn a_damaged_log_is_refused_and_left_alone() {
    let (run, log) = honest_log();
    let folder = scratch().unwrap();
    run.folder.write(folder.path()).unwrap();
    let intact = log.open(folder.path()).unwrap();
    let mut damaged = flips(
        &run.folder,
        &run.trace,
        "log",
        if full() { 4000 } else { 300 },
    );
    damaged.extend(losses(&run.folder, &run.trace, "log"));
    let (counts, wrong) = try_all(&log, &intact, &damaged).unwrap();
    println!("log: {counts}");
    assert_eq!(wrong, [""; 0]);
    assert!(counts.refused > 250, "{counts}");
}

fn store_length() -> usize {
    if full() { 400 } else { 30 }
}

/// The store load in the length that the environment asks for, and the subject that knows its plan.
fn honest_store(probe: Probe) -> (Traced, Store) {
    let length = store_length();
    let run = traced(
        load(),
        &["store", "light", "1", &length.to_string()],
        &Image::default(),
    )
    .unwrap();
    (
        run,
        Store::new(&store::plan::plan(1, length, Weight::Light), probe),
    )
}

#[test]
fn the_store_keeps_what_it_acknowledged_through_every_power_cut() {
    let (run, store) = honest_store(Probe::None);
    let report = sweep(&store, &Image::default(), &run.trace, few_ways).unwrap();
    println!("store: {}", report.counts);
    assert_eq!(report.complaints, [""; 0]);
}

#[test]
fn the_store_keeps_it_when_the_image_is_many_segments_long() {
    let (length, count) = if full() { (300, 200) } else { (36, 5) };
    let words = ["store", "heavy", "2", &length.to_string()];
    let run = traced(load(), &words, &Image::default()).unwrap();
    let store = Store::new(&store::plan::plan(2, length, Weight::Heavy), Probe::None);
    let places = after_writes(&run.trace, count);
    let some = |after| {
        if places.contains(&after) {
            few_ways(after)
        } else {
            vec![]
        }
    };
    let report = sweep(&store, &Image::default(), &run.trace, some).unwrap();
    let longest = run.folder.0.values().flatten().map(Pages::length).max();
    println!(
        "store, with an image of {longest:?} bytes: {}",
        report.counts
    );
    assert_eq!(report.complaints, [""; 0]);
}

#[test]
fn the_store_survives_a_power_cut_in_the_start_after_a_kill() {
    let (run, store) = honest_store(Probe::None);
    let total = cuts_after_kills(
        &run,
        &store,
        &["store", "light", "1", &store_length().to_string()],
        "store-open",
        (if full() { 60 } else { 2 }, few_ways),
    );
    println!("store, in the start after a kill: {}", total.counts);
    assert_eq!(total.complaints, [""; 0]);
}

#[test]
fn the_bench_catches_an_image_that_is_flushed_but_not_synced() {
    let (mut run, store) = honest_store(Probe::None);
    run.trace
        .retain(|record| record.kind != Kind::SyncFile || record.path != b"image/db");
    let after_half = |after| {
        if after > run.trace.len() / 2 {
            vec![Treatment::DROPPED]
        } else {
            vec![]
        }
    };
    let report = sweep(&store, &Image::default(), &run.trace, after_half).unwrap();
    println!("store, without the sync of its image: {}", report.counts);
    assert!(
        report.counts.broken + report.counts.refused + report.counts.panicked > 0,
        "{report:#?}"
    );
}

#[test]
fn a_damaged_image_is_refused_or_made_anew_and_never_believed() {
    let trial = Probe::Command {
        program: load().to_owned(),
        args: vec!["probe".into()],
    };
    let (run, store) = honest_store(trial);
    let folder = scratch().unwrap();
    run.folder.write(folder.path()).unwrap();
    let intact = store.open(folder.path()).unwrap();
    let mut damaged = flips(
        &run.folder,
        &run.trace,
        "image",
        if full() { 1000 } else { 15 },
    );
    damaged.extend(losses(&run.folder, &run.trace, "image"));
    let (counts, wrong) = try_all(&store, &intact, &damaged).unwrap();
    println!("store: {counts}");
    assert_eq!(wrong, [""; 0]);
    assert!(counts.refused > 0, "{counts}");
}
