//! Real `redis-server` processes under agents and servers of this build, all in one process over
//! loopback: what kills a primary, and what its clients see.

#[path = "redis/fenced.rs"]
mod fenced;
#[path = "redis/looks.rs"]
mod looks;
#[path = "redis/power.rs"]
mod power;
#[path = "redis/returns.rs"]
mod returns;
#[path = "redis/site.rs"]
mod site;
#[path = "redis/store.rs"]
mod store;
#[path = "redis/stuck.rs"]
mod stuck;
#[path = "redis/switching.rs"]
mod switching;
#[path = "redis/twice.rs"]
mod twice;
#[path = "redis/writer.rs"]
mod writer;

use std::time::Duration;

use site::Site;
use tenure_core::{Cause, Completeness, Note, Phase};
use writer::Writer;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_under_load_fails_no_write() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    writer.forget();
    for _ in 0..4 {
        let (_, epoch) = site.primary().await;
        let moved = site
            .client
            .admin()
            .switchover(&site::service(), None, Note::default())
            .await
            .expect("moved");
        assert!(moved.epoch > epoch);
        let receipt = site.receipt(moved.epoch).await;
        writer.acknowledged(200).await;
        println!(
            "paused, longest gap {:?}, {:?}",
            writer.longest_gap(),
            receipt.account.timeline
        );
        assert_eq!(receipt.account.completeness, Completeness::Equal);
        site.whole().await;
    }
    writer.stop().await;
    assert_eq!(writer.failed(), Vec::<String>::new());
    assert_eq!(writer.late(), Vec::<u64>::new());
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_server_a_primary_goes_on_by_the_pledges_of_its_replicas() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    writer.forget();
    let (primary, epoch) = site.primary().await;
    site.stop_servers().await;
    // Longer than any lease: a write takes a millisecond at least.
    writer.acknowledged(3_000).await;
    println!("without servers: longest gap {:?}", writer.longest_gap());
    // One that is started anew knows whom to ask.
    site.stop_agent(primary).await;
    site.restart_agent(primary).await;
    writer.acknowledged(2_000).await;
    println!("with another agent: longest gap {:?}", writer.longest_gap());
    site.start_servers().await;
    writer.acknowledged(1_500).await;
    println!("after: longest gap {:?}", writer.longest_gap());
    assert_eq!(site.primary().await, (primary, epoch));
    writer.stop().await;
    // A primary that stops refuses. A replica that is late to acknowledge is none of its doing.
    println!("late: {:?}", writer.late());
    assert_eq!(writer.refused(), Vec::<u64>::new());
    assert_eq!(writer.failed(), Vec::<String>::new());
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_is_replaced_and_acknowledges_nothing_when_it_wakes() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let mut beside = Writer::beside(site.port(primary));
    beside.acknowledged(50).await;
    site.freeze_store(primary, true);
    let (_, next) = site.serves_after(epoch).await;
    let before = beside.count();
    let receipt = site.receipt(next).await;
    println!("{:?}", receipt.account.timeline);
    assert_eq!(receipt.account.cause, Cause::Stuck);
    let proven = matches!(receipt.account.completeness, Completeness::Proven { .. });
    assert!(proven, "{receipt:?}");
    writer.acknowledged(200).await;
    site.freeze_store(primary, false);
    site.whole().await;
    beside.stop().await;
    assert_eq!(beside.count(), before, "acknowledged when it woke");
    writer.stop().await;
    assert_eq!(site.lost(&beside).await, Vec::<u64>::new());
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_started_again_is_not_noticed_and_one_that_is_killed_has_its_grace() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    site.stop_agent(primary).await;
    site.restart_agent(primary).await;
    writer.acknowledged(1_500).await;
    site.drop_agent(primary);
    writer.acknowledged(2_000).await;
    site.restart_agent(primary).await;
    writer.acknowledged(1_500).await;
    assert_eq!(site.primary().await, (primary, epoch));
    println!("longest gap {:?}", writer.longest_gap());
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
