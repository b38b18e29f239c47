//! Promotion, following, detaching, measuring, and what is seen meanwhile.

use std::time::Instant;

use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::{Endpoint, Health, Presence};

use crate::server::Server;
use crate::setup::{
    FENCE, Group, PLAIN, driver, endpoint, following, lead, position, promotion, see, see_linked,
};

#[tokio::test]
async fn an_instance_that_was_told_nothing_is_left_alone() {
    let server = Server::start();
    let mut driver = driver(&server, PLAIN);
    let seen = driver.observe().await;
    assert_eq!(seen.role, Observed::Writable);
    assert_eq!(
        (seen.presence, seen.health),
        (Presence::Running, Health::Healthy)
    );
    assert_eq!(
        seen.attributes.get("version"),
        Some(server.client().info("redis_version").as_str())
    );
    let mut client = server.client();
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
    let seen = driver.observe().await;
    assert_eq!(seen.role, Observed::Writable);
    assert_eq!(client.ask(&["DBSIZE"]).number(), 1, "no probe was written");
}

#[tokio::test]
async fn promotion_follows_the_policy_and_may_be_repeated() {
    let group = Group::start(2, PLAIN).await;
    let Group {
        servers,
        mut drivers,
    } = group;
    let mut client = servers[0].client();
    let strict = Action::Promote {
        epoch: tenure_core::Epoch(1),
        write_acks: 2,
        strict: true,
    };
    assert_eq!(drivers[0].act(strict).await, Ok(Feat::Done));
    assert!(
        client
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("NOREPLICAS")
    );
    let seen = see(&mut *drivers[0], "held back", |seen| {
        !seen.note.as_str().is_empty()
    })
    .await;
    assert_eq!(seen.health, Health::Degraded);
    assert_eq!(seen.stalled.0, 0, "too few replicas is not stuck: {seen:?}");
    assert!(
        seen.note.as_str().contains("too few replicas acknowledge"),
        "{seen:?}"
    );
    for _ in 0..2 {
        lead(&mut *drivers[0], 1, &servers).await;
    }
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
}

/// What is decided on is what was seen: a process that came since may have lost what it was chosen for.
#[tokio::test]
async fn one_that_was_started_anew_is_not_promoted_or_measured_before_it_was_seen() {
    let Group {
        mut servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let (server, driver) = (&mut servers[1], &mut drivers[1]);
    server.kill();
    server.launch();
    for action in [promotion(2), Action::Measure, Action::Detach, promotion(2)] {
        let why = driver.act(action).await.unwrap_err();
        assert!(why.retry_helps());
        assert!(why.to_string().contains("started anew"), "{why}");
    }
    // Once it was seen, whoever decides knows of it.
    let seen = driver.observe().await.role;
    assert_eq!(seen, Observed::Following { linked: false });
    assert_eq!(driver.act(promotion(2)).await, Ok(Feat::Done));
}

#[tokio::test]
async fn detached_replicas_keep_their_place_and_the_second_resumes_at_the_first() {
    let group = Group::start(3, PLAIN).await;
    group.write("a", "1");
    let Group {
        mut servers,
        mut drivers,
    } = group;
    let (mut took, began) = (Vec::new(), Instant::now());
    let before = position(drivers[0].act(Action::Measure).await);
    servers[0].kill();
    for driver in &mut drivers[1..] {
        let began = Instant::now();
        let at = position(driver.act(Action::Detach).await);
        took.push(("detach", began.elapsed()));
        assert_eq!(
            at, before,
            "nothing was written since, not even a sign of life"
        );
        let again = position(driver.act(Action::Detach).await);
        assert_eq!(again, at);
        assert_eq!(
            driver.observe().await.role,
            Observed::Following { linked: false }
        );
    }
    let now = Instant::now();
    lead(&mut *drivers[1], 2, &servers).await;
    took.push(("promote", now.elapsed()));
    let now = Instant::now();
    let feat = drivers[2].act(following(2, &servers[1])).await;
    took.push(("follow until linked", now.elapsed()));
    assert_eq!(feat, Ok(Feat::Follows(None)));
    see_linked(&mut *drivers[2]).await;
    let log = servers[2].log();
    let resumed = log.matches("Successful partial resynchronization").count();
    assert_eq!(resumed, 1, "{log}");
    let mut client = servers[1].client();
    assert!(client.ask(&["SET", "b", "2"]).is("OK"));
    assert_eq!(client.ask(&["WAIT", "1", "20000"]).number(), 1);
    assert!(servers[2].client().ask(&["GET", "a"]).is("1"));
    assert!(
        servers[2]
            .client()
            .ask(&["SET", "a", "x"])
            .error()
            .starts_with("READONLY")
    );
    println!("{took:?}, all within {:?}", began.elapsed());
}

#[tokio::test]
async fn a_replica_that_is_told_again_is_not_disturbed() {
    let group = Group::start(2, PLAIN).await;
    let Group {
        servers,
        mut drivers,
    } = group;
    let link = |server: &Server| {
        server
            .log()
            .matches("MASTER <-> REPLICA sync started")
            .count()
    };
    let before = link(&servers[1]);
    for _ in 0..3 {
        let feat = drivers[1].act(following(1, &servers[0])).await;
        assert_eq!(feat, Ok(Feat::Follows(None)));
    }
    assert_eq!(link(&servers[1]), before);
}

#[tokio::test]
async fn following_one_that_was_not_promoted_yet_is_refused_and_may_be_tried_again() {
    let group = Group::start(3, PLAIN).await;
    let Group {
        servers,
        mut drivers,
    } = group;
    let refused = drivers[2].act(following(2, &servers[1])).await.unwrap_err();
    assert!(refused.retry_helps());
    assert!(
        refused.to_string().contains("not promoted yet"),
        "{refused}"
    );
    lead(&mut *drivers[1], 2, &servers).await;
    let feat = drivers[2].act(following(2, &servers[1])).await;
    assert_eq!(feat, Ok(Feat::Follows(None)));
    see_linked(&mut *drivers[2]).await;
}

#[tokio::test]
async fn detaching_a_primary_leaves_it_as_it_is() {
    let group = Group::start(1, PLAIN).await;
    group.write("a", "1");
    let Group {
        servers,
        mut drivers,
    } = group;
    let at = position(drivers[0].act(Action::Detach).await);
    assert_eq!(at.offset, servers[0].client().offset());
    assert_eq!(servers[0].client().info("role"), "master");
}

#[tokio::test]
async fn a_probe_wants_an_answer_of_the_process_itself() {
    let (own, primary) = (Server::start(), Server::start());
    let mut driver = driver(&own, PLAIN);
    let probe = || Action::Probe {
        primary: endpoint(&primary),
    };
    assert_eq!(driver.act(probe()).await, Ok(Feat::Sees(true)));
    primary.freeze();
    assert_eq!(driver.act(probe()).await, Ok(Feat::Sees(false)));
    primary.thaw();
    assert_eq!(driver.act(probe()).await, Ok(Feat::Sees(true)));
    let nobody = Action::Probe {
        primary: Endpoint::new("127.0.0.1:1").unwrap(),
    };
    assert_eq!(driver.act(nobody).await, Ok(Feat::Sees(false)));
}

#[tokio::test]
async fn an_action_that_hangs_is_given_up_in_time_and_a_fence_takes_its_place() {
    let group = Group::start(1, "answer_within = 10000\nfence_within = 60000").await;
    let Group {
        servers,
        mut drivers,
    } = group;
    servers[0].freeze();
    {
        let hanging = drivers[0].act(promotion(2));
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(50), hanging).await;
        assert!(given_up.is_err(), "{given_up:?}");
    }
    {
        let mut fencing = drivers[0].act(FENCE);
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut fencing).await;
        assert!(early.is_err(), "{early:?}");
        servers[0].thaw();
        position(fencing.await);
    }
    // The promotion that was given up was obeyed first.
    assert!(
        servers[0]
            .client()
            .ask(&["SET", "a", "1"])
            .error()
            .starts_with("READONLY")
    );
    assert_eq!(drivers[0].observe().await.role, Observed::Fenced);
}
