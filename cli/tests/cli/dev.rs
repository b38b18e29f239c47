//! `tenure dev` from beginning to end, and the commands against it.

use crate::{
    failover::written,
    launch::{Dev, json, poll, runs, send, tenure},
};
use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader},
    ops::RangeInclusive,
    process::Stdio,
};

#[test]
fn a_lost_leader_is_replaced_and_ctrl_c_leaves_nothing_behind() {
    let mut dev = Dev::start(None);
    let (code, status) = json(&dev.ask(&["status", "--json"]));
    assert_eq!(
        (code, &status["status"]),
        (Some(0), &"ok".into()),
        "{status:#}"
    );
    assert_eq!(status["servers"].as_array().map(Vec::len), Some(3));

    let killed = dev.leader_pid;
    send(killed, Signal::KILL);
    let died = dev.wait_for("died", |event| event["event"] == "died");
    assert_eq!(died["pid"], killed);
    let leads = dev.wait_for("leads", |event| event["event"] == "leads");
    assert_eq!(leads["lost"], died["server"], "{leads}");
    assert!(
        leads["gap_ms"].is_u64(),
        "writes stopped, and went on: {leads}"
    );
    let text = leads["text"].as_str().unwrap();
    assert!(text.ends_with("; none lost"), "{text}");
    dev.wait_for("started again", |event| {
        event["event"] == "started" && event["server"] == died["server"]
    });

    let processes = 3 + 1 + 3 + 3;
    stops_without_a_trace(dev, processes..=processes);
}

/// Nothing is left of it after Ctrl-C: no process of so many, and no file.
pub fn stops_without_a_trace(mut dev: Dev, processes: RangeInclusive<usize>) {
    dev.signal(Signal::INT);
    assert_eq!(dev.ended(), Some(0));
    let started = dev.pids.len();
    assert!(
        processes.contains(&started),
        "{started} servers, agents, instances, and those that were started again, not {processes:?}"
    );
    let left: Vec<&i32> = dev.pids.iter().filter(|pid| runs(**pid)).collect();
    assert!(left.is_empty(), "processes are left: {left:?}");
    let left: Vec<_> = std::fs::read_dir(dev.temporary.path())
        .expect("a folder")
        .collect();
    assert!(left.is_empty(), "files are left: {left:?}");
}

/// Into a pipe, or where the terminal has no size, what happens and what to try comes as lines.
#[test]
fn without_a_terminal_it_tells_what_to_try() {
    let place = tempfile::tempdir().expect("a folder");
    let mut child = tenure()
        .args(["dev", "--free-ports", "--no-redis"])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("dev can be started");
    let stdout = child.stdout.take().expect("stdout is piped");
    // Should it say nothing, what watches over the test ends it.
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let hint = lines.find(|line| line.contains("kill -9 "));
    assert!(hint.is_some(), "it ended, and named no command to try");
    send(child.id().try_into().expect("a pid"), Signal::INT);
    assert!(lines.all(|line| !line.contains("panicked")));
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn everything_ends_with_a_dev_that_was_killed() {
    let mut dev = Dev::start(None);
    assert_eq!(dev.pids.len(), 3 + 3 + 3);
    assert!(dev.pids.iter().all(|pid| runs(*pid)));
    dev.signal(Signal::KILL);
    assert_eq!(dev.ended(), None);
    poll("all end", || !dev.pids.iter().any(|pid| runs(*pid)));
}

#[test]
fn a_kept_folder_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(Some(folder.path()));
    let (code, added) = json(&dev.ask(&["node", "add", "db-4", "--zone", "b", "--json"]));
    assert_eq!(code, Some(0), "{added}");
    let mut before = 0;
    poll("the writer writes", || {
        before = written(&dev, "redis-server").unwrap_or(0);
        before > 0
    });
    dev.signal(Signal::TERM);
    assert_eq!(dev.ended(), Some(0));

    let mut again = Dev::start(Some(folder.path()));
    assert_eq!(again.servers, dev.servers, "it listens where it did before");
    let (code, shown) = json(&again.ask(&["node", "show", "db-4", "--json"]));
    assert_eq!(
        (code, &shown["node"]["id"]),
        (Some(0), &added["node"]),
        "{shown:#}"
    );
    let after = written(&again, "redis-server");
    assert!(
        after >= Some(before),
        "{before} was acknowledged, and {after:?} is there"
    );
    again.signal(Signal::HUP);
    assert_eq!(again.ended(), Some(0));
}

/// Standard output as text, after the exit code was looked at.
fn text(dev: &Dev, code: i32, args: &[&str]) -> String {
    let output = dev.ask(args);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
    format!("{out}{err}")
}

/// Every line ends with the exit code.
pub fn day(dev: &Dev, lines: &[(&str, i32)]) {
    for (line, code) in lines {
        let args: Vec<&str> = line.split_whitespace().collect();
        text(dev, *code, &args);
    }
}

#[test]
fn an_operator_does_a_days_work() {
    let dev = Dev::start_with(None, &["--no-redis"]);
    let primary = text(&dev, 0, &["primary", "mysql-server"]);
    assert_eq!(primary, "10.0.2.1:3306 epoch 1 node db-1\n");
    let moved = [
        "set-primary",
        "mysql-server",
        "--to",
        "db-2",
        "--expected-epoch",
        "1",
    ];
    let done = text(&dev, 0, &moved);
    assert!(
        done.starts_with("db-2 is primary of mysql-server, epoch 2 (revision "),
        "{done}"
    );
    let rejected = text(&dev, 1, &moved);
    let why = "error: rejected: service mysql-server is at another epoch (expected 1, is 2)\n";
    assert_eq!(rejected, why);

    day(
        &dev,
        &[
            ("primary web-server", 2),
            ("primary nothing", 1),
            ("pin set db-3 down --for 2h --reason disk", 0),
            ("set-primary mysql-server --to db-3 --expected-epoch 2", 1),
            ("pin list", 0),
            ("pin remove db-3", 0),
            ("pin remove db-3", 1),
            ("set-in-sync mysql-server db-1 db-2", 0),
            ("set-in-sync mysql-server db-1", 1),
            ("node drain search-3 --reason disks", 0),
            ("status", 1),
            ("node activate search-3", 0),
            ("node activate search-3 --expected 1", 1),
            ("node update search-3 --weight 50 --label disk=nvme", 0),
            ("node join search-3", 0),
            ("node list", 0),
            ("settings set --history-max 500", 0),
            ("settings show", 0),
            ("raft status", 0),
            ("raft checkpoint 1", 0),
            ("raft digest", 0),
            ("raft transfer", 0),
        ],
    );
    assert_eq!(
        text(&dev, 0, &["history", "--limit", "5"]).lines().count(),
        6
    );
}

#[test]
fn a_service_comes_and_goes() {
    let dev = Dev::start_with(None, &["--no-redis"]);
    day(
        &dev,
        &[
            (
                "service add queue --kind primary --replicas 0 --write-acks 0",
                0,
            ),
            ("primary queue", 2),
            ("status", 2),
            ("instance add queue db-1 10.0.2.1:5672", 0),
            ("instance update queue db-1 --preference 7", 0),
            (
                "instance report queue db-1 --health degraded --position a:7",
                0,
            ),
            ("set-primary queue --to db-1 --expected-epoch 0", 0),
            ("primary queue", 0),
            ("status", 0),
            ("instance remove queue db-1", 1),
            ("instance add queue db-2 10.0.2.2:5672", 0),
            ("service remove queue", 1),
            ("instance remove queue db-2", 0),
            ("service update queue --loss available", 0),
            ("service list", 0),
        ],
    );
    let (code, shown) = json(&dev.ask(&["instance", "show", "queue", "db-1", "--json"]));
    assert_eq!(
        (code, &shown["position"]["offset"]),
        (Some(0), &7.into()),
        "{shown:#}"
    );
    assert_eq!(shown["health"], "degraded");
    // The last instance is the primary, which goes with its service.
    day(&dev, &[("service remove queue", 0), ("primary queue", 1)]);
}

#[test]
fn a_topology_file_is_compared_and_applied() {
    let dev = Dev::start_with(None, &["--no-redis"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topology.toml");
    // The example, with the instances of redis-server where they are.
    let example = std::fs::read_dir(dev.temporary.path()).unwrap();
    let example = example.map(|entry| entry.unwrap().path().join("topology.toml"));
    let example = std::fs::read_to_string(example.last().unwrap()).unwrap();
    std::fs::write(&file, &example).unwrap();
    let path = file.to_str().unwrap();
    assert!(text(&dev, 0, &["diff", "-f", path]).starts_with("nothing to do"));

    std::fs::write(&file, format!("{example}\n[nodes.db-4]\nzone = \"a\"\n")).unwrap();
    assert_eq!(
        text(&dev, 1, &["diff", "-f", path]),
        "   1. add node db-4\n"
    );
    assert_eq!(
        text(&dev, 0, &["plan", "-f", path]),
        "   1. add node db-4\n"
    );
    assert!(text(&dev, 3, &["apply", "-f", path]).contains("repeat with --yes"));
    assert!(text(&dev, 0, &["apply", "-f", path, "--yes"]).contains("done: 1 step(s)"));
    text(&dev, 0, &["diff", "-f", path]);

    std::fs::write(&file, &example).unwrap();
    let held = text(&dev, 1, &["diff", "-f", path]);
    assert!(
        held.starts_with("held: node db-4: not in the topology"),
        "{held}"
    );
    let (code, plan) = json(&dev.ask(&["apply", "-f", path, "--remove", "--yes", "--json"]));
    assert_eq!(
        (code, &plan["applied"]),
        (Some(0), &true.into()),
        "{plan:#}"
    );
    assert_eq!(plan["steps"], serde_json::json!(["remove node db-4"]));
}
