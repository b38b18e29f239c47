//! The return of an old primary that has transactions which nobody else has: verdict, saved tail, and in sync again
//! without a person.

use std::path::Path;
use std::process::Command;

use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{OPERATOR, WRITER};
use tenure_tests::mariadb::link;
use tokio::task::JoinHandle;

use super::site::{Site, eventually, rounds};
use super::tally::Tally;

/// The rows of a saved extract of a binary log, as `mariadb-binlog` shows them.
fn shown(path: &Path) -> String {
    let mut show = Command::new("mariadb-binlog");
    show.args(["--base64-output=decode-rows", "--verbose"])
        .arg(path);
    let output = show.output().expect("mariadb-binlog is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// A number that no writer comes to, of a row that nobody else has.
const ALONE: u64 = 4_711_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_with_transactions_of_its_own_saves_them_and_is_in_sync_again() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the old primary returns with transactions of its own");
    for round in 0..rounds(1) {
        let mut load = site.load().await;
        load.acknowledged(300).await;
        load.rest().await;
        let (primary, epoch) = site.primary().await;
        let number = ALONE + u64::from(round);
        let alone = alone_at(&site, primary, number).await;
        let (_, next) = site.serves_after(epoch).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        alone
            .await
            .expect("asked")
            .expect_err("nobody acknowledged it");
        let after = site.load().await;
        after.acknowledged(300).await;
        let returns = Moment::now();
        site.start_store(primary);
        let said = site.returned(next).await;
        println!("{said}");
        let (verdict, _) = said.split_once(": ").expect("a verdict");
        tally.also(verdict);
        assert!(matches!(verdict, "diverged" | "ahead"), "{said}");
        let saved = site.saved(primary);
        let found = saved
            .iter()
            .find(|path| said.contains(&path.display().to_string()));
        let tail = shown(found.expect("the remark names the file"));
        let row = number.to_string();
        assert!(tail.contains("alone") && tail.contains(&row), "{tail}");
        site.whole().await;
        tally.since("back in sync", returns);
        let own = "SELECT number FROM app.writes WHERE writer = 'alone'";
        for node in super::site::ALL {
            let rows: Vec<u64> = link::ask(site.address(node), OPERATOR, own)
                .await
                .expect("answers");
            assert_eq!(rows, [0u64; 0], "node {node}: nobody else had it");
        }
        after.acknowledged(200).await;
        site.nothing_lost(load).await;
        site.nothing_lost(after).await;
    }
    site.all_alike().await;
    site.stop().await;
}

/// What was found before all data were copied, and who knew it is gone when they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_outlives_an_agent_that_is_restarted_while_data_are_copied() {
    let mut site = Site::start().await;
    let mut load = site.load().await;
    load.acknowledged(300).await;
    load.rest().await;
    let (primary, epoch) = site.primary().await;
    let alone = alone_at(&site, primary, ALONE).await;
    let (_, next) = site.serves_after(epoch).await;
    alone
        .await
        .expect("asked")
        .expect_err("nobody acknowledged it");
    let after = site.load().await;
    after.acknowledged(300).await;
    let data = site.data_of(primary);
    site.start_store(primary);
    site.until("its data are copied", || async {
        let said = site.remark(primary).await;
        said.contains("copying all data of").then_some(())
    })
    .await;
    site.stores[&primary].stay_away();
    site.until("its data are replaced", || async {
        let now = site.data_of(primary);
        (now != 0 && now != data).then_some(())
    })
    .await;
    site.drop_agent(primary);
    site.start_store(primary);
    site.start_agent(primary).await;
    let said = site.returned(next).await;
    println!("{said}");
    let (verdict, _) = said.split_once(": ").expect("a verdict");
    assert!(matches!(verdict, "diverged" | "ahead"), "{said}");
    let saved = site.saved(primary);
    let is_named = |path: &std::path::PathBuf| said.contains(&path.display().to_string());
    assert!(saved.iter().any(is_named), "{said}: {saved:?}");
    site.whole().await;
    after.acknowledged(200).await;
    site.nothing_lost(load).await;
    site.nothing_lost(after).await;
    site.all_alike().await;
    site.stop().await;
}

/// Has a primary log a row of which its replicas hear nothing, and kills it. Gives what its writer is told.
async fn alone_at(site: &Site, primary: u64, number: u64) -> JoinHandle<mysql_async::Result<()>> {
    let replicas = [primary % 3 + 1, (primary + 1) % 3 + 1];
    for replica in replicas {
        site.freeze(replica);
    }
    // What lies in their sockets they would still read.
    site.end_dumps(primary).await;
    let address = site.address(primary);
    let alone = tokio::spawn(async move {
        let write = format!("INSERT INTO app.writes (writer, number) VALUES ('alone', {number})");
        link::tell(address, WRITER, &[&write]).await
    });
    let row = [b"alone".as_slice(), &number.to_le_bytes()].concat();
    eventually("it is in the binary log", || async {
        is_logged(site, primary, &row).then_some(())
    })
    .await;
    site.kill(primary);
    for replica in replicas {
        site.thaw(replica);
    }
    alone
}

/// Whether the row that nobody else has stands in the primary's binary log.
fn is_logged(site: &Site, primary: u64, row: &[u8]) -> bool {
    let data = site.stores[&primary].files.data();
    let entries = std::fs::read_dir(data).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut logs = paths.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("binlog.0"))
    });
    logs.any(|log| {
        let bytes = std::fs::read(log).expect("read");
        bytes.windows(row.len()).any(|part| part == row)
    })
}
