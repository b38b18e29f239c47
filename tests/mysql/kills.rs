//! A primary that is killed, that stands still, and one whose agent is killed.

use tenure_core::{Cause, Completeness, Phase};
use tenure_tests::failover::moment::Moment;

use super::site::{Site, rounds};
use super::tally::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_and_nothing_committed_is_lost() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the primary is killed");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(2) {
        let (primary, epoch) = site.primary().await;
        let before = Moment::now();
        site.kill(primary);
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        assert_eq!(receipt.account.cause, Cause::Exited);
        let proven = matches!(receipt.account.completeness, Completeness::Proven { .. });
        assert!(proven, "{receipt:?}");
        assert!(receipt.account.timeline.contains_key(&Phase::Committed));
        let returns = Moment::now();
        site.start_store(primary);
        site.whole().await;
        tally.since("back in sync", returns);
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_replaced_and_commits_nothing_when_it_goes_on() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the primary stands still");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let before = Moment::now();
        site.freeze(primary);
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        assert_eq!(receipt.account.cause, Cause::Stuck);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        let said = receipt.account.evidence[0].as_str();
        assert!(said.contains("has made no progress"), "{said}");
        let returns = Moment::now();
        site.thaw(primary);
        site.whole().await;
        tally.since("back in sync", returns);
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_costs_nothing_when_it_is_back_within_its_grace() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the primary's agent is killed for a moment");
    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    for _ in 0..rounds(1) {
        let before = Moment::now();
        site.drop_agent(primary);
        // Longer than its lease: its replicas' agents see that the primary answers.
        let hold = site.held(|hold| hold.why.contains("agent")).await;
        tally.decided(hold.code);
        load.acknowledged(500).await;
        site.start_agent(primary).await;
        load.acknowledged(500).await;
        site.whole().await;
        assert_eq!(site.primary().await, (primary, epoch));
        tally.gap(&load, before);
        assert_eq!(load.unknown_since(before), 0, "no commit fails");
    }
    site.nothing_lost(load).await;
    site.stop().await;
}

/// What its agent cannot fence any more commits nothing once its replicas have let go of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_agent_is_gone_for_good_is_replaced_after_its_grace() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the primary's agent is killed for good");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let before = Moment::now();
        site.drop_agent(primary);
        let hold = site.held(|hold| hold.why.contains("agent")).await;
        println!("{hold}");
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        assert_eq!(receipt.account.cause, Cause::AgentLost);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        let returns = Moment::now();
        site.start_agent(primary).await;
        site.whole().await;
        tally.since("back in sync", returns);
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
