//! A primary that was fenced while nobody took its place: what its clients can still do.

use std::time::Duration;

use futures::StreamExt as _;
use redis::Value;
use tenure_core::ControlLoss;

use super::looks::{ask, ask_all};
use super::site::{Site, eventually};
use super::writer::Writer;

/// What a client is told, in short.
fn short(answer: Result<Value, redis::RedisError>) -> String {
    match answer.and_then(Value::extract_error) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{} {error}", error.code().unwrap_or_default()),
    }
}

/// What is asked of it after the fence, each by a client of its own, and how the last answer begins.
async fn expect(port: u16, commands: &[&[&str]], expected: &str) {
    let answers = ask_all(port, commands).await.expect("asked");
    let last = short(Ok(answers.last().expect("an answer").clone()));
    assert!(last.contains(expected), "{commands:?}: {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_primary_whose_lease_ended_are_told_that_nothing_was_done() {
    let mut site = Site::start().await;
    site.decide_by(|it| it.control_loss = ControlLoss::Fence)
        .await;
    let mut writer = site.writer();
    writer.acknowledged(1_000).await;
    let (primary, epoch) = site.primary().await;
    let port = site.port(primary);
    ask(port, &["SET", "read", "me"]).await.expect("written");
    let mut beside = Writer::beside(port);
    beside.acknowledged(100).await;
    let blocked = tokio::spawn(async move { ask(port, &["BLPOP", "list", "0"]).await });
    let wait: [&[&str]; 2] = [&["SET", "w", "1"], &["WAIT", "9", "60000"]];
    let waiting = tokio::spawn(async move { ask_all(port, &wait).await });
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a client");
    let mut subscribed = client.get_async_pubsub().await.expect("connects");
    subscribed.subscribe("news").await.expect("subscribes");

    site.stop_servers().await;
    let refused = eventually("a fence", || async {
        ask(port, &["SET", "a", "1"]).await.err()
    });
    let refused = refused.await;
    assert_eq!(refused.code(), Some("READONLY"), "{refused}");
    let at_fence = beside.count();

    const SET: &[&str] = &["SET", "a", "1"];
    let script = "return redis.call('SET','a','1')";
    let caught = "return redis.pcall('SET','a','1')";
    expect(port, &[SET], "READONLY").await;
    expect(port, &[SET, &["WAIT", "1", "100"]], "WAIT cannot be used").await;
    expect(port, &[&["MULTI"], SET, &["EXEC"]], "EXECABORT").await;
    expect(port, &[&["EVAL", script, "0"]], "READONLY").await;
    expect(port, &[&["EVAL", caught, "0"]], "READONLY").await;
    expect(port, &[&["LPUSH", "list", "x"]], "READONLY").await;
    expect(port, &[&["FLUSHALL"]], "READONLY").await;
    expect(port, &[&["GET", "read"]], "me").await;
    expect(
        port,
        &[&["EVAL", "return redis.call('GET','read')", "0"]],
        "me",
    )
    .await;
    // Whoever subscribed here hears what is published here, and only that.
    expect(port, &[&["PUBLISH", "news", "old"]], "int(1)").await;
    let mut messages = subscribed.on_message();
    let heard = tokio::time::timeout(Duration::from_secs(10), messages.next());
    let heard = heard.await.expect("in time").expect("a message");
    assert_eq!(heard.get_payload::<String>().expect("text"), "old");

    // In the midst of something when the fence came.
    let popped = short(blocked.await.expect("asked"));
    assert!(popped.contains("UNBLOCKED"), "{popped}");
    let waited = waiting.await.expect("asked").expect("answered");
    let waited = short(Ok(waited[1].clone()));
    assert!(waited.contains("UNBLOCKED"), "{waited}");
    assert_eq!(beside.count(), at_fence, "acknowledged after the fence");

    site.start_servers().await;
    writer.acknowledged(300).await;
    assert!(site.primary().await.1 >= epoch);
    site.whole().await;
    writer.stop().await;
    beside.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    assert_eq!(site.lost(&beside).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
