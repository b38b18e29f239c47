//! Configurations that are refused, and what is said about them.
#![allow(missing_docs)]

use std::path::Path;

use tenure_server::Config;

const GOOD: &str = r#"
cluster = "site-1"
server = 1
data_dir = "data"
join = false

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
raft = "127.0.0.1:7403"
api = "127.0.0.1:7402"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("tenure.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_accepted() {
    let config = parse(GOOD).expect("valid");
    assert_eq!(config.cluster(), "site-1");
}

/// What is replaced in the example, by what, and what must be said of it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "cluster = \"site-1\"",
        "cluster = \"Site 1\"",
        "cluster = \"Site 1\"",
    ),
    (
        "server = 1",
        "server = 0",
        "server = 0: server ids begin with 1",
    ),
    (
        "server = 1",
        "server = 7",
        "server = 7: it is not in the list",
    ),
    ("data_dir = \"data\"", "data_dir = \"\"", "data_dir = \"\""),
    (
        "join = false",
        "join = true",
        "join = true: there is a list",
    ),
    ("join = false", "jion = false", "unknown field `jion`"),
    (
        "listen = \"127.0.0.1:7401\"",
        "listen = \"localhost\"",
        "raft.listen = \"localhost\"",
    ),
    (
        "listen = \"127.0.0.1:7400\"",
        "listen = \"127.0.0.1:7401\"",
        "raft.listen is the same",
    ),
    (
        "listen = \"127.0.0.1:7401\"",
        "listen = \"127.0.0.1:7401\"\nadvertise = \"10.0.0.1:7401\"",
        "raft.advertise = \"10.0.0.1:7401\": the list of [[servers]] says",
    ),
    (
        "heartbeat_ms = 30",
        "heartbeat_ms = 0",
        "timing.heartbeat_ms = 0",
    ),
    (
        "heartbeat_ms = 30",
        "heartbeat_ms = 40",
        "timing.election_min_ms = 92: it must be at least three times timing.heartbeat_ms = 40",
    ),
    (
        "heartbeat_ms = 30",
        "election_max_ms = 90",
        "timing.election_max_ms = 90: it must be at least 10 more",
    ),
    (
        "id = 2",
        "id = 1",
        "servers[1].id = 1: servers[0] has the same id",
    ),
    (
        "127.0.0.1:7403",
        "127.0.0.1:7401",
        "servers[0].raft is the same address",
    ),
    ("127.0.0.1:7403", "here", "servers[1].raft = \"here\""),
    ("server = 1", "", "missing field `server`"),
];

#[test]
fn each_mistake_is_named_with_its_key_and_value() {
    for (from, to, says) in MISTAKES {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} is not in the example");
        let refused = parse(&text).expect_err(to);
        assert!(
            refused.contains(says) && refused.starts_with("tenure.toml: "),
            "{refused}"
        );
    }
}

#[test]
fn an_address_that_nobody_can_reach_needs_another_to_advertise() {
    let text = r#"
cluster = "site-1"
server = 4
data_dir = "data"
join = true
[raft]
listen = "0.0.0.0:7401"
[api]
listen = "127.0.0.1:7400"
"#;
    let refused = parse(text).expect_err("unspecified");
    assert!(refused.contains("set raft.advertise"), "{refused}");
}

#[test]
fn a_missing_file_is_named() {
    let refused = Config::load(Path::new("no/such.toml")).expect_err("missing");
    assert!(refused.to_string().contains("no/such.toml"), "{refused}");
}
