//! The primary of what is real under `tenure dev` is killed, and moved.

use crate::{
    dev::{day, stops_without_a_trace},
    launch::{Dev, json, poll, run, send},
};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

#[test]
fn a_killed_redis_is_replaced_and_nothing_acknowledged_is_lost() {
    fails_over(Dev::start(None), "redis-server");
}

#[test]
fn without_redis_a_built_in_service_fails_over() {
    fails_over(Dev::start_with(None, &["--no-redis"]), "redis-server");
}

#[test]
fn a_killed_mariadb_is_replaced_and_nothing_acknowledged_is_lost() {
    fails_over(Dev::start_with(None, &["--mysql"]), "mysql-server");
}

#[test]
fn without_mariadb_it_says_how_to_install_it() {
    let output = run(&["dev", "--mysql=/nowhere/mariadbd"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("apt-get install mariadb-server"), "{told}");
    assert_eq!(output.status.code(), Some(3), "{told}");
}

/// The number of the last write that the primary has, as it says itself.
pub fn written(dev: &Dev, service: &str) -> Option<u64> {
    let (_, primary) = json(&dev.ask(&["primary", service, "--json"]));
    let endpoint = primary["primary"]["endpoint"].as_str()?;
    if service == "mysql-server" {
        return committed(endpoint.parse().ok()?);
    }
    let mut stream = TcpStream::connect(endpoint).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"GET tenure-dev:writer\r\n").ok()?;
    let mut answer = BufReader::new(stream).lines().map_while(Result::ok);
    let length = answer.next().filter(|length| *length != "$-1");
    length.and(answer.next())?.parse().ok()
}

fn committed(primary: SocketAddr) -> Option<u64> {
    let options = OptsBuilder::default()
        .ip_or_hostname(primary.ip().to_string())
        .tcp_port(primary.port())
        .user(Some("app"))
        .pass(Some("tenure-dev"))
        .prefer_socket(Some(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let asking = async {
        let mut conn = Conn::new(options).await.ok()?;
        let query = "SELECT number FROM tenure_dev.writer WHERE id = 1";
        conn.query_first::<u64, _>(query).await.ok().flatten()
    };
    let bounded = async { tokio::time::timeout(Duration::from_secs(1), asking).await };
    runtime.block_on(bounded).ok().flatten()
}

/// Waits until all of these have happened, in whatever order.
fn all_of(dev: &mut Dev, wanted: &[&str]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    while found.len() < wanted.len() {
        let event = dev.wait_for("the rest of a failover", |event| {
            let kind = event["event"].as_str().unwrap_or_default();
            wanted.contains(&kind) && !found.contains_key(kind)
        });
        let kind = event["event"].as_str().unwrap_or_default().to_owned();
        found.insert(kind, event);
    }
    found
}

fn fails_over(mut dev: Dev, service: &str) {
    const ENOUGH: u64 = 100;
    let serves = dev.wait_for("serves", |event| event["event"] == "serves");
    assert_eq!(
        (&serves["node"], &serves["epoch"]),
        (&"db-1".into(), &1.into())
    );
    poll("the writer writes", || {
        written(&dev, service).is_some_and(|number| number >= ENOUGH)
    });
    let killed = serves["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    send(killed.expect("the primary has a process"), Signal::KILL);
    // What was killed is started by its agent, and comes back as a replica.
    let wanted = ["died", "started", "primary", "serves", "receipt", "resumed"];
    let told = all_of(&mut dev, &wanted);
    assert_eq!(told["started"]["node"], "db-1", "{told:#?}");
    let (died, receipt, resumed) = (&told["died"], &told["receipt"], &told["resumed"]);
    assert_eq!(
        (&died["pid"], &died["process"]),
        (&serves["pid"], &"store".into())
    );
    assert_ne!(told["serves"]["node"], "db-1", "{told:#?}");
    assert_eq!(told["primary"]["node"], told["serves"]["node"]);
    let account = &receipt["receipt"];
    assert_eq!(
        (&account["from"], &account["to"], &account["cause"]),
        (&"db-1".into(), &told["serves"]["node"], &"exited".into()),
        "{account:#}"
    );
    assert_eq!(account["completeness"]["lossless"], true, "{account:#}");
    assert!(resumed["gap_ms"].is_u64(), "{resumed}");
    let found = resumed["found"]
        .as_u64()
        .expect("nothing acknowledged is lost");
    assert!(found >= ENOUGH, "{resumed}");
    poll("the writer goes on", || {
        written(&dev, service).is_some_and(|number| number >= found + ENOUGH)
    });

    day(&dev, &[(&format!("ack {service}"), 0)]);
    poll("all are in sync again", || {
        dev.ask(&["status"]).status.code() == Some(0)
    });
    // What it has received counts as in sync; a switchover waits for what it has applied, for its budget and no longer.
    poll(
        "what db-1 has received is applied, and it takes over",
        || {
            let asked = dev.ask(&["switchover", service, "--to", "db-1", "--json"]);
            if asked.status.success() {
                return json(&asked).1["primary"] == "db-1";
            }
            let why = String::from_utf8_lossy(&asked.stderr).into_owned();
            assert!(why.contains("did not catch up"), "{why}");
            false
        },
    );
    // One that was taken back let writes go on where they were.
    let resumed = dev.wait_for("resumed on db-1", |event| {
        event["event"] == "resumed" && event["node"] == "db-1"
    });
    assert!(
        resumed["found"].as_u64() >= Some(found + ENOUGH),
        "{resumed}"
    );
    // A MariaDB that had commits which nobody else has is given all data anew, and is started once more for that.
    let (processes, anew) = (3 + 3 + 3 + 1, usize::from(service == "mysql-server"));
    stops_without_a_trace(dev, processes..=processes + anew);
}
