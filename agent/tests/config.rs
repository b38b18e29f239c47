//! Configurations that are accepted, and what is said about those that are refused.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use tenure_agent::{Config, OnStop};

const GOOD: &str = r#"
cluster = "site-1"
servers = ["10.0.0.1:7400", "10.0.0.2:7400"]
node = "db-1"
zone = "a"
labels = { disk = "nvme" }
weight = 100
state_dir = "state"
listen = "127.0.0.1:7420"

[pledge]
listen = "127.0.0.1:7421"

[[services]]
name = "redis-server"
driver = "redis"
endpoint = "10.0.0.11:6379"
preference = 100
on_stop = "leave"

[[services]]
name = "cache"
driver = "embedded"
endpoint = "10.0.0.11:6380"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_accepted() {
    let config = parse(GOOD).expect("valid");
    assert_eq!(config.cluster(), "site-1");
    assert_eq!(config.node().as_str(), "db-1");
    assert_eq!(config.state_dir(), Path::new("state"));
    let services: Vec<(&str, OnStop)> = config
        .services()
        .map(|(name, on_stop)| (name.as_str(), on_stop))
        .collect();
    assert_eq!(
        services,
        [("redis-server", OnStop::Leave), ("cache", OnStop::HandOver)]
    );
}

#[test]
fn the_file_among_the_examples_is_accepted() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agent.toml");
    let config = Config::load(&example).expect("valid");
    assert_eq!(config.services().count(), 1);
}

/// What is replaced in the example, by what, and what must be said of it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "cluster = \"site-1\"",
        "cluster = \"Site 1\"",
        "cluster = \"Site 1\": 'S' at byte 0",
    ),
    ("cluster = \"site-1\"", "", "missing field `cluster`"),
    (
        "servers = [\"10.0.0.1:7400\", \"10.0.0.2:7400\"]",
        "servers = []",
        "servers = []: name the API endpoints",
    ),
    (
        "\"10.0.0.2:7400\"]",
        "\"10.0.0.2\"]",
        "servers[1] = \"10.0.0.2\": \"10.0.0.2\" is not HOST:PORT",
    ),
    (
        "\"10.0.0.2:7400\"]",
        "\"10.0.0.1:7400\"]",
        "servers[1] = \"10.0.0.1:7400\": servers[0] is the same",
    ),
    ("node = \"db-1\"", "node = \"\"", "node = \"\": a name"),
    (
        "zone = \"a\"",
        "zone = \"A\"",
        "zone = \"A\": 'A' at byte 0",
    ),
    (
        "{ disk = \"nvme\" }",
        "{ \"\" = \"x\" }",
        "labels = {\"\": \"x\"}: an attribute has an empty key",
    ),
    (
        "weight = 100",
        "weight = 100001",
        "weight = 100001: it must be from 0 to 100000",
    ),
    (
        "state_dir = \"state\"",
        "state_dir = \"\"",
        "state_dir = \"\": name a folder",
    ),
    (
        "listen = \"127.0.0.1:7420\"",
        "listen = \"localhost:7420\"",
        "listen = \"localhost:7420\": it is not IP:PORT",
    ),
    (
        "listen = \"127.0.0.1:7421\"",
        "listen = \"127.0.0.1:7420\"",
        "pledge.listen = \"127.0.0.1:7420\": listen is the same",
    ),
    (
        "listen = \"127.0.0.1:7421\"",
        "listen = \"0.0.0.0:7421\"",
        "pledge.listen = \"0.0.0.0:7421\": other agents cannot reach",
    ),
    (
        "listen = \"127.0.0.1:7421\"",
        "listen = \"0.0.0.0:7421\"\nadvertise = \"db-1\"",
        "pledge.advertise = \"db-1\"",
    ),
    (
        "name = \"cache\"",
        "name = \"redis-server\"",
        "services[1].name = \"redis-server\": services[0] is the same",
    ),
    (
        "endpoint = \"10.0.0.11:6380\"",
        "endpoint = \"here\"",
        "services[1].endpoint = \"here\"",
    ),
    (
        "on_stop = \"leave\"",
        "on_stop = \"stay\"",
        "services[0].on_stop = \"stay\": it must be \"hand-over\" or \"leave\"",
    ),
    (
        "driver = \"redis\"",
        "driver = \"reddis\"",
        "services[0] (redis-server): driver = \"reddis\" is not known",
    ),
    (
        "on_stop = \"leave\"",
        "on_stop = \"leave\"\nsettings = { pasword = \"x\" }",
        "services[0] (redis-server): unknown field `pasword`",
    ),
    (
        "preference = 100",
        "preferance = 100",
        "unknown field `preferance`",
    ),
];

#[test]
fn mistakes_are_named_with_key_and_value() {
    for (good, bad, said) in MISTAKES {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good:?} is not in the example");
        let error = parse(&text).expect_err(bad);
        assert!(
            error.starts_with("agent.toml: ") && error.contains(said),
            "{bad:?} is refused by {error:?}, not by {said:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let path = PathBuf::from("/nowhere/agent.toml");
    let error = Config::load(&path)
        .expect_err("it is not there")
        .to_string();
    assert!(
        error.starts_with("cannot read the configuration /nowhere/agent.toml: "),
        "{error}"
    );
}
