//! The return of an old primary that has transactions which nobody else has: verdict, saved tail, and in sync again
//! without a person.

use std::path::Path;
use std::process::Command;

use tenure_tests::mariadb::config::{OPERATOR, WRITER};
use tenure_tests::mariadb::link;

use super::site::{Site, eventually};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_with_transactions_of_its_own_saves_them_and_is_in_sync_again() {
    let mut site = Site::start().await;
    let mut load = site.load().await;
    load.acknowledged(300).await;
    load.rest().await;
    let (primary, epoch) = site.primary().await;
    let replicas = [primary % 3 + 1, (primary + 1) % 3 + 1];
    for replica in replicas {
        site.freeze(replica);
    }
    // What lies in their sockets they would still read.
    site.end_dumps(primary).await;
    let address = site.address(primary);
    let alone = tokio::spawn(async move {
        let write = "INSERT INTO app.writes (writer, number) VALUES ('alone', 4711)";
        link::tell(address, WRITER, &[write]).await
    });
    eventually("it is in the binary log", || async {
        is_logged(&site, primary).then_some(())
    })
    .await;
    assert!(
        !alone.is_finished(),
        "no replica has it, so nobody is told that it is committed"
    );
    site.kill(primary);
    for replica in replicas {
        site.thaw(replica);
    }
    let (_, next) = site.serves_after(epoch).await;
    alone
        .await
        .expect("asked")
        .expect_err("nobody acknowledged it");
    let after = site.load().await;
    after.acknowledged(300).await;
    site.start_store(primary);
    let said = site.returned(next).await;
    println!("{said}");
    assert!(
        said.starts_with("diverged: ") || said.starts_with("ahead: "),
        "{said}"
    );
    let saved = site.saved(primary);
    println!("{saved:?}");
    let found = saved
        .iter()
        .find(|path| said.contains(&path.display().to_string()));
    let tail = shown(found.expect("the remark names the file"));
    assert!(tail.contains("alone") && tail.contains("4711"), "{tail}");
    site.whole().await;
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
    site.all_alike().await;
    site.stop().await;
}

/// Whether the row that nobody else has stands in the primary's binary log.
fn is_logged(site: &Site, primary: u64) -> bool {
    let data = site.stores[&primary].files.data();
    let entries = std::fs::read_dir(data).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut logs = paths.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("binlog.0"))
    });
    logs.any(|log| {
        let bytes = std::fs::read(log).expect("read");
        bytes.windows(5).any(|part| part == b"alone")
    })
}
