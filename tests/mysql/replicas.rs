//! Replicas that are of no use: one whose replication has broken, and one that is far behind.

use tenure_core::Cause;
use tenure_tests::mariadb::config::{KEEPER, OPERATOR};

use super::sessions::Session;
use super::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_replication_has_broken_is_left_out_and_says_why() {
    let mut site = Site::start().await;
    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let (broken, other) = (primary % 3 + 1, (primary + 1) % 3 + 1);
    // What the primary writes next cannot be applied there.
    let own = Session::open(site.address(broken), OPERATOR).await;
    own.tell("SET SESSION sql_log_bin = 0").await;
    own.tell("DROP TABLE app.writes").await;
    site.in_sync(&[primary, other]).await;
    let said = super::site::eventually("its remark", || async {
        let said = site.remark(broken).await;
        said.contains("app.writes").then_some(said)
    })
    .await;
    println!("{said}");
    let facts = site.explained().await.facts.join("\n");
    println!("{facts}");
    assert!(facts.contains("app.writes"), "{facts}");
    let (_, why) = site.switchover_refused(broken).await;
    println!("{why}");
    load.acknowledged(200).await;

    site.kill(primary);
    let (successor, next) = site.serves_after(epoch).await;
    assert_eq!(successor, other, "the one that has everything");
    let receipt = site.receipt(next).await;
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    println!("{:?}", receipt.account.considered);
    site.start_store(primary);
    site.in_sync_at_least(&[primary, other]).await;
    load.acknowledged(200).await;
    site.nothing_lost(load).await;
    site.stop().await;
}

/// It receives and acknowledges, but applies nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_far_behind_is_passed_over_or_waited_for() {
    let mut site = Site::start().await;
    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let (late, other) = (primary % 3 + 1, (primary + 1) % 3 + 1);
    let lock = Session::open(site.address(late), KEEPER).await;
    lock.tell("LOCK TABLES app.writes READ").await;
    load.acknowledged(2_000).await;
    println!("{}", site.remark(late).await);
    println!("{}", site.explained().await.facts.join("\n"));
    site.kill(primary);
    let (successor, next) = site.serves_after(epoch).await;
    let receipt = site.receipt(next).await;
    println!("{:?}", receipt.account.considered);
    assert_eq!(successor, other, "the one that has applied everything");
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    drop(lock);
    site.start_store(primary);
    site.whole().await;
    load.acknowledged(200).await;
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
