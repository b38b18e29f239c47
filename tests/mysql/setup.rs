//! From empty servers to a service with everything that a policy of no loss rests on.

use tenure_core::controller::HoldCode;
use tenure_tests::mariadb::config::{OPERATOR, WRITER};
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::writer::TABLE;

use super::site::{ALL, Plan, Site, lone};

/// What a server shows of itself.
pub async fn shown(site: &Site, node: u64, what: &str) -> String {
    let query = format!("SHOW GLOBAL {what}");
    let shown = link::shown(site.address(node), OPERATOR, &query).await;
    shown.expect("it answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_empty_servers_become_a_primary_and_two_replicas_that_acknowledge() {
    let site = Site::empty(Plan::default()).await;
    for node in ALL {
        let refused = link::tell(site.address(node), WRITER, &["CREATE DATABASE app"]).await;
        refused.expect_err("nobody has a role, so nobody takes writes");
    }
    site.choose_first().await;
    site.whole().await;
    for node in ALL {
        let is_primary = node == 1;
        let read_only = shown(&site, node, "VARIABLES LIKE 'read_only'").await;
        assert_eq!(
            read_only == "OFF",
            is_primary,
            "node {node}: read_only {read_only}"
        );
    }
    let waits = shown(&site, 1, "STATUS LIKE 'Rpl_semi_sync_master_status'").await;
    let waited_for = shown(&site, 1, "STATUS LIKE 'Rpl_semi_sync_master_clients'").await;
    let until = shown(&site, 1, "VARIABLES LIKE 'rpl_semi_sync_master_timeout'").await;
    assert_eq!((waits.as_str(), waited_for.as_str()), ("ON", "2"));
    let until: u64 = until.parse().expect("milliseconds");
    assert!(
        until > 24 * 3_600_000,
        "it would fall back after {until} ms"
    );

    // What is declared beside it is replicated as it is.
    link::tell(
        site.address(1),
        WRITER,
        &[
            "CREATE DATABASE app",
            "CREATE TABLE app.declared (id INT PRIMARY KEY)",
            "INSERT INTO app.declared VALUES (7)",
        ],
    )
    .await
    .expect("a primary takes writes");
    super::site::eventually("the row everywhere", || async {
        for node in ALL {
            let query = "SELECT id FROM app.declared";
            let rows: Vec<u64> = link::ask(site.address(node), OPERATOR, query).await.ok()?;
            (rows == [7]).then_some(())?;
        }
        Some(())
    })
    .await;
    let explained = site.explained().await;
    let hold = explained.decision.expect_err("nothing is to be done");
    assert_eq!(hold.code, HoldCode::Nothing, "{hold}");
    site.stop().await;
}

/// What every instance begins as: it takes no writes of an account that has no more rights than a writer needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_nobody_has_given_a_role_takes_no_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = lone(folder.path()).await;
    let refused = link::tell(store.address, WRITER, &TABLE).await;
    let refused = refused.expect_err("it takes no writes").to_string();
    assert!(refused.contains("1290"), "{refused}");
    let history = "SHOW GLOBAL VARIABLES LIKE 'gtid_binlog_pos'";
    let history = link::shown(store.address, OPERATOR, history).await;
    assert_eq!(history.expect("it answers"), "", "it has no history");
}
