//! Damaged and foreign data folders, and folders that are in use.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_tests::cluster::registers::add_node;
use tenure_tests::cluster::{Cluster, Listed};
use tenure_tests::watches::content::{add_nodes, patient};

use crate::attempt::{Alone, CRITICAL, attempt, copy, refused};
use crate::one_server;

/// A data folder that a server was using when it was killed, and the server whose it was.
struct Used {
    cluster: Cluster,
    own: Listed,
}

impl Used {
    async fn new(nodes: usize, label_bytes: usize) -> Self {
        let mut cluster = one_server().await;
        let client = patient(&cluster.endpoints()).await.expect("a client");
        add_nodes(&client, nodes, label_bytes).await.expect("nodes");
        for at in 0..20 {
            cluster
                .execute(&add_node(&format!("single-{at}")))
                .await
                .expect("a node");
        }
        cluster.kill(0).expect("killed");
        let own = cluster.forming()[0].clone();
        Self { cluster, own }
    }

    /// A copy of the folder under a name, for a test to damage.
    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.cluster.dir().join(name);
        copy(self.cluster.servers()[0].data(), &folder);
        folder
    }

    fn alone(&self) -> Alone {
        Alone {
            cluster: "test".to_owned(),
            own: self.own.clone(),
        }
    }

    async fn end(self) {
        self.cluster.stop().await.expect("a clean end");
    }
}

/// The segments of the log, in order.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("log")).expect("a log");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("a damaged file");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_folders_are_refused_with_file_and_offset_and_left_alone() {
    let used = Used::new(10, 100).await;
    let alone = used.alone();

    let folder = used.copy("flipped");
    let segment = segments(&folder).remove(0);
    change(&segment, |bytes| {
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .expect("a log that was written to");
        bytes[used / 2] ^= 0x10;
    });
    let name = segment.display().to_string();
    refused(
        &alone,
        &folder,
        &[
            &name,
            "is damaged at byte",
            "Nothing was changed",
            "Put back an intact copy",
        ],
    );

    let folder = used.copy("version");
    change(&segments(&folder)[0], |bytes| bytes[8] = 99);
    refused(
        &alone,
        &folder,
        &[
            "has format version 99 (byte 8)",
            "the version of Tenure that wrote it",
        ],
    );

    let folder = used.copy("other-file");
    change(&segments(&folder)[0], |bytes| {
        bytes[..8].copy_from_slice(b"ELF file")
    });
    refused(
        &alone,
        &folder,
        &["is not a file of Tenure", "ELF file", "TENUREWL"],
    );

    used.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_identities_are_refused_and_left_alone() {
    let used = Used::new(1, 10).await;
    let alone = used.alone();
    let folder = used.copy("identity-garbage");
    change(&folder.join("identity"), |bytes| bytes.fill(0xa5));
    refused(
        &alone,
        &folder,
        &["identity is not a file of Tenure", "TENUREID"],
    );

    let folder = used.copy("identity-flipped");
    change(&folder.join("identity"), |bytes| {
        *bytes.last_mut().expect("a body") ^= 1
    });
    refused(
        &alone,
        &folder,
        &["identity is damaged at byte", "the checksum says"],
    );

    let folder = used.copy("identity-version");
    change(&folder.join("identity"), |bytes| bytes[8] = 7);
    refused(&alone, &folder, &["identity has format version 7"]);

    let folder = used.copy("identity-short");
    change(&folder.join("identity"), |bytes| bytes.truncate(5));
    refused(
        &alone,
        &folder,
        &[
            "identity is damaged at byte 5",
            "the file ends after 5 bytes",
        ],
    );

    used.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_lack_a_part_are_refused_and_left_alone() {
    let used = Used::new(1, 10).await;
    let alone = used.alone();
    let folder = used.copy("no-log");
    fs::remove_dir_all(folder.join("log")).expect("the log is removed");
    refused(
        &alone,
        &folder,
        &["log is missing", "remove this server from the cluster"],
    );

    let folder = used.copy("no-segment");
    fs::remove_file(&segments(&folder)[0]).expect("the only segment is removed");
    refused(&alone, &folder, &["log", "missing"]);

    let folder = used.copy("no-identity");
    fs::remove_file(folder.join("identity")).expect("the identity is removed");
    refused(
        &alone,
        &folder,
        &["is not a data folder of Tenure, and not empty"],
    );
    used.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_one_of_its_segments_is_refused() {
    let used = Used::new(5_000, 8_000).await;
    let alone = used.alone();
    for (name, at) in [("first", 0), ("middle", 1)] {
        let folder = used.copy(name);
        let segments = segments(&folder);
        assert!(
            segments.len() >= 3,
            "there are {} segments only",
            segments.len()
        );
        fs::remove_file(&segments[at]).expect("a segment is removed");
        refused(&alone, &folder, &["log", "Nothing was changed"]);
        fs::remove_dir_all(&folder).expect("the copy is removed");
    }
    used.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_folders_are_refused_and_left_alone() {
    let used = Used::new(1, 10).await;
    let folder = used.copy("foreign");

    let other = Alone {
        cluster: "another".to_owned(),
        ..used.alone()
    };
    refused(
        &other,
        &folder,
        &[
            "belongs to cluster \"test\"",
            "configured for cluster \"another\"",
        ],
    );
    let other = Alone {
        own: Listed {
            id: 2,
            ..used.own.clone()
        },
        ..used.alone()
    };
    refused(
        &other,
        &folder,
        &["belongs to server 1", "configured as server 2"],
    );

    let photos = used.cluster.dir().join("photos");
    fs::create_dir(&photos).expect("a folder");
    fs::write(photos.join("holiday.jpg"), b"not ours").expect("a file");
    let texts = [
        "is not a data folder of Tenure, and not empty",
        "holiday.jpg",
        "an empty or a new folder",
    ];
    refused(&used.alone(), &photos, &texts);

    let file = used.cluster.dir().join("plain-file");
    fs::write(&file, b"precious").expect("a file");
    attempt(&used.alone().config(&file)).check(CRITICAL, &["plain-file"]);
    assert_eq!(fs::read(&file).expect("the file"), b"precious");
    used.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_locked_out() {
    let mut cluster = one_server().await;
    let folder = cluster.servers()[0].data().to_owned();
    let config = cluster.dir().join("second.toml");
    fs::write(&config, Alone::new(1).text(&folder)).expect("a configuration");
    attempt(&config).check(
        CRITICAL,
        &[
            "is in use by another server",
            "Stop that one, or give this server a folder",
        ],
    );
    cluster
        .execute(&add_node("undisturbed"))
        .await
        .expect("the first one goes on");

    cluster.kill(0).expect("killed");
    cluster.launch(0).expect("started again");
    cluster
        .wait_for_leader()
        .await
        .expect("the folder is its own");
    let first = cluster
        .execute(&add_node("undisturbed"))
        .await
        .expect_err("it has the node");
    assert!(first.to_string().contains("undisturbed"), "{first}");
    cluster.stop().await.expect("a clean end");
}
