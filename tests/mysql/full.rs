//! A disk that has no room left under the primary.

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::small_disk::SmallDisk;

use super::site::{Plan, Site};

/// The first data take half of it.
const DISK_MIB: u32 = 128;

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
    let (primary, epoch) = site.primary().await;
    assert_eq!(primary, 1, "the one with the small disk");
    let load = site.load().await;
    load.acknowledged(300).await;
    let before = Moment::now();
    let filler = disk.fill(0);
    let (_, next) = site.serves_after(epoch).await;
    load.acknowledged(200).await;
    let receipt = site.receipt(next).await;
    println!(
        "longest gap {:.0} ms, {:?}: {:?}",
        load.longest_gap_ms(before),
        receipt.account.timeline,
        receipt.account.evidence
    );
    // Some versions wait for room, and some end themselves.
    let cause = receipt.account.cause;
    assert!(matches!(cause, Cause::Stuck | Cause::Exited), "{cause}");
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    println!("{}", site.remark(1).await);
    std::fs::remove_file(filler).expect("removed");
    site.start_store(1);
    site.whole().await;
    println!("it returned: {}", site.returned(next).await);
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
    drop(disk);
}
