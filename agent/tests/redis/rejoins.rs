//! A former primary that is told to follow: how its history compares, and what is saved of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use tenure_agent::driver::{Driver, DriverError};
use tenure_core::Rejoin;
use tenure_core::agent::{Action, Feat, Observed};

use crate::server::Server;
use crate::setup::{FENCE, Group, PLAIN, following, permission, position, see_linked};

/// A probe of the agent's own would count as a write of the successor's.
pub fn quiet(more: &str) -> String {
    format!(
        "{}\n{more}",
        PLAIN.replace("probe_every = 20", "probe_every = 60000")
    )
}

/// A primary and its replica, which is promoted by hand.
pub struct Pair {
    pub old: Server,
    pub new: Server,
    pub driver: Box<dyn Driver>,
    /// Of the new one.
    other: Box<dyn Driver>,
}

impl Pair {
    pub async fn start(settings: &str, arguments: &[&str]) -> Self {
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
    pub async fn part(&mut self) {
        position(self.other.act(Action::Detach).await);
    }

    pub async fn promote_by_hand(&mut self) {
        let mut client = self.new.client();
        assert!(client.ask(&["REPLICAOF", "NO", "ONE"]).is("OK"));
        let set = ["CONFIG", "SET", "min-replicas-to-write", "0"];
        assert!(client.ask(&set).is("OK"));
        position(self.other.act(permission([&self.old])).await);
    }

    pub async fn follow(&mut self) -> Result<Feat, DriverError> {
        self.driver.act(following(2, &self.new)).await
    }

    async fn follows(&mut self) -> (Rejoin, String) {
        match self.follow().await {
            Ok(Feat::Follows(Some((rejoin, note)))) => (rejoin, note.to_string()),
            other => panic!("expected a verdict, found {other:?}"),
        }
    }
}

pub fn set(server: &Server, key: &str, value: &str) {
    assert!(server.client().ask(&["SET", key, value]).is("OK"));
}

pub fn saved(server: &Server) -> Vec<PathBuf> {
    let folder = server.path().join("agent").join("tails");
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    files.map(|file| file.unwrap().path()).collect()
}

/// The value of each key after a saved tail was fed to a server that has nothing.
pub fn replayed(path: &Path, database: &str, keys: &[&str]) -> Vec<String> {
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
        pair.promote_by_hand().await;
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
        pair.promote_by_hand().await;
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
    pair.promote_by_hand().await;
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
    pair.promote_by_hand().await;
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
    pair.promote_by_hand().await;
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
    pair.promote_by_hand().await;
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
    pair.promote_by_hand().await;
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
