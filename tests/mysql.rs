//! Real `mariadbd` processes under agents and servers of this build: what befalls a primary and its replicas, what is
//! decided about it and why, and that nothing that was committed is lost.

#[path = "mysql/load.rs"]
mod load;
#[path = "mysql/looks.rs"]
mod looks;
#[path = "mysql/site.rs"]
mod site;

use site::Site;
use tenure_core::{Cause, Completeness, Phase};
use tenure_tests::mariadb::config::{AGENT, WRITER};
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::writer::TABLE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_and_nothing_committed_is_lost() {
    let mut site = Site::start().await;
    let load = site.load().await;
    load.acknowledged(300).await;
    for round in 0..3 {
        let (primary, epoch) = site.primary().await;
        let before = tenure_tests::failover::moment::Moment::now();
        site.kill(primary);
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        println!(
            "round {round}: longest gap {:.0} ms, {:?}",
            load.longest_gap_ms(before),
            receipt.account.timeline
        );
        assert_eq!(receipt.account.cause, Cause::Exited);
        let proven = matches!(receipt.account.completeness, Completeness::Proven { .. });
        assert!(proven, "{receipt:?}");
        assert!(receipt.account.timeline.contains_key(&Phase::Committed));
        site.start_store(primary);
        site.whole().await;
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

/// What every instance begins as: it takes no writes of an account that has no more rights than a writer needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_nobody_has_given_a_role_takes_no_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = site::lone(folder.path()).await;
    let refused = link::tell(store.address, WRITER, &TABLE).await;
    let refused = refused.expect_err("it takes no writes").to_string();
    assert!(refused.contains("1290"), "{refused}");
    let history = "SHOW GLOBAL VARIABLES LIKE 'gtid_binlog_pos'";
    let history = link::shown(store.address, AGENT, history).await;
    assert_eq!(history.expect("it answers"), "", "it has no history");
}
