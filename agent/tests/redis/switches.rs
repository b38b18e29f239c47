//! Holding writes back and handing over: what writers meet with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::{Millis, Position};

use crate::client::{Client, Reply};
use crate::setup::{BOUND, Group, ORDERLY, PLAIN, following, lead, position, see_linked};

const LONG: Action = Action::Quiesce {
    lasting: Millis(60_000),
};

#[tokio::test]
async fn writers_wait_while_held_back_and_readers_do_not() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, PLAIN).await;
    let mut writer = servers[0].client();
    let at = position(drivers[0].act(LONG).await);
    writer.send(&["SET", "a", "1"]);
    assert!(writer.is_silent());
    assert!(servers[0].client().ask(&["GET", "setup"]).is("done"));
    assert_eq!(position(drivers[0].act(Action::Measure).await), at);
    let seen = drivers[0].observe().await;
    assert_eq!(seen.stalled, Millis(0), "held back on purpose: {seen:?}");
    assert_eq!(drivers[0].act(Action::Resume).await, Ok(Feat::Done));
    assert!(writer.answer().is("OK"));
    let short = Action::Quiesce {
        lasting: Millis(30),
    };
    position(drivers[0].act(short).await);
    assert!(
        writer.ask(&["SET", "a", "2"]).is("OK"),
        "it lapses by itself"
    );
}

#[tokio::test]
async fn a_replica_is_not_held_back() {
    let Group {
        servers: _servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let refused = drivers[1].act(LONG).await.unwrap_err();
    assert!(refused.to_string().contains("it is a replica"), "{refused}");
}

#[tokio::test]
async fn blocked_writers_of_a_demoted_primary_are_told_and_nothing_is_executed() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let commands: [&[&str]; 3] = [
        &["SET", "held", "1"],
        &["EVAL", "return redis.call('SET','held','1')", "0"],
        &["INCR", "held"],
    ];
    let mut blocked: Vec<Client> = Vec::new();
    let mut listening = servers[0].client();
    listening.send(&["BLPOP", "list", "0"]);
    let mut multi = servers[0].client();
    assert!(multi.ask(&["MULTI"]).is("OK"));
    assert!(multi.ask(&["SET", "held", "1"]).is("QUEUED"));
    let at = position(drivers[0].act(LONG).await);
    multi.send(&["EXEC"]);
    for command in commands {
        let mut client = servers[0].client();
        client.send(command);
        assert!(client.is_silent());
        blocked.push(client);
    }
    assert!(multi.is_silent());
    // As the agent does it: a fence first, at once when its authority ends.
    assert_eq!(position(drivers[0].act(ORDERLY).await), at);
    lead(&mut *drivers[1], 2, &servers).await;
    let feat = drivers[0].act(following(2, &servers[1])).await;
    assert!(matches!(feat, Ok(Feat::Follows(Some(_)))), "{feat:?}");
    for client in &mut blocked {
        let told = client.answer();
        assert!(told.error().starts_with("NOREPLICAS"), "{told:?}");
    }
    let told = multi.answer();
    assert!(told.error().starts_with("EXECABORT"), "{told:?}");
    assert!(listening.answer().error().starts_with("UNBLOCKED"));
    see_linked(&mut *drivers[0]).await;
    for server in &servers {
        assert_eq!(server.client().ask(&["GET", "held"]), Reply::Nothing);
    }
}

/// A writer at one server: each value once, until it is refused. What was acknowledged, and what the
/// answer was to the rest.
fn write_until_refused(mut client: Client, name: usize, stop: &AtomicBool) -> (Vec<String>, Reply) {
    let mut acknowledged = Vec::new();
    for count in 0.. {
        let value = format!("{name}-{count}");
        let told = client.ask(&["SADD", "written", &value]);
        if told != Reply::Number(1) || stop.load(Ordering::Relaxed) {
            if told == Reply::Number(1) {
                acknowledged.push(value);
            }
            return (acknowledged, told);
        }
        acknowledged.push(value);
    }
    unreachable!("it writes until it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_under_load_loses_nothing_and_leaves_nothing_in_doubt() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, PLAIN).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|name| {
            let (client, stop) = (servers[0].client(), Arc::clone(&stop));
            std::thread::spawn(move || write_until_refused(client, name, &stop))
        })
        .collect();
    let written = |count: i64| {
        let mut client = servers[0].client();
        let until = Instant::now() + BOUND;
        while client.ask(&["SCARD", "written"]).number() < count {
            assert!(Instant::now() < until);
        }
    };
    written(500);
    let began = Instant::now();
    let at = position(
        drivers[0]
            .act(Action::Quiesce {
                lasting: Millis(20_000),
            })
            .await,
    );
    let quiesced = began.elapsed();
    let caught_up = until_at(&mut *drivers[1], &at).await;
    position(drivers[0].act(ORDERLY).await);
    lead(&mut *drivers[1], 2, &servers).await;
    let promoted = began.elapsed();
    for index in [0, 2] {
        let feat = drivers[index].act(following(2, &servers[1])).await;
        assert!(matches!(feat, Ok(Feat::Follows(_))), "{feat:?}");
    }
    println!(
        "quiesce {quiesced:?}, candidate equal {caught_up:?} later, promoted {promoted:?} after it \
         began, everybody follows {:?}",
        began.elapsed()
    );
    let mut acknowledged = BTreeSet::new();
    for writer in writers {
        let (values, told) = writer.join().unwrap();
        let refused = ["READONLY", "NOREPLICAS"]
            .iter()
            .any(|it| told.error().starts_with(it));
        assert!(refused, "{told:?}");
        acknowledged.extend(values);
    }
    let Reply::Many(found) = servers[1].client().ask(&["SMEMBERS", "written"]) else {
        panic!("a set");
    };
    let found: BTreeSet<String> = found.iter().map(|it| it.text().to_owned()).collect();
    assert_eq!(
        found, acknowledged,
        "what was acknowledged, and nothing else"
    );
    for index in [0, 2] {
        let log = servers[index].log();
        assert!(
            log.contains("Successful partial resynchronization"),
            "{log}"
        );
    }
}

async fn until_at(driver: &mut dyn tenure_agent::driver::Driver, at: &Position) -> Duration {
    let began = Instant::now();
    while position(driver.act(Action::Measure).await) != *at {
        assert!(began.elapsed() < BOUND);
    }
    began.elapsed()
}

#[tokio::test]
async fn a_handover_that_is_taken_back_goes_on_as_before() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let mut writer = servers[0].client();
    position(drivers[0].act(LONG).await);
    writer.send(&["SET", "a", "1"]);
    lead(&mut *drivers[0], 1, &servers).await;
    assert!(writer.answer().is("OK"));
    let seen = drivers[0].observe().await;
    assert_eq!(seen.role, Observed::Writable);
    see_linked(&mut *drivers[1]).await;
}
