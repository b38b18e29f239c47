//! What operators do to the nodes, by the command line: drained, removed, joined and given their share, verified.

use std::process::Output;

use serde_json::Value;
use tenure_core::copies::ItemName;

use super::site::Site;
use super::{FIVE, MORE, judge, set_up};

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", told(output)))
}

/// Runs a command of which this exit code is expected.
async fn tenure(site: &Site, args: &[&str], code: i32) -> Output {
    let output = site.tenure(args).await;
    let ended = output.status.code();
    assert_eq!(
        ended,
        Some(code),
        "{args:?}: {}\n{}",
        told(&output),
        site.story()
    );
    output
}

/// How many items each node has copies of, by name.
async fn held(site: &Site) -> Vec<(String, u64)> {
    let status = site.whole().await;
    let held = status.stores.into_iter().map(|it| (it.name, it.items));
    held.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_holds_nothing_and_a_removed_one_is_gone() {
    let (mut site, traffic) = set_up(&FIVE).await;
    let drain = site.begin(&["drain", "store-1", "--wait", "--json"]);
    site.lose_leader().await;
    let drain = drain.await.expect("nothing panics");
    assert_eq!(drain.status.code(), Some(0), "{}", told(&drain));
    assert_eq!(json(&drain)["copies"], Value::Array(vec![]));
    let empty = held(&site).await;
    assert!(empty.contains(&("store-1".to_owned(), 0)), "{empty:?}");
    traffic.goes_on(MORE).await;
    tenure(&site, &["activate", "store-1"], 0).await;
    let remove = site.begin(&["node", "remove", "store-2", "--reason", "sold"]);
    site.lose_leader().await;
    let remove = remove.await.expect("nothing panics");
    assert_eq!(remove.status.code(), Some(0), "{}", told(&remove));
    let left = held(&site).await;
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.iter().all(|(name, _)| name != "store-2"), "{left:?}");
    site.store_ends(1).await;
    traffic.speak_with(site.endpoints());
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_that_leaves_too_few_nodes_is_refused_with_the_items() {
    let (site, traffic) = set_up(&["a", "b", "c"]).await;
    let refused = tenure(&site, &["drain", "store-3"], 1).await;
    let sentence = told(&refused);
    assert!(sentence.contains("box-0/item"), "{sentence}");
    assert!(sentence.contains("--accept-loss"), "{sentence}");
    let refused = tenure(&site, &["node", "remove", "store-3"], 1).await;
    assert!(told(&refused).contains("box-0/item"), "{}", told(&refused));
    let obstacles = tenure(&site, &["copies", "obstacles", "store-3", "--json"], 1).await;
    let of = &json(&obstacles)[0];
    assert_eq!(of["drain"], of["items"], "{of}");
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_is_given_its_share() {
    let (mut site, traffic) = set_up(&FIVE).await;
    site.add_store("c");
    site.joined(6).await;
    traffic.speak_with(site.endpoints());
    let dry = tenure(&site, &["copies", "rebalance", "--dry-run", "--json"], 0).await;
    let moves = json(&dry)["moves"].as_u64().expect("a number");
    assert!(moves > 0, "{}", told(&dry));
    let untouched = held(&site).await;
    assert!(
        untouched.contains(&("store-6".to_owned(), 0)),
        "{untouched:?}"
    );
    begin_wait_and_end(&site).await;
    tenure(&site, &["copies", "rebalance"], 0).await;
    site.lose_leader().await;
    tenure(&site, &["copies", "rebalance", "--wait"], 0).await;
    let shared = held(&site).await;
    let of_new = shared.iter().find(|(name, _)| name == "store-6");
    let of_new = of_new.expect("it is there").1;
    let all: u64 = shared.iter().map(|(_, items)| items).sum();
    assert!(of_new * 12 > all, "{of_new} of {all} copies: {shared:?}");
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

/// Rebalancing begun, told to wait, let go on and ended, while a pause keeps it from moving anything.
async fn begin_wait_and_end(site: &Site) {
    tenure(site, &["pause", "blobs", "--reason", "a look at it"], 0).await;
    let step = async |flag: &[&str]| {
        let args = [&["copies", "rebalance", "--json"], flag].concat();
        json(&tenure(site, &args, 0).await)["rebalance"].clone()
    };
    assert_eq!(step(&[]).await["paused"], false);
    assert_eq!(step(&["--pause"]).await["paused"], true);
    assert_eq!(step(&["--resume"]).await["paused"], false);
    assert_eq!(step(&["--cancel"]).await, Value::Null);
    tenure(site, &["resume", "blobs"], 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_differs_is_found_and_made_anew() {
    let (site, traffic) = set_up(&["a", "b", "c"]).await;
    let acknowledged = traffic.stop().await;
    site.whole().await;
    tenure(&site, &["copies", "verify", "--wait"], 0).await;
    let item = ItemName::new("box-1/item").expect("a name");
    site.damage(0, item.as_str());
    let found = tenure(&site, &["copies", "verify", "--wait", "--json"], 1).await;
    assert_eq!(json(&found)["differ"], 1, "{}", told(&found));
    site.whole().await;
    tenure(&site, &["copies", "verify", "--wait"], 0).await;
    let shown = tenure(&site, &["copies", "where", item.as_str(), "--json"], 0).await;
    assert_eq!(json(&shown)[0]["counted"], 3, "{}", told(&shown));
    super::verdict::all_is_there(&site, &acknowledged).await;
    site.stop().await;
}
