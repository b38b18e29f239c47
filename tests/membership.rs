//! Servers that come, go, were away and come back, under load.

use std::time::Instant;

use tenure_client::core::{Filter, Record, RecordKind, RejectCode};
use tenure_client::{Client, Consistency, Options as ClientOptions};
use tenure_proto::v1;
use tenure_tests::cluster::pump::Pump;
use tenure_tests::cluster::{Cluster, Keeping, Options, SETTLE_BOUND, until};

const AWAY_ENTRIES: &str = "TENURE_AWAY_ENTRIES";
const AWAY_ENTRIES_IN_GATE: u64 = 10_000;
const WRITERS: usize = 96;

/// Little log is kept: whoever was away needs a snapshot.
const KEEPING: Keeping = Keeping {
    checkpoint_entries: 2_000,
    log_keep_entries: 500,
    events_max: 10_000,
};

fn keeping_little() -> Options {
    Options {
        keeping: Some(KEEPING),
        ..Options::default()
    }
}

async fn status(cluster: &Cluster, at: usize) -> v1::RaftStatusResponse {
    cluster
        .calls(at)
        .raft_status()
        .await
        .expect("a running server tells its status")
}

async fn a_follower(cluster: &mut Cluster) -> usize {
    let leader = cluster.wait_for_leader().await.expect("a leader");
    (leader + 1) % cluster.servers().len()
}

fn away_entries() -> u64 {
    let parse = |text: String| {
        text.parse()
            .unwrap_or_else(|_| panic!("{AWAY_ENTRIES} = {text:?} is no number"))
    };
    std::env::var(AWAY_ENTRIES).map_or(AWAY_ENTRIES_IN_GATE, parse)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_catches_up_by_snapshot_under_load() {
    let entries = away_entries();
    let mut cluster = Cluster::start(keeping_little()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 200)
        .await
        .expect("registers");
    let away = a_follower(&mut cluster).await;
    let left_at = status(&cluster, away).await.last_log;
    cluster.kill(away).expect("killed");
    let pump = Pump::start(&cluster, &registers, WRITERS);
    let began = Instant::now();
    pump.progress(entries)
        .await
        .expect("writes with two servers");
    say(&format!(
        "{entries} entries were written in {:.1?} with two servers",
        began.elapsed()
    ));
    let leader = cluster.wait_for_leader().await.expect("a leader");
    wait_for_purge(&cluster, leader, left_at).await;

    let target = status(&cluster, leader).await.last_log;
    let before = pump.acknowledged();
    cluster.launch(away).expect("started again");
    catch_up(&cluster, away, target).await;
    let meanwhile = pump.acknowledged() - before;
    say(&format!("{meanwhile} more were written meanwhile"));
    assert!(meanwhile > 0, "the load should go on meanwhile");
    let now = status(&cluster, away).await;
    assert!(
        now.purged > left_at && now.checkpoint > left_at,
        "its log ended at {left_at}; only by a snapshot can it begin after {} (checkpoint {})",
        now.purged,
        now.checkpoint
    );
    pump.progress(200).await.expect("writes with three servers");
    pump.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn say(what: &str) {
    println!("away: {what}");
}

/// The leader can send what the one that is away lacks as a snapshot only.
async fn wait_for_purge(cluster: &Cluster, leader: usize, left_at: u64) {
    let what = format!("a log that begins after entry {left_at}");
    let purged = until(what, SETTLE_BOUND, async || {
        let purged = status(cluster, leader).await.purged;
        if purged > left_at {
            Ok(purged)
        } else {
            Err(format!("it was purged up to {purged}"))
        }
    });
    let purged = purged.await.expect("the leader purges its log");
    say(&format!(
        "left at entry {left_at}, the leader has purged its log up to {purged}"
    ));
}

async fn catch_up(cluster: &Cluster, away: usize, target: u64) {
    let back = Instant::now();
    let what = format!("entry {target} applied by the server that was away");
    let caught_up = until(what, SETTLE_BOUND * 2, async || {
        let now = cluster.calls(away).raft_status().await;
        let applied = now.map_err(|error| error.to_string())?.applied;
        if applied >= target {
            Ok(())
        } else {
            Err(format!("it has applied {applied}"))
        }
    });
    caught_up.await.expect("it catches up");
    say(&format!(
        "caught up to entry {target} in {:.1?}",
        back.elapsed()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_join_and_leave_under_load_and_ids_are_never_used_again() {
    let mut cluster = Cluster::start(keeping_little()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 50)
        .await
        .expect("registers");
    let pump = Pump::start(&cluster, &registers, 16);
    // Enough for the log to begin after its first entry: who joins needs a snapshot.
    pump.progress(3_000)
        .await
        .expect("writes with three servers");
    for servers in 4..=5 {
        let new = cluster.extend().expect("prepared");
        cluster.launch(new).expect("started");
        pump.learn(&cluster);
        assert!(
            cluster.admit(new, false).await.expect("added"),
            "it should be a voter now"
        );
        pump.progress(300)
            .await
            .expect("writes with one more server");
        let leader = cluster
            .wait_for_leader()
            .await
            .expect("a leader that all know");
        let voters = status(&cluster, leader).await.servers;
        assert_eq!(voters.iter().filter(|server| server.voter).count(), servers);
    }
    cluster.dismiss(1).await.expect("removed");
    pump.progress(300)
        .await
        .expect("writes without the one that was removed");
    cluster.kill(0).expect("killed");
    refuse_the_removed_id(&mut cluster).await;
    refuse_the_removed_server(&mut cluster, &pump).await;

    // Of five servers without the first, two may fail.
    let leader = cluster.wait_for_leader().await.expect("a leader");
    cluster.kill(leader).expect("killed");
    pump.progress(300)
        .await
        .expect("writes with three of four servers");
    cluster.launch(leader).expect("started again");
    pump.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

/// Another server under the id that was removed is not taken, wherever it is.
async fn refuse_the_removed_id(cluster: &mut Cluster) {
    let again = cluster.extend_as(1).expect("prepared");
    let listed = cluster.servers()[again].listed.clone();
    let leader = cluster.wait_for_leader().await.expect("a leader");
    let request = v1::AddServerRequest {
        id: 1,
        raft: listed.raft,
        api: listed.api,
        learner: false,
    };
    let refused = cluster
        .calls(leader)
        .add_server(request)
        .await
        .expect_err("its id was used");
    let reject = refused
        .reject()
        .unwrap_or_else(|| panic!("it should be rejected, not: {refused}"));
    assert_eq!(reject.code, RejectCode::ServerIdUsed, "{reject}");
}

/// The removed server itself, with its data, leads nobody, disturbs nobody and is told why.
async fn refuse_the_removed_server(cluster: &mut Cluster, pump: &Pump) {
    let leader = cluster.wait_for_leader().await.expect("a leader");
    let term = status(cluster, leader).await.term;
    cluster.launch(0).expect("started again");
    let told = until(
        "the refusal of the removed server",
        SETTLE_BOUND,
        async || {
            let log = cluster.servers()[0]
                .log()
                .map_err(|error| error.to_string())?;
            if log.contains("never used again") {
                Ok(())
            } else {
                Err(log)
            }
        },
    );
    told.await.expect("it is told that it was removed");
    pump.progress(300)
        .await
        .expect("writes beside the removed server");
    let now = status(cluster, leader).await;
    assert_eq!(
        (now.term, now.leader),
        (term, now.server),
        "the removed server should disturb nobody"
    );
    cluster.expect_log("never used again");
    cluster.discard(0).expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_server_is_refused_and_told_what_to_do() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 10)
        .await
        .expect("registers");
    wait_for_bound_folders(&cluster).await;
    let pump = Pump::start(&cluster, &registers, 4);
    pump.progress(200).await.expect("writes with three servers");
    let wiped = a_follower(&mut cluster).await;
    cluster.kill(wiped).expect("killed");
    cluster.wipe(wiped).expect("its folder is gone");
    cluster.expect_log("by another data folder");
    cluster.launch(wiped).expect("started with an empty folder");
    let code = cluster
        .wait_for_end(wiped)
        .await
        .expect("it ends by itself");
    assert_eq!(code, Some(2), "it could not start");
    let log = cluster.servers()[wiped].log().expect("its log");
    let id = cluster.servers()[wiped].listed.id;
    for told in [
        "by another data folder",
        &format!("tenure raft remove {id}"),
        "never used",
    ] {
        assert!(log.contains(told), "the log should say {told:?}:\n{log}");
    }
    pump.progress(200).await.expect("writes with two servers");

    // What it is told works.
    cluster.dismiss(id).await.expect("removed");
    let new = cluster.extend().expect("prepared");
    cluster.launch(new).expect("started");
    pump.learn(&cluster);
    assert!(
        cluster.admit(new, false).await.expect("added"),
        "it should be a voter"
    );
    pump.progress(200)
        .await
        .expect("writes with the new server");
    pump.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

/// From then on the cluster knows each server by its data folder.
async fn wait_for_bound_folders(cluster: &Cluster) {
    let client = Client::connect(cluster.endpoints(), ClientOptions::default()).await;
    let client = client.expect("a client");
    let filter = Filter {
        kinds: [RecordKind::Server].into(),
        ..Filter::default()
    };
    let bound = until(
        "the data folder of each server in the state",
        SETTLE_BOUND,
        async || {
            let listed = client
                .discovery()
                .list(&filter, Consistency::Linearizable)
                .await;
            let records = listed.map_err(|error| error.to_string())?.records;
            let is_bound = |record: &&Record| matches!(record, Record::Server(server) if server.store.is_some());
            match records.iter().filter(is_bound).count() {
                3 => Ok(()),
                other => Err(format!("{other} of 3 are known")),
            }
        },
    );
    bound.await.expect("servers are bound to their folders");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_on_request_and_before_a_leader_ends() {
    let mut cluster = Cluster::start(Options::default()).await.expect("a cluster");
    let registers = cluster
        .make_registers("registers", 10)
        .await
        .expect("registers");
    let pump = Pump::start(&cluster, &registers, 4);
    for _ in 0..3 {
        pump.progress(100).await.expect("writes");
        let to = a_follower(&mut cluster).await;
        let leader = cluster.wait_for_leader().await.expect("a leader");
        let to = cluster.servers()[to].listed.id;
        let told = cluster
            .calls(leader)
            .transfer_leader(to)
            .await
            .expect("handed over");
        assert_eq!(told.leader, to, "the one that was named should lead");
    }
    for _ in 0..3 {
        pump.progress(100).await.expect("writes");
        end_the_leader(&mut cluster).await;
    }
    pump.progress(100).await.expect("writes");
    pump.finish().await;
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

async fn end_the_leader(cluster: &mut Cluster) {
    let leader = cluster.wait_for_leader().await.expect("a leader");
    let before = status(cluster, leader).await;
    cluster.terminate(leader).expect("asked to end");
    let code = cluster.wait_for_end(leader).await.expect("it ends");
    // Its end is seen at once, and an election by timeout takes longer than these two questions.
    let mut leaders = vec![];
    for at in cluster.running() {
        let now = status(cluster, at).await;
        if now.role == "leader" {
            leaders.push((now.server, now.term));
        }
    }
    assert_eq!(code, Some(0), "it should end in order");
    assert!(
        leaders
            .iter()
            .any(|(server, term)| *server != before.server && *term > before.term),
        "somebody else should lead when the old leader is gone, not {leaders:?}"
    );
    let log = cluster.servers()[leader].log().expect("its log");
    assert!(
        log.contains("handed leadership over"),
        "it should say that it handed over:\n{log}"
    );
    cluster.launch(leader).expect("started again");
}
