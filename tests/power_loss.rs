//! Power cuts at every write and sync of a traced program. `TENURE_POWER_LOSS_FULL=1` runs longer traces with more ways
//! in which the unsynced part of a file can end up.

// A test that cannot run fails, and its counts are part of what it shows.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use tenure_tests::power_loss::{
    Treatment,
    image::Image,
    loads::files::{Fault, Files},
    run::traced,
    sweep::{Report, sweep},
};

/// The program that is cut off.
fn load() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_power_loss_load"))
}

/// The ways in which the power can go at one point: always without and with all that was not synced, and in part.
fn ways(after: usize) -> Vec<Treatment> {
    let seeds = if full() { 0..8 } else { 0..1 };
    let mut ways = vec![Treatment::DROPPED, Treatment::KEPT];
    ways.extend(seeds.map(|seed| Treatment::partial((after as u64) << 8 | seed)));
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
