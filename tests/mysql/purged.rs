//! A replica that lacks what its primary does not have any more in its binary logs.

use std::os::unix::fs::MetadataExt as _;

use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;

use super::site::{Site, rounds};
use super::tally::Tally;

impl Site {
    /// The primary forgets what it has logged until now, whoever still lacks it.
    pub async fn purge(&self, primary: u64) {
        let address = self.address(primary);
        let flush = ["FLUSH BINARY LOGS"];
        link::tell(address, OPERATOR, &flush)
            .await
            .expect("flushed");
        let latest = "SHOW MASTER STATUS";
        let rows: Vec<(String, u64, String, String)> =
            link::ask(address, OPERATOR, latest).await.expect("answers");
        let latest = &rows[0].0;
        let purge = format!("PURGE BINARY LOGS TO '{latest}'");
        self.until("no replica needs it any more", || async {
            let told = link::tell(address, OPERATOR, &[&purge]).await;
            told.expect("purged");
            let logs: Vec<(String, u64)> = link::ask(address, OPERATOR, "SHOW BINARY LOGS")
                .await
                .expect("answers");
            (logs.len() == 1).then_some(())
        })
        .await;
    }

    /// By which number the file system knows a server's data.
    pub fn data_of(&self, node: u64) -> u64 {
        let data = self.stores[&node].files.data();
        // While it is replaced there is none.
        std::fs::metadata(data).map_or(0, |found| found.ino())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lacks_what_was_purged_is_copied_anew_by_itself() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("a replica lacks what the primary has purged");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let (late, other) = (primary % 3 + 1, (primary + 1) % 3 + 1);
        let data = site.data_of(late);
        let before = Moment::now();
        site.kill(late);
        site.in_sync(&[primary, other]).await;
        load.acknowledged(300).await;
        site.purge(primary).await;
        load.acknowledged(100).await;
        tally.gap_while("it is away", &load, before);
        let returns = Moment::now();
        site.start_store(late);
        let said = site
            .until("it is said", || async {
                let said = site.remark(late).await;
                said.contains("copying all data of").then_some(said)
            })
            .await;
        println!("{said}");
        site.whole().await;
        tally.since("back in sync", returns);
        assert_ne!(site.data_of(late), data, "its data is a copy");
        assert_eq!(site.primary().await, (primary, epoch));
        assert_eq!(load.unknown_since(before), 0, "no commit fails");
        tally.gap_while("it is copied", &load, returns);
        tally.decided("copied anew");
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
