//! What clients of a primary can still do after each kind of fence.

use std::time::{Duration, Instant};

use tenure_agent::driver::Driver;
use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::{Epoch, Millis};

use crate::client::{Client, Reply};
use crate::server::Server;
use crate::setup::{
    BOUND, FENCE, Group, ORDERLY, PLAIN, following, position, promote, promotion, see,
};

/// How a primary is kept from taking writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    /// What the driver does when the authority of a primary ends.
    Fence,
    /// What it does in the course of a switchover.
    Orderly,
    /// What it does before that, for as long as that lasts.
    Pause,
}

/// What one client met with.
type Row = (&'static str, String);

async fn fence(driver: &mut dyn Driver, kind: Kind) {
    let action = match kind {
        Kind::Nothing => return,
        Kind::Fence => FENCE,
        Kind::Orderly => ORDERLY,
        Kind::Pause => Action::Quiesce {
            lasting: Millis(300),
        },
    };
    position(driver.act(action).await);
}

/// Whether the answer says that something was written.
fn wrote(reply: &Reply) -> bool {
    match reply {
        Reply::Error(_) | Reply::Nothing | Reply::Ended => false,
        Reply::Many(all) => all.iter().any(wrote),
        Reply::Text(_) | Reply::Number(_) => true,
    }
}

async fn survey(kind: Kind) -> Vec<Row> {
    let group = Group::start(3, PLAIN).await;
    group.write("list-of", "nobody");
    let Group {
        servers,
        mut drivers,
    } = group;
    let primary = &servers[0];
    assert!(primary.client().ask(&["SET", "read", "me"]).is("OK"));
    let mut blocked = primary.client();
    blocked.send(&["BLPOP", "list", "0"]);
    let mut waiting = primary.client();
    // More replicas than there are: it waits until it is told otherwise.
    waiting.send_all(&[&["SET", "w", "1"], &["WAIT", "9", "1500"]]);
    assert!(waiting.answer().is("OK"));
    let mut open = primary.client();
    assert!(open.ask(&["MULTI"]).is("OK"));
    assert!(open.ask(&["SET", "m", "1"]).is("QUEUED"));
    fence(&mut *drivers[0], kind).await;
    let client = || primary.client();
    let mut rows = Vec::new();
    let mut row = |what, reply: &Reply| rows.push((what, reply.short()));
    row("SET", &client().ask(&["SET", "a", "1"]));
    let mut waiter = client();
    waiter.send_all(&[&["SET", "a", "1"], &["WAIT", "1", "100"]]);
    row("SET, then WAIT 1: SET", &waiter.answer());
    row("SET, then WAIT 1: WAIT", &waiter.answer());
    row("EXEC of a MULTI begun before", &open.ask(&["EXEC"]));
    let mut multi = client();
    multi.send_all(&[&["MULTI"], &["SET", "a", "1"], &["EXEC"]]);
    multi.answer();
    multi.answer();
    row("MULTI, SET, EXEC", &multi.answer());
    let script = "return redis.call('SET','a','1')";
    row("EVAL of a SET", &client().ask(&["EVAL", script, "0"]));
    let script = "return redis.pcall('SET','a','1')";
    row(
        "EVAL of a SET, errors caught",
        &client().ask(&["EVAL", script, "0"]),
    );
    row(
        "LPUSH for a blocked BLPOP",
        &client().ask(&["LPUSH", "list", "x"]),
    );
    let silent = blocked.is_silent();
    let popped = if silent {
        Reply::Nothing
    } else {
        blocked.answer()
    };
    let popped = if silent {
        "waits".to_owned()
    } else {
        popped.short()
    };
    rows.push(("a BLPOP blocked before", popped));
    let mut row = |what, reply: &Reply| rows.push((what, reply.short()));
    row("a WAIT 9 blocked before", &waiting.answer());
    row(
        "FUNCTION LOAD",
        &client().ask(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=f\nredis.register_function('f',function() end)",
        ]),
    );
    row("EXPIRE", &client().ask(&["EXPIRE", "read", "100"]));
    row("FLUSHALL", &client().ask(&["FLUSHALL"]));
    row("PUBLISH", &client().ask(&["PUBLISH", "a", "1"]));
    row("GET", &client().ask(&["GET", "read"]));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_can_still_do() {
    let kinds = [Kind::Nothing, Kind::Fence, Kind::Orderly, Kind::Pause];
    let mut all = Vec::new();
    for kind in kinds {
        all.push(survey(kind).await);
    }
    for (kind, rows) in kinds.iter().zip(&all) {
        println!("\n{kind:?}");
        for (what, answer) in rows {
            println!("  {what:<32} {answer}");
        }
    }
    expect(&all[1], "READONLY", |what| match what {
        "SET, then WAIT 1: WAIT" => Some("ERR WAIT cannot be used with replica instances"),
        "a BLPOP blocked before" | "a WAIT 9 blocked before" => Some("UNBLOCKED"),
        _ => None,
    });
    expect(&all[2], "READONLY", |what| match what {
        "SET, then WAIT 1: WAIT" => Some("ERR WAIT cannot be used with replica instances"),
        "a BLPOP blocked before" | "a WAIT 9 blocked before" => Some("UNBLOCKED"),
        _ => None,
    });
}

/// That nothing was written, and that readers were answered.
fn expect(rows: &[Row], refusal: &str, other: impl Fn(&str) -> Option<&'static str>) {
    for (what, answer) in rows {
        let fits = match *what {
            "PUBLISH" => answer == "0",
            "GET" => answer == "me",
            _ => match other(what) {
                Some(expected) => answer.starts_with(expected),
                None => answer.starts_with(refusal) || answer.starts_with("EXECABORT"),
            },
        };
        assert!(fits, "{what}: {answer}");
    }
}

/// Many clients that write to a frozen primary, before or after its replicas have gone to another.
async fn writes_acknowledged_after_waking(early: bool) -> (usize, usize) {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, PLAIN).await;
    let strict = Action::Promote {
        epoch: Epoch(1),
        write_acks: 1,
        strict: true,
    };
    assert_eq!(drivers[0].act(strict).await, Ok(Feat::Done));
    let mut clients: Vec<Client> = (0..50).map(|_| servers[0].client()).collect();
    servers[0].freeze();
    let send = |clients: &mut Vec<Client>| {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(&["SET", &format!("late-{index}"), "x"]);
        }
    };
    if early {
        send(&mut clients);
    }
    for driver in &mut drivers[1..] {
        position(driver.act(Action::Detach).await);
    }
    promote(&mut *drivers[1], 2).await;
    assert!(drivers[2].act(following(2, &servers[1])).await.is_ok());
    if !early {
        send(&mut clients);
    }
    servers[0].thaw();
    let first = clients
        .iter_mut()
        .filter_map(|it| wrote(&it.answer()).then_some(()))
        .count();
    // And whoever comes later, for as long as its replicas could still count as recently heard.
    let until = Instant::now() + Duration::from_secs(4);
    let mut later = 0;
    while Instant::now() < until {
        later += usize::from(wrote(&clients[0].ask(&["SET", "later", "x"])));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (first, later)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_slept_acknowledges_nothing_that_came_after_its_replicas_left() {
    let early = writes_acknowledged_after_waking(true).await;
    let late = writes_acknowledged_after_waking(false).await;
    println!(
        "with min-replicas-to-write 1, of 50 writes that lay in its sockets, and then for 4 s:"
    );
    println!("  sent before its replicas left: {early:?}; sent after they left: {late:?}");
    assert_eq!(late, (0, 0));
    assert_eq!(early.1, 0);
}

#[tokio::test]
async fn a_fence_works_on_a_replica_and_may_be_repeated() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let mut client = servers[1].client();
    assert!(
        client
            .ask(&["CONFIG", "SET", "replica-read-only", "no"])
            .is("OK")
    );
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
    for _ in 0..2 {
        position(drivers[1].act(FENCE).await);
    }
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
    assert_eq!(
        drivers[1].observe().await.role,
        Observed::Following { linked: false }
    );
    // Whoever makes it a primary by hand gets no writes out of it either.
    assert!(client.ask(&["REPLICAOF", "NO", "ONE"]).is("OK"));
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("NOREPLICAS")
    );
}

#[tokio::test]
async fn nobody_attaches_to_a_fenced_primary_and_nobody_is_told_that_he_did() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let stray = Server::start();
    let mut waiting = servers[0].client();
    waiting.send_all(&[&["SET", "w", "1"], &["WAIT", "2", "0"]]);
    assert!(waiting.answer().is("OK"));
    position(drivers[0].act(FENCE).await);
    assert!(waiting.answer().error().starts_with("UNBLOCKED"));
    let port = servers[0].port.to_string();
    assert!(
        stray
            .client()
            .ask(&["REPLICAOF", "127.0.0.1", &port])
            .is("OK")
    );
    let until = Instant::now() + BOUND;
    for server in [&servers[1], &stray] {
        while !server.log().contains("not connected with my master") {
            assert!(Instant::now() < until, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(servers[0].client().info("connected_slaves"), "0");
    assert_eq!(drivers[0].observe().await.role, Observed::Fenced);
    // It goes on where it was, and its replica too.
    promote(&mut *drivers[0], 2).await;
    assert!(servers[0].client().ask(&["SET", "a", "1"]).is("OK"));
    let feat = drivers[1].act(following(2, &servers[0])).await;
    assert_eq!(feat, Ok(Feat::Follows(None)));
    assert!(
        servers[1]
            .log()
            .contains("Successful partial resynchronization"),
        "{}",
        servers[1].log()
    );
}

#[tokio::test]
async fn in_a_handover_a_replica_still_gets_the_last_bytes() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    servers[1].freeze();
    let mut client = servers[0].client();
    assert!(client.ask(&["SET", "last", &"x".repeat(100_000)]).is("OK"));
    let at = position(drivers[0].act(ORDERLY).await);
    servers[1].thaw();
    let until = Instant::now() + BOUND;
    while position(drivers[1].act(Action::Measure).await) != at {
        assert!(Instant::now() < until, "{at:?}");
    }
    assert_eq!(servers[0].client().info("connected_slaves"), "1");
    assert_eq!(position(drivers[0].act(FENCE).await), at);
    assert_eq!(servers[0].client().info("connected_slaves"), "0");
}

#[tokio::test]
async fn what_cannot_be_told_is_killed_only_where_that_is_allowed() {
    let hasty = "answer_within = 100\nfence_within = 100";
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, hasty).await;
    drivers[0].observe().await;
    servers[0].freeze();
    let failed = drivers[0].act(FENCE).await.unwrap_err();
    assert!(failed.retry_helps());
    assert!(
        failed.to_string().contains("was not answered within"),
        "{failed}"
    );
    servers[0].thaw();

    let deadly = format!("{hasty}\nkill_when_stuck = true");
    let Group {
        mut servers,
        mut drivers,
    } = Group::start(1, &deadly).await;
    drivers[0].observe().await;
    servers[0].freeze();
    assert_eq!(drivers[0].act(FENCE).await, Ok(Feat::At(None)));
    assert!(servers[0].ends_within(BOUND));
}

#[tokio::test]
async fn an_operators_own_way_to_stop_comes_before_killing() {
    let Group {
        servers,
        drivers: _drivers,
    } = Group::start(1, PLAIN).await;
    let pid = servers[0].client().info("process_id");
    let stop = format!(
        "answer_within = 100\nfence_within = 100\nstop = ['sh', '-c', 'touch {}; kill -9 {pid}']",
        servers[0].path().join("stopped").display()
    );
    let mut driver = crate::setup::driver(&servers[0], &stop);
    driver.observe().await;
    servers[0].freeze();
    // The process is the test's child: its port is closed as soon as it is killed.
    assert_eq!(driver.act(FENCE).await, Ok(Feat::At(None)));
    assert!(servers[0].path().join("stopped").exists());
}

#[tokio::test]
async fn a_promotion_that_was_given_up_is_not_obeyed_after_a_fence() {
    let hasty = "answer_within = 50\nfence_within = 20000";
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, hasty).await;
    for _ in 0..10 {
        position(drivers[0].act(FENCE).await);
        servers[0].freeze();
        for epoch in 2..4 {
            let failed = drivers[0].act(promotion(epoch)).await.unwrap_err();
            assert!(
                failed.to_string().contains("it may have been done"),
                "{failed}"
            );
        }
        let (fenced, ()) = tokio::join!(drivers[0].act(FENCE), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            servers[0].thaw();
        });
        position(fenced);
        let mut client = servers[0].client();
        assert!(
            client
                .ask(&["SET", "a", "1"])
                .error()
                .starts_with("READONLY")
        );
        let seen = see(&mut *drivers[0], "answers", |it| {
            it.role != Observed::Nothing
        })
        .await;
        assert_eq!(seen.role, Observed::Fenced);
        assert_eq!(seen.stalled, Millis(0));
    }
}
