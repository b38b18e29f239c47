//! Configurations that cannot be right: the file, the key, the value, and what would be right.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::attempt::{Alone, CRITICAL, INVALID, Refusal, attempt};

const GOOD: &str = r#"cluster = "test"
server = 1
data_dir = "DATA"
[raft]
listen = "127.0.0.1:7401"
[api]
listen = "127.0.0.1:7400"
[timing]
heartbeat_ms = 30
[[servers]]
id = 1
raft = "127.0.0.1:7401"
api = "127.0.0.1:7400"
[[servers]]
id = 2
raft = "127.0.0.1:7411"
api = "127.0.0.1:7410"
"#;

/// What is replaced in the good one, by what, and what the error has to say.
const WRONG: [(&str, &str, &[&str]); 22] = [
    ("cluster = \"test\"", "cluster = ", &["line 1"]),
    ("server = 1\n", "", &["missing field `server`"]),
    (
        "server = 1",
        "server = \"one\"",
        &["server", "line 2", "expected u64"],
    ),
    ("server = 1", "server = -1", &["line 2", "-1"]),
    (
        "server = 1",
        "server = 0",
        &["server = 0", "server ids begin with 1"],
    ),
    (
        "server = 1",
        "server = 9",
        &["server = 9", "not in the list of [[servers]]"],
    ),
    (
        "[timing]",
        "[timming]",
        &["unknown field `timming`", "expected"],
    ),
    (
        "heartbeat_ms = 30",
        "heartbeats_ms = 30",
        &["unknown field `heartbeats_ms`", "heartbeat_ms"],
    ),
    (
        "heartbeat_ms = 30",
        "heartbeat_ms = 0",
        &["timing.heartbeat_ms = 0", "from 5 to 10000"],
    ),
    (
        "heartbeat_ms = 30",
        "heartbeat_ms = 60",
        &["timing.election_min_ms = 92", "at least 180"],
    ),
    (
        "heartbeat_ms = 30",
        "election_max_ms = 95",
        &["timing.election_max_ms = 95", "at least 10 more"],
    ),
    (
        "id = 2",
        "id = 1",
        &["servers[1].id = 1", "servers[0] has the same id"],
    ),
    ("id = 2", "id = 0", &["servers[1].id = 0", "begin with 1"]),
    (
        "raft = \"127.0.0.1:7411\"",
        "raft = \"127.0.0.1\"",
        &["servers[1].raft = \"127.0.0.1\"", "HOST:PORT"],
    ),
    (
        "raft = \"127.0.0.1:7411\"",
        "raft = \"127.0.0.1:7401\"",
        &["servers[1].raft", "servers[0].raft is the same"],
    ),
    (
        "listen = \"127.0.0.1:7401\"",
        "listen = \"localhost\"",
        &["raft.listen = \"localhost\"", "IP:PORT"],
    ),
    (
        "listen = \"127.0.0.1:7401\"",
        "listen = \"127.0.0.1:7400\"",
        &["api.listen", "ports of their own"],
    ),
    (
        "listen = \"127.0.0.1:7401\"",
        "listen = \"127.0.0.1:7401\"\nadvertise = \"elsewhere:1\"",
        &["raft.advertise = \"elsewhere:1\"", "127.0.0.1:7401"],
    ),
    (
        "server = 1",
        "server = 1\njoin = true",
        &["join = true", "list of [[servers]]"],
    ),
    (
        "cluster = \"test\"",
        "cluster = \"Test 1\"",
        &["cluster = \"Test 1\""],
    ),
    (
        "cluster = \"test\"",
        "cluster = \"a\\u001b[2J\"",
        &["cluster = "],
    ),
    (
        "data_dir = \"DATA\"",
        "data_dir = \"\"",
        &["data_dir = \"\"", "a folder for this server alone"],
    ),
];

fn write(dir: &Path, text: &[u8]) -> Refusal {
    let path = dir.join("server.toml");
    fs::write(&path, text).expect("the configuration is written");
    let refusal = attempt(&path);
    assert!(
        refusal.said.contains("server.toml"),
        "the file is not named: {}",
        refusal.said
    );
    refusal
}

#[test]
fn contradictions_are_refused_with_key_and_value() {
    let dir = tempfile::tempdir().expect("a temp folder");
    let data = dir.path().join("data");
    let good = GOOD.replace("DATA", &data.display().to_string());
    for (right, wrong, texts) in WRONG {
        let right = right.replace("DATA", &data.display().to_string());
        let text = good.replacen(&right, wrong, 1);
        assert_ne!(text, good, "{right:?} is in the good configuration");
        let refusal = write(dir.path(), text.as_bytes());
        refusal.check(INVALID, texts);
        assert!(
            !refusal.said.contains('\u{1b}'),
            "control characters are not printed: {:?}",
            refusal.said
        );
    }
    assert!(!data.exists(), "no data folder was made");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().expect("a temp folder");
    write(dir.path(), b"\xff\xfe\x00binary").check(INVALID, &["cannot read the configuration"]);
    write(dir.path(), b"").check(INVALID, &["missing field"]);
    write(dir.path(), &[b'['; 200_000]).check(INVALID, &["server.toml"]);
    let missing = dir.path().join("nowhere.toml");
    attempt(&missing).check(
        INVALID,
        &[
            "cannot read the configuration",
            "nowhere.toml",
            "No such file",
        ],
    );
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    attempt(&folder).check(INVALID, &["cannot read the configuration", "directory"]);
}

#[test]
fn a_port_in_use_is_named() {
    for what in ["raft", "api"] {
        let dir = tempfile::tempdir().expect("a temp folder");
        let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let address = taken.local_addr().expect("its address").to_string();
        let mut alone = Alone::new(1);
        let place = if what == "raft" {
            &mut alone.own.raft
        } else {
            &mut alone.own.api
        };
        place.clone_from(&address);
        let said = format!("cannot listen on {what}.listen = {address}");
        let config = alone.config(&dir.path().join("data"));
        attempt(&config).check(CRITICAL, &[&said, "in use"]);
        drop(taken);
    }
}
