//! Two failovers in quick succession: what the second can rest on is what the first left in sync.

use std::time::Duration;

use tenure_core::controller::HoldCode;
use tenure_core::{Cause, Completeness, NodeId};

use super::looks::ask;
use super::site::{Plan, Site, eventually};

/// What is stored outlives the process.
const DURABLE: Plan = Plan {
    redis: "appendonly yes",
    first: None,
};

/// The third one provably has everything, takes over, and acknowledges nothing before somebody follows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_three_takes_over_when_it_was_in_sync_and_waits_for_another() {
    let mut site = Site::of(DURABLE).await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (first, epoch) = site.primary().await;
    site.kill_store(first);
    let (second, next) = site.serves_after(epoch).await;
    let third = 6 - first - second;
    site.in_sync_at_least(&[second, third]).await;
    writer.acknowledged(50).await;
    site.kill_store(second);
    let (last, latest) = site.serves_after(next).await;
    assert_eq!(last, third);
    let receipt = site.receipt(latest).await;
    assert_eq!(receipt.account.cause, Cause::Exited);
    let Completeness::Proven { heard } = &receipt.account.completeness else {
        panic!("{receipt:?}");
    };
    assert!(heard.contains(&NodeId(third)), "{heard:?}");
    // Nobody else has it: Redis itself refuses.
    let refused = ask(site.port(third), &["SET", "alone", "1"]).await;
    let refused = refused.expect_err("a write without a replica");
    assert_eq!(refused.code(), Some("NOREPLICAS"), "{refused}");
    let before = writer.count();
    site.start_store(first);
    site.in_sync_at_least(&[first, third]).await;
    assert!(before < writer.acknowledged(200).await);
    site.start_store(second);
    site.whole().await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

/// Killed as soon as it serves: the third one may follow at once when it was as far as the second when that was
/// chosen. Where it was not the service is held, and nobody is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_is_killed_as_soon_as_it_serves_is_replaced_without_loss_or_held() {
    let mut site = Site::of(DURABLE).await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (first, epoch) = site.primary().await;
    site.kill_store(first);
    let (second, next) = site.serves_after(epoch).await;
    site.kill_store(second);
    let third = 6 - first - second;
    let at_kill = site.assignment().await;
    let moved = eventually("a move or a hold", || async {
        let held = site.explained().await.decision.err();
        let held = held.is_some_and(|hold| hold.code == HoldCode::NotProven);
        let moved = site.assignment().await.epoch > next;
        (held || moved).then_some(moved)
    })
    .await;
    let in_sync = at_kill.in_sync.contains(&NodeId(third));
    println!("the third one was in sync: {in_sync}; it took over: {moved}");
    assert!(moved || !in_sync, "{:?}", site.explained().await);
    if moved {
        let (last, latest) = site.serves_after(next).await;
        assert_eq!(last, third);
        let receipt = site.receipt(latest).await;
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        site.start_store(first);
        site.start_store(second);
        site.whole().await;
        writer.acknowledged(200).await;
        writer.stop().await;
        assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    } else {
        assert_eq!(site.assignment().await.epoch, next, "nobody was promoted");
    }
    site.stop(Duration::from_secs(10)).await;
}

/// One of two who may have acknowledged is not enough: either may have what the other lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_proves_nothing_and_the_other_is_waited_for() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (first, epoch) = site.primary().await;
    let away = first % 3 + 1;
    site.freeze_store(away, true);
    writer.acknowledged(50).await;
    site.kill_store(first);
    let hold = site.held(|hold| hold.code == HoldCode::NotProven).await;
    println!("{hold}");
    assert!(
        hold.why.contains("1 of 2") && hold.why.contains(&format!("missing: db-{away}")),
        "{hold}"
    );
    assert_eq!(site.assignment().await.epoch, epoch, "nobody was promoted");
    site.freeze_store(away, false);
    let (_, next) = site.serves_after(epoch).await;
    let receipt = site.receipt(next).await;
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    site.start_store(first);
    site.whole().await;
    writer.acknowledged(200).await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

/// The first one is back and in sync before the second goes: any of the two who are left may take over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_returned_in_time_counts() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    for _ in 0..2 {
        let (first, epoch) = site.primary().await;
        site.kill_store(first);
        let (second, next) = site.serves_after(epoch).await;
        site.start_store(first);
        site.whole().await;
        site.kill_store(second);
        let (_, latest) = site.serves_after(next).await;
        let receipt = site.receipt(latest).await;
        let Completeness::Proven { heard } = &receipt.account.completeness else {
            panic!("{receipt:?}");
        };
        assert!(heard.contains(&NodeId(first)), "{heard:?}");
        writer.acknowledged(200).await;
        site.start_store(second);
        site.whole().await;
    }
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
