//! A disk that has no room left under the primary.

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::small_disk::SmallDisk;

use super::site::{Plan, Site, rounds};
use super::tally::Tally;

/// The first data take a third of it, and a copy that is being made as much again.
const DISK_MIB: u32 = 192;

/// The one with the small disk.
const SMALL: u64 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_disk_is_full_is_replaced_and_follows_when_there_is_room() {
    let place = tempfile::tempdir().expect("a folder");
    let at = place.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at, DISK_MIB) else {
        return;
    };
    let mut site = Site::of(Plan {
        first: Some(at.join("mariadbd")),
        ..Plan::default()
    })
    .await;
    let mut tally = Tally::of("the primary's disk is full");
    let load = site.load().await;
    load.acknowledged(300).await;
    for round in 0..rounds(1) {
        if round > 0 {
            back_with_room(&site).await;
        }
        let (primary, epoch) = site.primary().await;
        assert_eq!(primary, SMALL);
        let before = Moment::now();
        let filler = disk.fill(0);
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        println!("{:?}", receipt.account.evidence);
        // Some versions wait for room, and some end themselves.
        let cause = receipt.account.cause;
        assert!(matches!(cause, Cause::Stuck | Cause::Exited), "{cause}");
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        println!("{}", site.remark(SMALL).await);
        let returns = Moment::now();
        std::fs::remove_file(filler).expect("removed");
        site.start_store(SMALL);
        site.whole().await;
        tally.since("back in sync", returns);
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
    drop(disk);
}

/// The one with the small disk is primary once more, and what was logged in the earlier rounds takes no room there.
async fn back_with_room(site: &Site) {
    site.switchover(Some(SMALL)).await.expect("moved");
    site.whole().await;
    site.purge(SMALL).await;
}
