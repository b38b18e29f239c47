//! Replicas that are of no use: one whose replication has broken, and one that is far behind.

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{KEEPER, OPERATOR};

use super::sessions::Session;
use super::site::{Site, rounds};
use super::tally::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_replication_has_broken_is_left_out_and_says_why() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("a replica's replication is broken, then the primary killed");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let (broken, other) = (primary % 3 + 1, (primary + 1) % 3 + 1);
        // What the primary writes next cannot be applied there.
        let own = Session::open(site.address(broken), OPERATOR).await;
        own.tell("SET SESSION sql_log_bin = 0").await;
        let breaks = Moment::now();
        own.tell("RENAME TABLE app.writes TO app.hidden").await;
        site.in_sync(&[primary, other]).await;
        tally.since("left out", breaks);
        let said = site
            .until("its remark", || async {
                let said = site.remark(broken).await;
                said.contains("app.writes").then_some(said)
            })
            .await;
        println!("{said}");
        let facts = site.explained().await.facts.join("\n");
        assert!(facts.contains("app.writes"), "{facts}");
        let (code, why) = site.switchover_refused(broken).await;
        println!("{code}: {why}");
        load.acknowledged(200).await;

        let before = Moment::now();
        site.kill(primary);
        let (successor, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        assert_eq!(successor, other, "the one that has everything");
        assert_eq!(receipt.account.cause, Cause::Exited);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        println!("{:?}", receipt.account.considered);
        site.start_store(primary);
        site.in_sync_at_least(&[primary, other]).await;

        let repaired = Moment::now();
        let own = Session::open(site.address(broken), OPERATOR).await;
        own.tell("SET SESSION sql_log_bin = 0").await;
        own.tell("RENAME TABLE app.hidden TO app.writes").await;
        site.whole().await;
        tally.since("back in sync", repaired);
    }
    load.acknowledged(200).await;
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

/// It receives and acknowledges, but applies nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_far_behind_is_passed_over_or_waited_for() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("a replica is far behind, then the primary killed");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let (late, other) = (primary % 3 + 1, (primary + 1) % 3 + 1);
        let lock = Session::open(site.address(late), KEEPER).await;
        lock.tell("LOCK TABLES app.writes READ").await;
        load.acknowledged(2_000).await;
        println!("{}", site.explained().await.facts.join("\n"));
        let before = Moment::now();
        site.kill(primary);
        let (successor, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        let considered = &receipt.account.considered;
        let at = |node: u64| {
            let found = considered.iter().find(|it| it.node.0 == node);
            found
                .and_then(|it| it.position.as_ref())
                .map(|it| it.offset)
        };
        // What it has received counts, so that it may have more than the one that has applied everything.
        match successor == other {
            true => tally.also("passed over"),
            false => {
                tally.also("waited for");
                assert!(at(late) > at(other), "{considered:?}");
            }
        }
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        let released = Moment::now();
        drop(lock);
        site.start_store(primary);
        site.whole().await;
        tally.since("back in sync", released);
    }
    load.acknowledged(200).await;
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
