//! Real `redis-server` processes under agents and servers of this build, all in one process over
//! loopback: what kills a primary, and what its clients see.

#[path = "redis/site.rs"]
mod site;
#[path = "redis/store.rs"]
mod store;
#[path = "redis/writer.rs"]
mod writer;

use std::time::Duration;

use site::Site;
use tenure_core::{Cause, Completeness, Phase};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(500).await;
    for round in 0..5 {
        let (primary, epoch) = site.primary().await;
        let before = std::time::Instant::now();
        site.kill_store(primary);
        let (_, next) = site.serves_after(epoch).await;
        let moved = before.elapsed();
        writer.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        println!(
            "round {round}: moved after {moved:?}, gap {:?}, {:?}",
            writer.longest_gap(),
            receipt.account.timeline
        );
        assert_eq!(receipt.account.cause, Cause::Exited);
        assert!(matches!(
            receipt.account.completeness,
            Completeness::Proven { .. }
        ));
        assert!(receipt.account.timeline.contains_key(&Phase::Committed));
        site.start_store(primary);
        site.whole().await;
    }
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
