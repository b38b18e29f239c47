//! Servers that were told wrong things about each other.

use std::fs;

use tenure_tests::cluster::config::ServerConfig;
use tenure_tests::cluster::registers::add_node;
use tenure_tests::cluster::{Cluster, Listed, Options, SETTLE_BOUND, until};
use tenure_tests::watches::content::{execute, list, patient};

use crate::attempt::CRITICAL;

/// Gives the server at a place another configuration before it is started.
fn configure(cluster: &Cluster, at: usize, name: &str, own: &Listed, servers: &[Listed]) {
    let text = ServerConfig {
        cluster: name,
        own,
        data_dir: cluster.servers()[at].data(),
        servers,
        timing: None,
        keeping: None,
    }
    .text();
    let path = cluster
        .dir()
        .join(format!("server-{}.toml", cluster.servers()[at].listed.id));
    fs::write(path, text).expect("the configuration is written");
}

async fn logged(cluster: &Cluster, at: usize, text: &str) {
    let look = async || {
        let log = cluster.servers()[at]
            .log()
            .map_err(|error| error.to_string())?;
        if log.contains(text) { Ok(()) } else { Err(log) }
    };
    until(
        format!("{text:?} in the log of server {}", at + 1),
        SETTLE_BOUND,
        look,
    )
    .await
    .expect("a clear error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_cluster_is_kept_out_and_both_say_why() {
    let mut cluster = Cluster::prepare(Options::default()).expect("three servers");
    let own = cluster.forming()[2].clone();
    configure(&cluster, 2, "another", &own, cluster.forming());
    for at in 0..3 {
        cluster.launch(at).expect("started");
    }
    let endpoints = cluster.endpoints();
    let client = patient(&endpoints[..2]).await.expect("a client");
    let written = execute(&client, add_node("a"))
        .await
        .expect("two of three go on");
    for at in 0..2 {
        logged(
            &cluster,
            at,
            "server 3 belongs to cluster \"another\", this one to \"test\"",
        )
        .await;
    }
    logged(
        &cluster,
        2,
        "belongs to cluster \"test\", this one to \"another\"",
    )
    .await;
    logged(&cluster, 2, "correct the address or the cluster's name").await;
    let stranger = cluster
        .calls(2)
        .digest()
        .await
        .expect("it answers for itself");
    assert_eq!(stranger.applied, 0, "it has nothing of this cluster");
    let (revision, _) = list(&client).await.expect("a list");
    assert!(revision >= written);

    // With its configuration corrected it needs another folder: this one is of the other cluster.
    cluster.kill(2).expect("killed");
    configure(&cluster, 2, "test", &own, cluster.forming());
    cluster.launch(2).expect("started");
    let code = cluster.wait_for_end(2).await;
    assert_eq!(code.expect("it refuses the folder"), Some(CRITICAL));
    logged(&cluster, 2, "belongs to cluster \"another\"").await;
    fs::remove_dir_all(cluster.servers()[2].data()).expect("the folder is removed");
    cluster.launch(2).expect("started");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("now it takes part");
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_swapped_addresses_is_noticed_by_both_ends() {
    let mut cluster = Cluster::prepare(Options::default()).expect("three servers");
    let mut swapped = cluster.forming().to_vec();
    let own = swapped[2].clone();
    (swapped[0].id, swapped[1].id) = (swapped[1].id, swapped[0].id);
    configure(&cluster, 2, "test", &own, &swapped);
    // Server 3 is alone with its wrong list until the others have formed without it.
    cluster.launch(2).expect("started");
    cluster.launch(0).expect("started");
    logged(
        &cluster,
        2,
        "looked for server 2 here, but this is server 1",
    )
    .await;
    logged(&cluster, 2, "correct the address of server 2").await;
    logged(
        &cluster,
        0,
        "server 3 looked for server 2 here, but this is server 1",
    )
    .await;
    cluster.launch(1).expect("started");
    // The leader's list is right, and so is the membership that server 3 gets from it.
    cluster
        .execute(&add_node("a"))
        .await
        .expect("the cluster works");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_server_at_an_address_gets_nothing_and_the_others_go_on() {
    let mut cluster = Cluster::prepare(Options {
        servers: 4,
        ..Options::default()
    })
    .expect("four servers");
    // Server 4 sits at the address of server 3, which is not there.
    let list = cluster.forming()[..3].to_vec();
    for at in 0..2 {
        configure(&cluster, at, "test", &list[at], &list);
    }
    let wrong = Listed {
        id: 4,
        ..list[2].clone()
    };
    configure(&cluster, 3, "test", &wrong, &[]);
    for at in [0, 1, 3] {
        cluster.launch(at).expect("started");
    }
    let client = patient(&cluster.endpoints()[..2]).await.expect("a client");
    execute(&client, add_node("a"))
        .await
        .expect("two of three go on");
    for at in 0..2 {
        logged(
            &cluster,
            at,
            "looked for server 3 here, but this is server 4",
        )
        .await;
    }
    logged(
        &cluster,
        3,
        "looked for server 3 here, but this is server 4: correct the address of server 3",
    )
    .await;
    let api = &list[2].api;
    let calls = tenure_tests::cluster::Calls::new(tenure_core::ServerId(4), api);
    assert_eq!(
        calls.digest().await.expect("it answers for itself").applied,
        0,
        "it was given nothing"
    );

    cluster.kill(3).expect("killed");
    configure(&cluster, 2, "test", &list[2], &list);
    cluster.launch(2).expect("the right server takes its place");
    cluster
        .wait_for_equal_digests()
        .await
        .expect("equal servers");
    cluster.stop().await.expect("a clean end");
}
