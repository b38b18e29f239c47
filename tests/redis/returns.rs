//! The return of an old primary: how its history compares, what is saved of it, and that it is in sync again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_core::Note;

use super::looks::{ask, ask_all, node};
use super::site::{Plan, Site, eventually, service};
use super::store::Store;

/// The writes that nobody but a primary that was cut off has.
const ALONE: [(&str, &str); 3] = [("cut:1", "one"), ("cut:2", "two"), ("cut:3", "three")];

impl Site {
    /// Has a primary take writes that no replica gets, though some is stopped meanwhile for that, and lets it
    /// acknowledge them by itself.
    async fn write_alone(&self, primary: u64, replicas: &[u64]) {
        for replica in replicas {
            self.freeze_store(*replica, true);
        }
        let mut commands: Vec<Vec<&str>> = vec![
            vec!["CONFIG", "SET", "min-replicas-to-write", "0"],
            vec!["CLIENT", "KILL", "TYPE", "replica"],
        ];
        commands.extend(ALONE.iter().map(|(key, value)| vec!["SET", *key, *value]));
        let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
        let answers = ask_all(self.port(primary), &commands).await.expect("asked");
        for answer in answers {
            answer.extract_error().expect("done");
        }
    }

    fn thaw(&self, nodes: &[u64]) {
        for node in nodes {
            self.freeze_store(*node, false);
        }
    }

    /// The one file that was saved on a node, with this ending.
    fn one_saved(&self, node: u64, end: &str) -> PathBuf {
        let saved = self.saved(node);
        let [path] = &saved[..] else {
            panic!("one file, not {saved:?}");
        };
        assert_eq!(path.extension().and_then(|it| it.to_str()), Some(end));
        path.clone()
    }
}

/// Feeds a saved tail to a store, as `redis-cli --pipe` does.
fn replay(path: &Path, port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    let tail = std::fs::read(path).expect("read");
    stream.write_all(&tail).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("ended");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("answered");
    assert!(!said.contains('-'), "{said}");
}

async fn all_there(port: u16) -> bool {
    let mut there = 0;
    for (key, value) in ALONE {
        let found = ask(port, &["GET", key]).await.expect("answers");
        there += usize::from(found == redis::Value::BulkString(value.as_bytes().to_vec()));
    }
    assert!(there == 0 || there == ALONE.len(), "{there} of them");
    there > 0
}

/// With two instances left, so that the successor can write nothing before the old primary follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_is_identical_after_a_switchover_or_ahead_when_it_was_cut_off() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (first, _) = site.primary().await;
    let (second, third) = (first % 3 + 1, (first + 1) % 3 + 1);
    site.kill_store(third);
    site.in_sync(&[first, second]).await;
    writer.acknowledged(100).await;
    writer.stop().await;

    let admin = site.client.admin();
    let to = Some(node(second));
    let moved = admin.switchover(&service(), to, Note::default()).await;
    let epoch = moved.expect("moved").epoch;
    let said = site.returned(epoch).await;
    assert_eq!(said, "identical: it has nothing of its own");
    assert_eq!(site.saved(first), Vec::<PathBuf>::new());
    site.in_sync(&[first, second]).await;

    site.write_alone(second, &[first]).await;
    site.freeze_store(second, true);
    site.thaw(&[first]);
    let (successor, next) = site.serves_after(epoch).await;
    assert_eq!(successor, first);
    site.thaw(&[second]);
    let said = site.returned(next).await;
    println!("{said}");
    assert!(said.starts_with("ahead: 3 changes"), "{said}");
    site.in_sync(&[first, second]).await;
    assert!(!all_there(site.port(first)).await, "nobody else has it");
    let tail = site.one_saved(second, "resp");
    assert!(said.contains(&tail.display().to_string()), "{said}");
    // Redis itself counts its replica a moment after that is linked.
    eventually("a write taken", || async {
        ask(site.port(first), &["SET", "a", "1"]).await.ok()
    })
    .await;
    replay(&tail, site.port(first));
    assert!(all_there(site.port(first)).await, "and it can be had again");
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_is_behind_when_it_lost_its_memory_or_diverged_when_it_was_cut_off() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (first, epoch) = site.primary().await;
    site.kill_store(first);
    let (_, next) = site.serves_after(epoch).await;
    site.start_store(first);
    let said = site.returned(next).await;
    assert_eq!(said, "behind: it has no data");
    assert_eq!(site.saved(first), Vec::<PathBuf>::new());
    site.whole().await;

    let (primary, epoch) = site.primary().await;
    let others = [primary % 3 + 1, (primary + 1) % 3 + 1];
    site.write_alone(primary, &others).await;
    site.freeze_store(primary, true);
    site.thaw(&others);
    let (_, next) = site.serves_after(epoch).await;
    writer.acknowledged(200).await;
    site.thaw(&[primary]);
    let said = site.returned(next).await;
    println!("{said}");
    assert!(said.starts_with("diverged: "), "{said}");
    site.whole().await;
    let tail = site.one_saved(primary, "resp");
    assert!(said.contains(&tail.display().to_string()), "{said}");
    let mut copy = Store::new(site.folder.path().join("copy"), "");
    copy.start();
    copy.is_up().await;
    replay(&tail, copy.port);
    assert!(all_there(copy.port).await, "it can be had again");
    writer.acknowledged(200).await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

/// Redis forgets which history it belonged to when it is killed: all that it has is saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_was_killed_and_kept_its_data_is_saved_whole() {
    let mut site = Site::of(Plan {
        redis: "appendonly yes",
        ..Plan::default()
    })
    .await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let others = [primary % 3 + 1, (primary + 1) % 3 + 1];
    site.write_alone(primary, &others).await;
    site.kill_store(primary);
    site.thaw(&others);
    let (_, next) = site.serves_after(epoch).await;
    writer.acknowledged(200).await;
    site.start_store(primary);
    let said = site.returned(next).await;
    println!("{said}");
    assert!(said.starts_with("diverged: all its data"), "{said}");
    site.whole().await;
    let tail = site.one_saved(primary, "rdb");
    assert!(said.contains(&tail.display().to_string()), "{said}");
    let folder = site.folder.path().join("copy");
    let mut copy = Store::new(folder.clone(), "");
    std::fs::copy(tail, folder.join("dump.rdb")).expect("copied");
    copy.start();
    copy.is_up().await;
    assert!(all_there(copy.port).await, "it can be had again");
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
