//! Instances that answer, or at least stand, and take no write: what is seen of them, and why.

use tenure_core::agent::{Action, Observed};
use tenure_core::{Health, Millis, Presence};

use crate::server::Server;
use crate::setup::{FENCE, Group, PLAIN, driver, position, promote, see};

const STALL: Millis = Millis(100);

/// One that gives up waiting for an answer soon.
const HASTY: &str = "probe_every = 20\nanswer_within = 50";

#[tokio::test]
async fn a_frozen_process_stands_and_stalls_until_it_wakes() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, HASTY).await;
    see(&mut *drivers[0], "writable", |seen| {
        seen.role == Observed::Writable
    })
    .await;
    let before = position(drivers[0].act(Action::Measure).await);
    servers[0].freeze();
    let seen = see(&mut *drivers[0], "a stall", |seen| seen.stalled >= STALL).await;
    assert_eq!(
        seen.presence,
        Presence::Running,
        "its connection stands: {seen:?}"
    );
    assert_eq!(
        (seen.role, seen.health),
        (Observed::Nothing, Health::Failing)
    );
    assert!(
        seen.note.as_str().contains("no answer within 50 ms"),
        "{seen:?}"
    );
    assert!(
        seen.position.is_some_and(|at| at.offset >= before.offset),
        "its last position"
    );
    servers[0].thaw();
    let seen = see(&mut *drivers[0], "progress", |seen| {
        seen.role == Observed::Writable && seen.stalled == Millis(0)
    });
    assert_eq!(seen.await.health, Health::Healthy);
}

#[tokio::test]
async fn a_disk_that_fails_stops_writes_and_is_seen() {
    let protected = ["--enable-protected-configs", "yes"];
    let server = Server::with(&[&["--save", "3600 1000000"][..], &protected].concat());
    let mut driver = driver(&server, PLAIN);
    promote(&mut *driver, 1).await;
    driver.observe().await;
    let mut client = server.client();
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
    // A save into a folder that is gone fails as one onto a full disk does.
    let gone = server.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    assert!(
        client
            .ask(&["CONFIG", "SET", "dir", &gone.display().to_string()])
            .is("OK")
    );
    std::fs::remove_dir(&gone).unwrap();
    client.ask(&["BGSAVE"]);
    let seen = see(&mut *driver, "a stall", |seen| seen.stalled >= STALL).await;
    assert!(
        client
            .ask(&["SET", "a", "2"])
            .error()
            .starts_with("MISCONF")
    );
    assert_eq!(
        (seen.role, seen.health),
        (Observed::Writable, Health::Degraded)
    );
    assert!(seen.note.as_str().contains("its disk fails it"), "{seen:?}");
    let home = server.path().display().to_string();
    assert!(client.ask(&["CONFIG", "SET", "dir", &home]).is("OK"));
    client.ask(&["BGSAVE"]);
    let seen = see(&mut *driver, "progress", |seen| {
        seen.health == Health::Healthy
    })
    .await;
    assert_eq!(seen.stalled, Millis(0));
}

#[tokio::test]
async fn a_script_that_does_not_end_is_seen_and_a_fence_ends_it() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, PLAIN).await;
    let mut client = servers[0].client();
    assert!(
        client
            .ask(&["CONFIG", "SET", "busy-reply-threshold", "1"])
            .is("OK")
    );
    drivers[0].observe().await;
    client.send(&["EVAL", "while true do end", "0"]);
    let busy = see(&mut *drivers[0], "a stall", |seen| {
        seen.stalled >= STALL && seen.note.as_str().contains("BUSY")
    });
    let busy = busy.await;
    assert_eq!(
        (busy.presence, busy.role),
        (Presence::Running, Observed::Nothing)
    );
    position(drivers[0].act(FENCE).await);
    let ended = client.answer();
    assert!(ended.error().contains("Script killed"), "{ended:?}");
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
}

#[tokio::test]
async fn a_limit_of_memory_is_trouble_that_another_instance_would_have_too() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, PLAIN).await;
    let mut client = servers[0].client();
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", "1"]).is("OK"));
    let seen = see(&mut *drivers[0], "trouble", |seen| {
        seen.health == Health::Degraded
    })
    .await;
    assert!(seen.note.as_str().contains("OOM"), "{seen:?}");
    assert_eq!(seen.stalled, Millis(0));
}

#[tokio::test]
async fn one_that_loads_its_data_is_starting() {
    let mut server = Server::with(&["--appendonly", "yes"]);
    let mut client = server.client();
    for key in 0..2_000 {
        client.send(&["SET", &format!("k{key}"), "v"]);
    }
    for _ in 0..2_000 {
        assert!(client.answer().is("OK"));
    }
    assert!(
        client
            .ask(&["BGREWRITEAOF"])
            .text()
            .starts_with("Background")
    );
    while client.info("aof_rewrite_in_progress") != "0"
        || client.info("aof_rewrite_scheduled") != "0"
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    server.kill();
    let slow = [
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    server.add(&slow);
    server.spawn();
    let mut driver = driver(&server, PLAIN);
    let seen = see(&mut *driver, "loading", |seen| {
        seen.presence == Presence::Running
    })
    .await;
    assert_eq!(seen.health, Health::Starting, "{seen:?}");
    let seen = see(&mut *driver, "loaded", |seen| {
        seen.health != Health::Starting
    })
    .await;
    assert_eq!(seen.health, Health::Healthy);
}
