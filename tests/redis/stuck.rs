//! A Redis that is there, and does nothing.

use std::time::Duration;

use tenure_core::{Cause, Completeness};
use tenure_tests::small_disk::SmallDisk;

use super::looks::ask;
use super::site::{Plan, Site};
use super::writer::Writer;

/// Redis's own files take little of it.
const DISK_MIB: u32 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_sleeps_is_replaced_and_acknowledges_nothing_when_it_wakes() {
    let mut site = Site::of(Plan {
        redis: "enable-debug-command local",
        ..Plan::default()
    })
    .await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let port = site.port(primary);
    let mut beside = Writer::beside(port);
    beside.acknowledged(50).await;
    let asleep = tokio::spawn(async move { ask(port, &["DEBUG", "SLEEP", "12"]).await });
    let (successor, next) = site.serves_after(epoch).await;
    assert!(!asleep.is_finished(), "it moved while the primary slept");
    assert_ne!(successor, primary);
    let before = beside.count();
    let receipt = site.receipt(next).await;
    println!(
        "{:?}, gap {:?}",
        receipt.account.timeline,
        writer.longest_gap()
    );
    assert_eq!(receipt.account.cause, Cause::Stuck);
    let proven = matches!(receipt.account.completeness, Completeness::Proven { .. });
    assert!(proven, "{receipt:?}");
    let evidence = receipt.account.evidence[0].as_str();
    assert!(evidence.contains("has made no progress"), "{evidence}");
    writer.acknowledged(500).await;
    asleep.await.expect("asked").expect("it woke");
    site.whole().await;
    println!("it returned: {}", site.returned(next).await);
    beside.stop().await;
    assert_eq!(beside.count(), before, "acknowledged when it woke");
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    assert_eq!(site.lost(&beside).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_disk_is_full_is_replaced_and_follows_when_there_is_room() {
    let place = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(&place.path().join("disk"), DISK_MIB) else {
        return;
    };
    let mut site = Site::of(Plan {
        redis: "appendonly yes",
        first: Some(place.path().join("disk")),
    })
    .await;
    let (primary, epoch) = site.primary().await;
    assert_eq!(primary, 1, "the one with the small disk");
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let filler = disk.fill(0);
    let (_, next) = site.serves_after(epoch).await;
    let receipt = site.receipt(next).await;
    println!(
        "{:?}, gap {:?}",
        receipt.account.timeline,
        writer.longest_gap()
    );
    assert_eq!(receipt.account.cause, Cause::Stuck);
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    writer.acknowledged(300).await;
    std::fs::remove_file(filler).expect("removed");
    let store = site.stores.get_mut(&1).expect("a store");
    // As a replica Redis ends itself when its disk takes nothing, and is started again by whoever runs it.
    if store.has_ended() {
        let log = store.log();
        assert!(log.contains("unable to write command to disk"), "{log}");
        store.start();
    }
    site.whole().await;
    println!("it returned: {}", site.returned(next).await);
    writer.acknowledged(300).await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
    drop(disk);
}
