//! A former primary that is told to follow: how its history compares, and what is saved of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_agent::driver::{Driver, DriverError};
use tenure_core::Rejoin;
use tenure_core::agent::{Action, Feat, Observed};

use crate::server::Server;
use crate::setup::{FENCE, Group, PLAIN, driver, following, position, see_linked};

/// A probe of the agent's own would count as a write of the successor's.
fn quiet(more: &str) -> String {
    format!(
        "{}\n{more}",
        PLAIN.replace("probe_every = 20", "probe_every = 60000")
    )
}

/// A primary and its replica, which is promoted by hand.
struct Pair {
    old: Server,
    new: Server,
    driver: Box<dyn Driver>,
    /// Of the new one.
    other: Box<dyn Driver>,
}

impl Pair {
    async fn start(settings: &str, arguments: &[&str]) -> Self {
        let servers = vec![Server::with(arguments), Server::start()];
        let Group {
            mut servers,
            mut drivers,
        } = Group::of(servers, settings).await;
        Self {
            new: servers.remove(1),
            old: servers.remove(0),
            other: drivers.remove(1),
            driver: drivers.remove(0),
        }
    }

    /// From here on the replica gets nothing more.
    async fn part(&mut self) {
        position(self.other.act(Action::Detach).await);
    }

    fn promote_by_hand(&self) {
        let mut client = self.new.client();
        assert!(client.ask(&["REPLICAOF", "NO", "ONE"]).is("OK"));
        assert!(
            client
                .ask(&["CONFIG", "SET", "min-replicas-to-write", "0"])
                .is("OK")
        );
    }

    async fn follow(&mut self) -> Result<Feat, DriverError> {
        self.driver.act(following(2, &self.new)).await
    }

    async fn follows(&mut self) -> (Rejoin, String) {
        match self.follow().await {
            Ok(Feat::Follows(Some((rejoin, note)))) => (rejoin, note.to_string()),
            other => panic!("expected a verdict, found {other:?}"),
        }
    }
}

fn set(server: &Server, key: &str, value: &str) {
    assert!(server.client().ask(&["SET", key, value]).is("OK"));
}

fn saved(server: &Server) -> Vec<PathBuf> {
    let folder = server.path().join("agent").join("tails");
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    files.map(|file| file.unwrap().path()).collect()
}

/// The value of each key after a saved tail was fed to a server that has nothing.
fn replayed(path: &Path, database: &str, keys: &[&str]) -> Vec<String> {
    let server = Server::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(&std::fs::read(path).unwrap()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(!said.contains('-'), "{said}");
    let mut client = server.client();
    assert!(client.ask(&["SELECT", database]).is("OK"));
    keys.iter()
        .map(|key| client.ask(&["GET", key]).short())
        .collect()
}

#[tokio::test]
async fn identical_and_behind_resume_where_they_were() {
    for (more, expected) in [(false, Rejoin::Identical), (true, Rejoin::Behind)] {
        let mut pair = Pair::start(&quiet(""), &["--save", ""]).await;
        position(pair.driver.act(FENCE).await);
        pair.part().await;
        pair.promote_by_hand();
        if more {
            set(&pair.new, "more", "1");
        }
        let (rejoin, note) = pair.follows().await;
        assert_eq!(
            (rejoin, note.as_str()),
            (expected, "it has nothing of its own")
        );
        see_linked(&mut *pair.driver).await;
        assert!(
            pair.old
                .log()
                .contains("Successful partial resynchronization")
        );
        assert!(saved(&pair.old).is_empty());
    }
}

#[tokio::test]
async fn ahead_and_diverged_are_saved_and_can_be_replayed() {
    for (more, expected) in [(false, Rejoin::Ahead), (true, Rejoin::Diverged)] {
        let mut pair = Pair::start(&quiet(""), &["--save", ""]).await;
        let mut client = pair.old.client();
        // The tail begins in this database, and says so nowhere itself.
        assert!(client.ask(&["SELECT", "3"]).is("OK"));
        assert!(client.ask(&["SET", "before", "1"]).is("OK"));
        assert_eq!(client.ask(&["WAIT", "1", "20000"]).number(), 1);
        pair.part().await;
        let fork = client.offset();
        for (key, value) in [("a", "1"), ("b", "two"), ("c", "3")] {
            assert!(client.ask(&["SET", key, value]).is("OK"));
        }
        pair.promote_by_hand();
        if more {
            set(&pair.new, "more", "1");
        }
        let end = client.offset();
        let history = client.info("master_replid");
        let (rejoin, note) = pair.follows().await;
        assert_eq!(rejoin, expected, "{note}");
        see_linked(&mut *pair.driver).await;
        assert!(
            pair.old.client().ask(&["GET", "a"]).short() == "nil",
            "discarded"
        );
        let [path] = &saved(&pair.old)[..] else {
            panic!("{:?}", saved(&pair.old));
        };
        let name = format!("redis-server.epoch-2.{history}.{}-{end}.resp", fork + 1);
        assert_eq!(path.file_name().unwrap().to_str(), Some(name.as_str()));
        assert!(
            note.contains(&format!("3 changes ({} bytes) saved to", end - fork)),
            "{note}"
        );
        assert!(note.contains(&name), "{note}");
        assert_eq!(
            replayed(path, "3", &["a", "b", "c", "before"]),
            ["1", "two", "3", "nil"]
        );
    }
}

#[tokio::test]
async fn signs_of_life_and_probes_are_nothing_to_save() {
    let mut pair = Pair::start(&quiet(""), &["--save", ""]).await;
    pair.part().await;
    set(&pair.old, "tenure:probe:redis-server", "1:77");
    pair.promote_by_hand();
    let (rejoin, note) = pair.follows().await;
    assert_eq!(rejoin, Rejoin::Identical);
    assert_eq!(note, "it has nothing of its own but signs of life");
    assert!(saved(&pair.old).is_empty());
    see_linked(&mut *pair.driver).await;
}

#[tokio::test]
async fn what_the_backlog_does_not_reach_is_saved_whole() {
    let small = ["--save", "", "--repl-backlog-size", "16kb"];
    let mut pair = Pair::start(&quiet(""), &small).await;
    pair.part().await;
    for count in 0..40 {
        set(&pair.old, &format!("k{count}"), &"v".repeat(1_000));
    }
    pair.promote_by_hand();
    set(&pair.new, "more", "1");
    let (rejoin, note) = pair.follows().await;
    assert_eq!(rejoin, Rejoin::Diverged);
    assert!(note.contains("all its data"), "{note}");
    let [path] = &saved(&pair.old)[..] else {
        panic!("{:?}", saved(&pair.old));
    };
    let mut copy = Server::stopped(&["--save", ""]);
    std::fs::copy(path, copy.path().join("dump.rdb")).unwrap();
    copy.launch();
    assert_eq!(copy.client().ask(&["GET", "k39"]).short(), "v".repeat(60));
}

#[tokio::test]
async fn one_that_was_killed_and_kept_its_data_is_saved_whole_when_nobody_knows_its_history() {
    let mut pair = Pair::start(&quiet(""), &["--appendonly", "yes", "--save", ""]).await;
    pair.part().await;
    set(&pair.old, "only", "here");
    pair.promote_by_hand();
    pair.old.kill();
    pair.old.launch();
    assert_eq!(pair.driver.observe().await.role, Observed::Fenced);
    let (rejoin, note) = pair.follows().await;
    assert_eq!(rejoin, Rejoin::Diverged, "{note}");
    let [path] = &saved(&pair.old)[..] else {
        panic!("{:?}", saved(&pair.old));
    };
    let mut copy = Server::stopped(&["--save", ""]);
    std::fs::copy(path, copy.path().join("dump.rdb")).unwrap();
    copy.launch();
    assert!(copy.client().ask(&["GET", "only"]).is("here"));
    see_linked(&mut *pair.driver).await;
    assert!(pair.old.client().ask(&["GET", "only"]).short() == "nil");
}

#[tokio::test]
async fn one_that_was_killed_and_lost_its_data_has_nothing_to_save() {
    let mut pair = Pair::start(&quiet(""), &["--save", ""]).await;
    pair.part().await;
    set(&pair.old, "only", "here");
    pair.promote_by_hand();
    pair.old.kill();
    pair.old.launch();
    assert_eq!(pair.driver.observe().await.role, Observed::Fenced);
    let (rejoin, note) = pair.follows().await;
    assert_eq!((rejoin, note.as_str()), (Rejoin::Behind, "it has no data"));
    see_linked(&mut *pair.driver).await;
}

#[tokio::test]
async fn one_that_saved_its_place_in_the_history_is_known_by_it() {
    let mut pair = Pair::start(&quiet(""), &["--save", "3600 1000000"]).await;
    assert!(pair.old.client().ask(&["SAVE"]).is("OK"));
    pair.part().await;
    set(&pair.old, "lost", "with the process");
    pair.promote_by_hand();
    set(&pair.new, "more", "1");
    pair.old.kill();
    pair.old.launch();
    assert_eq!(pair.driver.observe().await.role, Observed::Fenced);
    let (rejoin, note) = pair.follows().await;
    assert_eq!(
        (rejoin, note.as_str()),
        (Rejoin::Behind, "it has nothing of its own")
    );
    see_linked(&mut *pair.driver).await;
}

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
    pair.promote_by_hand();
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
    pair.promote_by_hand();
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
    pair.promote_by_hand();
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
