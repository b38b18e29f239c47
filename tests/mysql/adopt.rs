//! A set of replicas that somebody has made by hand is adopted while it serves, as the page for operators says it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::template::agents_account;
use tenure_tests::mariadb::writer::prepare;

use super::load::Load;
use super::setup::shown;
use super::site::{ALL, Plan, Site};

const PRIMARY: u64 = 1;

/// As somebody has it who has not heard of Tenure.
const BY_HAND: &str = "gtid-strict-mode = 0\nread-only = 0";

impl Site {
    async fn told(&self, node: u64, statements: &[&str]) {
        let told = link::tell(self.address(node), OPERATOR, statements).await;
        told.unwrap_or_else(|error| panic!("node {node}: {error}"));
    }

    /// One primary, and two replicas that follow it by an account of their operator's.
    async fn made_by_hand(&self) {
        for node in ALL {
            let account = [
                "SET SESSION sql_log_bin = 0",
                "DROP USER 'tenure'@'%'",
                "CREATE USER 'by-hand'@'%' IDENTIFIED BY 'by hand'",
                "GRANT REPLICATION SLAVE ON *.* TO 'by-hand'@'%'",
            ];
            self.told(node, &account).await;
        }
        let address = self.address(PRIMARY);
        prepare(address, OPERATOR).await.expect("a table");
        let (ip, port) = (address.ip(), address.port());
        let follow = format!(
            "CHANGE MASTER TO MASTER_HOST = '{ip}', MASTER_PORT = {port}, MASTER_USER = 'by-hand', \
             MASTER_PASSWORD = 'by hand', MASTER_USE_GTID = slave_pos"
        );
        for node in ALL.into_iter().filter(|node| *node != PRIMARY) {
            let follow = ["SET GLOBAL read_only = 1", &follow, "START SLAVE"];
            self.told(node, &follow).await;
        }
        self.all_alike().await;
    }

    /// Which process of each server runs, and since when it does.
    fn processes(&self) -> BTreeMap<u64, Option<u32>> {
        let pids = self.stores.iter();
        pids.map(|(node, store)| (*node, store.pid())).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_replicas_that_serves_is_adopted_and_its_writers_notice_nothing() {
    let mut site = Site::unattended(Plan {
        mariadbd: BY_HAND,
        ..Plan::default()
    })
    .await;
    site.made_by_hand().await;
    let load = Load::at(site.address(PRIMARY));
    load.acknowledged(300).await;
    let (before, processes) = (Moment::now(), site.processes());

    for node in ALL {
        site.told(node, &["SET GLOBAL gtid_strict_mode = 1"]).await;
        let file = site.stores[&node].files.config();
        let mut file = File::options().append(true).open(file).expect("its file");
        writeln!(file, "gtid-strict-mode = 1\nread-only = 1").expect("written");
        let account = agents_account();
        let account: Vec<&str> = account.iter().map(String::as_str).collect();
        site.told(node, &account).await;
        site.start_agent(node).await;
    }
    load.acknowledged(300).await;
    site.choose_first().await;
    site.whole().await;
    load.acknowledged(300).await;

    println!("longest gap {:.0} ms", load.longest_gap_ms(before));
    assert_eq!(load.unknown_since(before), 0, "no commit fails");
    assert_eq!(load.refused_since(before), 0, "none is refused");
    assert_eq!(site.processes(), processes, "nothing was started anew");
    assert_eq!(site.primary().await.0, PRIMARY);
    for node in ALL {
        let read_only = shown(&site, node, "VARIABLES LIKE 'read_only'").await;
        assert_eq!(read_only == "OFF", node == PRIMARY, "node {node}");
        println!("{}", site.remark(node).await);
    }
    let acknowledge = shown(&site, PRIMARY, "STATUS LIKE 'Rpl_semi_sync_master_clients'").await;
    assert_eq!(acknowledge, "2", "both replicas acknowledge");
    site.nothing_lost(load).await;
    site.all_alike().await;

    // From here on it is a service like any other.
    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    site.kill(primary);
    let (_, next) = site.serves_after(epoch).await;
    load.acknowledged(200).await;
    let receipt = site.receipt(next).await;
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    site.start_store(primary);
    site.whole().await;
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
