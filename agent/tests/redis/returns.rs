//! Following when it is not the plain case: replicas, policies, long saves and failing disks.

use std::time::Duration;

use tenure_core::Rejoin;
use tenure_core::agent::{Action, Feat, Observed};

use crate::rejoins::{Pair, quiet, replayed, saved, set};
use crate::server::Server;
use crate::setup::{FENCE, Group, driver, following, permission, position, see_linked};

#[tokio::test]
async fn a_replica_that_was_restarted_is_not_saved() {
    let Group {
        mut servers,
        mut drivers,
    } = Group::of(
        vec![
            Server::start(),
            Server::with(&["--appendonly", "yes", "--save", ""]),
        ],
        &quiet(""),
    )
    .await;
    servers[1].kill();
    servers[1].launch();
    assert_eq!(
        drivers[1].observe().await.role,
        Observed::Following { linked: false }
    );
    let feat = drivers[1].act(following(1, &servers[0])).await;
    assert_eq!(feat, Ok(Feat::Follows(None)));
    see_linked(&mut *drivers[1]).await;
    assert!(saved(&servers[1]).is_empty());
}

#[tokio::test]
async fn a_replica_that_has_more_than_the_one_promoted_is_saved_too() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, &quiet("")).await;
    position(drivers[1].act(Action::Detach).await);
    set(&servers[0], "only", "two have it");
    let mut client = servers[0].client();
    assert!(client.ask(&["SET", "also", "x"]).is("OK"));
    assert_eq!(client.ask(&["WAIT", "1", "20000"]).number(), 1);
    position(drivers[2].act(Action::Detach).await);
    let mut client = servers[1].client();
    assert!(client.ask(&["REPLICAOF", "NO", "ONE"]).is("OK"));
    position(drivers[1].act(permission(&servers)).await);
    let feat = drivers[2].act(following(2, &servers[1])).await;
    let Ok(Feat::Follows(Some((Rejoin::Ahead, note)))) = feat else {
        panic!("{feat:?}");
    };
    assert!(note.as_str().contains("2 changes"), "{note}");
    let files = saved(&servers[2]);
    assert_eq!(
        replayed(&files[0], "0", &["only", "also"]),
        ["two have it", "x"]
    );
}

#[tokio::test]
async fn where_an_operator_decides_it_stays_fenced_and_says_what_to_do() {
    let mut pair = Pair::start(&quiet("on_diverged = 'hold'"), &["--save", ""]).await;
    pair.part().await;
    set(&pair.old, "only", "here");
    pair.promote_by_hand().await;
    for _ in 0..2 {
        let held = pair.follow().await.unwrap_err();
        assert!(!held.retry_helps());
        let said = held.to_string();
        assert!(said.contains("has 1 changes"), "{said}");
        let by_hand = format!("REPLICAOF 127.0.0.1 {}", pair.new.port);
        assert!(said.contains(&by_hand), "{said}");
        assert_eq!(pair.driver.observe().await.role, Observed::Fenced);
    }
    assert!(pair.old.client().ask(&["GET", "only"]).is("here"));
    assert!(saved(&pair.old).is_empty());
    let port = pair.new.port.to_string();
    assert!(
        pair.old
            .client()
            .ask(&["REPLICAOF", "127.0.0.1", &port])
            .is("OK")
    );
    see_linked(&mut *pair.driver).await;
    assert!(matches!(pair.follow().await, Ok(Feat::Follows(_))));
}

#[tokio::test]
async fn a_long_save_is_waited_for_in_pieces_and_a_fence_comes_between() {
    let small = ["--save", "", "--repl-backlog-size", "16kb"];
    let mut pair = Pair::start(&quiet(""), &small).await;
    pair.part().await;
    for count in 0..40 {
        set(&pair.old, &format!("k{count}"), &"v".repeat(1_000));
    }
    // Forty keys of 50 ms each.
    let mut client = pair.old.client();
    assert!(
        client
            .ask(&["CONFIG", "SET", "rdb-key-save-delay", "50000"])
            .is("OK")
    );
    pair.promote_by_hand().await;
    let waits = pair.follow().await.unwrap_err();
    assert!(
        waits.retry_helps() && waits.to_string().contains("under way"),
        "{waits}"
    );
    position(pair.driver.act(FENCE).await);
    let until = std::time::Instant::now() + crate::setup::BOUND;
    let feat = loop {
        match pair.follow().await {
            Ok(feat) => break feat,
            Err(error) => assert!(error.to_string().contains("under way"), "{error}"),
        }
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        matches!(feat, Feat::Follows(Some((Rejoin::Ahead, _)))),
        "{feat:?}"
    );
    assert_eq!(saved(&pair.old).len(), 1);
    // The fence drops whoever is attached, also the one that saves: it begins anew.
    let saves = pair.old.log().matches("Starting BGSAVE for SYNC").count();
    assert_eq!(saves, 3, "the first link, and two saves");
}

#[tokio::test]
async fn a_disk_that_takes_no_tail_keeps_the_instance_from_discarding_it() {
    let mut pair = Pair::start(&quiet("save_dir = '/proc/nowhere'"), &["--save", ""]).await;
    pair.part().await;
    set(&pair.old, "only", "here");
    pair.promote_by_hand().await;
    let failed = pair.follow().await.unwrap_err();
    assert!(
        failed.retry_helps() && failed.to_string().contains("/proc/nowhere"),
        "{failed}"
    );
    assert!(pair.old.client().ask(&["GET", "only"]).is("here"));
    assert_eq!(pair.driver.observe().await.role, Observed::Fenced);
}

#[tokio::test]
async fn one_that_nobody_ever_told_anything_is_saved_before_it_is_overwritten() {
    let (old, new) = (Server::start(), Server::start());
    set(&old, "precious", "1");
    let mut own = driver(&old, &quiet(""));
    let feat = own.act(following(1, &new)).await;
    assert!(
        matches!(feat, Ok(Feat::Follows(Some((Rejoin::Diverged, _))))),
        "{feat:?}"
    );
    assert_eq!(saved(&old).len(), 1);
}
