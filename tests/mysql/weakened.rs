//! The wait for replicas is weakened by hand at a primary: it is seen, writes are held until it is as it was, and that
//! is said.

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;

use super::setup::shown;
use super::site::{Site, rounds};
use super::tally::Tally;

/// What somebody sets, and what is said of it.
const WAYS: [(&str, &str); 4] = [
    (
        "SET GLOBAL rpl_semi_sync_master_enabled = 0",
        "it is switched off",
    ),
    (
        "SET GLOBAL rpl_semi_sync_master_timeout = 100",
        "it falls back to asynchronous after 100 ms",
    ),
    (
        "SET GLOBAL rpl_semi_sync_master_wait_no_slave = 0",
        "it does not wait where too few replicas are attached",
    ),
    (
        "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_COMMIT",
        "it waits at AFTER_COMMIT",
    ),
];

impl Site {
    /// How the primary's commits wait.
    async fn wait_of(&self, primary: u64) -> [String; 4] {
        let mut all = Vec::new();
        for name in ["enabled", "timeout", "wait_no_slave", "wait_point"] {
            let what = format!("VARIABLES LIKE 'rpl_semi_sync_master_{name}'");
            all.push(shown(self, primary, &what).await);
        }
        all.try_into().expect("four of them")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_replicas_that_is_weakened_by_hand_is_put_right_and_nothing_is_lost() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the wait for replicas is weakened, then the primary killed");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        for (statement, said) in WAYS {
            let (primary, epoch) = site.primary().await;
            let firm = site.wait_of(primary).await;
            assert_eq!(firm, ["ON", "4294967295", "ON", "AFTER_SYNC"]);
            let before = Moment::now();
            let told = link::tell(site.address(primary), OPERATOR, &[statement]).await;
            told.expect("set");
            let facts = site
                .until("it is said", || async {
                    let facts = site.explained().await.facts.join("\n");
                    facts.contains(said).then_some(facts)
                })
                .await;
            tally.since("said", before);
            let held =
                format!("writes were held: semi-synchronous replication does not hold: {said}");
            assert!(facts.contains(&held), "{facts}");
            site.until("the wait is as it was", || async {
                (site.wait_of(primary).await == firm).then_some(())
            })
            .await;
            tally.since("put right", before);
            load.acknowledged(50).await;
            assert_eq!(site.primary().await, (primary, epoch), "it stays primary");
            tally.gap(&load, before);

            site.kill(primary);
            let (_, next) = site.serves_after(epoch).await;
            load.acknowledged(200).await;
            let receipt = site.receipt(next).await;
            tally.moved(&receipt);
            assert_eq!(receipt.account.cause, Cause::Exited);
            assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
            site.start_store(primary);
            site.whole().await;
        }
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
