//! Fences in every state: asleep, as a replica, in a handover, and as a last resort.

use std::time::{Duration, Instant};

use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::{Epoch, Millis};

use crate::client::{Client, Reply};
use crate::server::Server;
use crate::setup::{
    BOUND, FENCE, Group, ORDERLY, PLAIN, following, lead, position, promotion, see,
};

/// Whether the answer says that something was written.
fn wrote(reply: &Reply) -> bool {
    match reply {
        Reply::Error(_) | Reply::Nothing | Reply::Ended => false,
        Reply::Many(all) => all.iter().any(wrote),
        Reply::Text(_) | Reply::Number(_) => true,
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
    lead(&mut *drivers[1], 2, &servers).await;
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
    lead(&mut *drivers[0], 2, &servers).await;
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
        let before = servers[0].unread();
        let (fenced, ()) = tokio::join!(drivers[0].act(FENCE), async {
            let until = Instant::now() + BOUND;
            while servers[0].unread() <= before {
                assert!(Instant::now() < until, "no fence was sent");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
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
