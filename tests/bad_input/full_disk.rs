//! A disk that has no room left: a small file system for one server's data.

use tenure_core::Key;
use tenure_tests::cluster::registers::Register;
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, until};
use tenure_tests::small_disk::SmallDisk;
use tenure_tests::watches::content::{add_nodes, list, patient};
use tenure_tests::watches::picture::Picture;
use tenure_tests::watches::writers::Writers;

use crate::attempt::CRITICAL;

const SIZE_MIB: u32 = 64;
const REGISTERS: usize = 4;
const WRITES: u64 = 50;
/// Nodes whose addition takes 1.6 MB of log.
const LARGE_NODES: usize = 200;
const LARGE_BYTES: usize = 8_000;
/// What the operating system says.
const NO_ROOM: &str = "No space left on device";

/// Which server's disk is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Leader,
    Follower,
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_when_the_disk_of_a_follower_is_full() {
    full(Whose::Follower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_take_over_when_the_disk_of_the_leader_is_full() {
    full(Whose::Leader).await;
}

async fn full(whose: Whose) {
    let mut cluster = Cluster::prepare(Options::default()).expect("three servers");
    let small = 1;
    let Some(disk) = SmallDisk::mount(cluster.servers()[small].data(), SIZE_MIB) else {
        return;
    };
    cluster.expect_log(NO_ROOM);
    for at in 0..3 {
        cluster.launch(at).expect("started");
    }
    let registers = cluster
        .make_registers("r", REGISTERS)
        .await
        .expect("registers");
    lead(&mut cluster, small, whose).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let writers = Writers::start(&client, &registers);
    writers
        .progress(WRITES)
        .await
        .expect("writes with room left");
    disk.fill(32 << 10);
    // More than the log has room for that it took before.
    let large = add_nodes(&client, LARGE_NODES, LARGE_BYTES).await;
    large.expect("writes go on through the others");
    let said = end_of(&mut cluster, small).await;
    assert!(said.contains(NO_ROOM), "{said}");
    assert!(
        said.contains("Free some space on this file system and start the server again"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    writers
        .progress(WRITES)
        .await
        .expect("writes go on without it");

    disk.enlarge(2 * SIZE_MIB);
    cluster.launch(small).expect("started again");
    writers
        .progress(WRITES)
        .await
        .expect("writes go on with it");
    let acknowledged = writers.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("it has caught up");
    check(&client, &registers, &acknowledged).await;
    cluster.stop().await.expect("a clean end");
    drop(disk);
}

/// Makes the server with the small disk lead, or not.
async fn lead(cluster: &mut Cluster, small: usize, whose: Whose) {
    let wanted = match whose {
        Whose::Leader => small,
        Whose::Follower => (small + 1) % 3,
    };
    let to = cluster.servers()[wanted].listed.id;
    let cluster = &*cluster;
    let look = async || match cluster.leader().await? {
        leader if leader == wanted => Ok(()),
        leader => {
            let answer = cluster.calls(leader).transfer_leader(to).await;
            Err(format!("server {} leads; transfer: {answer:?}", leader + 1))
        }
    };
    until(format!("server {to} to lead"), SETTLE_BOUND, look)
        .await
        .expect("leadership goes where it is sent");
}

/// Waits until the full server has ended, and answers with its log.
async fn end_of(cluster: &mut Cluster, small: usize) -> String {
    let code = cluster.wait_for_end(small).await;
    let code = code.expect("a server with a full disk ends");
    let log = cluster.servers()[small].log().expect("its log");
    assert_eq!(code, Some(CRITICAL), "{log}");
    log
}

async fn check(
    client: &tenure_client::Client,
    registers: &[Register],
    acknowledged: &tenure_tests::watches::writers::Acknowledged,
) {
    let (revision, records) = list(client).await.expect("a list");
    let nodes = records.keys().filter(|key| matches!(key, Key::Node(_)));
    assert_eq!(nodes.count(), registers.len() + LARGE_NODES);
    assert!(acknowledged.count() >= 3 * WRITES);
    acknowledged
        .check(&Picture::of(records, revision))
        .expect("every acknowledged write is there");
}
