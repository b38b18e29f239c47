//! Agents under servers: nodes join, a primary is chosen, and whatever goes away, writes go on and none
//! that was acknowledged is lost. Stores are in memory.
#![allow(missing_docs)]

#[path = "agents/site.rs"]
mod site;
#[path = "agents/world.rs"]
mod world;

use std::time::{Duration, Instant};

use site::{BOUND, CLUSTER, Site, ask, eventually, service};
use tenure_core::agent::Action;
use tenure_core::{Cause, Endpoint, Epoch, Note, Phase};
use world::Refused;

fn note(text: &str) -> Note {
    Note::new(text).expect("short")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_join_and_one_becomes_primary() {
    let site = Site::start().await;
    let (_follow, primary) = site.settled().await;
    assert_eq!(primary.epoch, Epoch(1));
    site.world
        .write(&primary.endpoint, 7)
        .expect("acknowledged");
    for store in site.world.lock().values() {
        assert_eq!(store.data, [7]);
    }
    let (_, receipts) = site
        .client
        .admin()
        .receipts(None, 0)
        .await
        .expect("receipts");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].account.cause, Cause::First);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_is_replaced_and_nothing_is_lost() {
    let site = Site::start().await;
    let (mut follow, mut primary) = site.settled().await;
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        for value in 0..10 {
            let value = round * 10 + value;
            if site.world.write(&primary.endpoint, value).is_ok() {
                acknowledged.push(value);
            }
        }
        assert_eq!(acknowledged.len(), 10 * (round as usize + 1));
        if round == 1 {
            break;
        }
        site.world.kill(&primary.endpoint);
        let next = async {
            loop {
                let next = follow.serving().await.expect("it is watched");
                if next.epoch > primary.epoch {
                    return next;
                }
                follow.changed().await.expect("it is watched");
            }
        };
        primary = match tokio::time::timeout(BOUND, next).await {
            Ok(next) => next,
            Err(_) => panic!("it is not replaced: {}", site.story().await),
        };
        site.replicated(&primary).await;
    }
    assert_eq!(site.world.lock()[&primary.endpoint].data, acknowledged);
    let (_, receipts) = site
        .client
        .admin()
        .receipts(None, 0)
        .await
        .expect("receipts");
    let receipt = receipts.first().expect("one");
    assert_eq!(receipt.account.cause, Cause::Exited);
    assert!(receipt.account.completeness.is_lossless());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_loses_and_refuses_no_write() {
    let site = Site::start().await;
    let (mut follow, first) = site.settled().await;
    let admin = site.client.admin();
    let moving = tokio::spawn(async move { admin.switchover(&service(), None, note("x")).await });
    let mut value = 0;
    let mut acknowledged = Vec::new();
    let mut last = None;
    // A client that follows the primary, and tries again what was certainly not done.
    while !moving.is_finished() || last.as_ref() == Some(&first.endpoint) {
        let now = follow.serving().await.expect("it is watched");
        match site.world.write(&now.endpoint, value) {
            Ok(()) => {
                acknowledged.push(value);
                last = Some(now.endpoint);
                value += 1;
            }
            Err(Refused::Paused | Refused::NotPrimary) => {}
            Err(Refused::TooFew) => panic!("write {value} was done by halves"),
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    let moved = moving.await.expect("it ends").expect("it is moved");
    assert_eq!(moved.epoch, Epoch(2));
    let receipt = moved.receipt.expect("it has confirmed");
    assert_eq!(receipt.account.cause, Cause::Switchover);
    assert!(receipt.account.timeline.contains_key(&Phase::Confirmed));
    let now = follow.serving().await.expect("it is watched");
    assert_ne!(now.endpoint, first.endpoint);
    site.replicated(&now).await;
    assert_eq!(site.world.lock()[&now.endpoint].data, acknowledged);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_started_anew_leaves_its_primary_alone() {
    let mut site = Site::start().await;
    let (follow, primary) = site.settled().await;
    let at = site.at(&primary.endpoint);
    let before = site.world.told(&primary.endpoint);
    site.stop_agent(at).await;
    site.start_agent(at).await;
    let agent = site.agents[at].as_mut().expect("it runs");
    let member = tokio::time::timeout(BOUND, agent.member()).await;
    assert_eq!(member.expect("it has joined"), Some(primary.member));
    // It serves on, by the same epoch, and has not been touched.
    let checks = agent.checks().expect("it listens");
    eventually("the check says yes", async || {
        let answer = ask(checks, "/primary/store").await;
        answer.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    site.world
        .write(&primary.endpoint, 1)
        .expect("acknowledged");
    assert_eq!(follow.current(), Some(primary.clone()));
    let told = site.world.told(&primary.endpoint);
    let touched = told[before.len()..]
        .iter()
        .filter(|action| !matches!(action, Action::Permit { .. }));
    assert_eq!(touched.count(), 0, "{told:?}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_the_leader_moves_no_primary() {
    let mut site = Site::start().await;
    let (follow, primary) = site.settled().await;
    let leader = site.leader().await;
    site.stop_server(leader).await;
    let until = Instant::now() + Duration::from_secs(3);
    let mut value = 0;
    while Instant::now() < until {
        site.world
            .write(&primary.endpoint, value)
            .expect("every write is acknowledged");
        value += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(follow.current(), Some(primary));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_all_servers_stops_no_primary_that_is_pledged_to() {
    let mut site = Site::start().await;
    let (follow, primary) = site.settled().await;
    for at in 0..3 {
        site.stop_server(at).await;
    }
    let until = Instant::now() + Duration::from_secs(4);
    let mut value = 0;
    while Instant::now() < until {
        site.world
            .write(&primary.endpoint, value)
            .expect("every write is acknowledged");
        value += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for at in 0..3 {
        site.start_server(at).await;
    }
    site.leader().await;
    let (_, now) = site.settled().await;
    assert_eq!(
        (now.epoch, &now.endpoint),
        (primary.epoch, &primary.endpoint)
    );
    assert_eq!(follow.current().map(|now| now.epoch), Some(primary.epoch));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_fellows_are_gone_too_stops_in_time() {
    let mut site = Site::start().await;
    let (_follow, primary) = site.settled().await;
    let at = site.at(&primary.endpoint);
    let other = (at + 1) % 3;
    site.stop_agent(other).await;
    for at in 0..3 {
        site.stop_server(at).await;
    }
    eventually("the primary is fenced", async || {
        let stopped = site.world.write(&primary.endpoint, 1) == Err(Refused::NotPrimary);
        stopped.then_some(())
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_left_hands_over_first() {
    let mut site = Site::start().await;
    let (mut follow, primary) = site.settled().await;
    let at = site.at(&primary.endpoint);
    let agent = site.agents[at].as_mut().expect("it runs");
    assert!(agent.leave(BOUND).await, "the role was handed over");
    let next = async {
        loop {
            let next = follow.serving().await.expect("it is watched");
            if next.epoch > primary.epoch {
                return next;
            }
            follow.changed().await.expect("it is watched");
        }
    };
    let next = tokio::time::timeout(BOUND, next).await.expect("it serves");
    assert_ne!(next.endpoint, primary.endpoint);
    site.stop_agent(at).await;
    site.world.write(&next.endpoint, 1).expect("acknowledged");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_belong_here_is_told_so() {
    let mut site = Site::start().await;
    let store = site.stores[2].clone();
    let mut stranger = site.agent("elsewhere", 2, "stranger", &store).await;
    let ended = tokio::time::timeout(BOUND, stranger.ended()).await;
    let error = ended
        .expect("it ends")
        .expect_err("it is refused")
        .to_string();
    let expected = "the servers belong to cluster \"test\", the configuration says \"elsewhere\"";
    assert!(error.starts_with(expected), "{error}");
    // Another one of the same name takes the node over; the first one says so, and is given nothing.
    let mut double = site.agent(CLUSTER, 2, "double", &store).await;
    let first = site.agents[2].as_mut().expect("it runs").member().await;
    let (first, second) = (first.expect("a member"), double.member().await);
    let second = second.expect("a member");
    assert_eq!(second.node, first.node);
    assert_eq!(second.incarnation, first.incarnation.next());
    let checks = site.agents[2].as_ref().expect("it runs").checks();
    let checks = checks.expect("it listens");
    eventually("the first one tells of it", async || {
        let status = ask(checks, "/status").await;
        status
            .contains("another agent has joined as node node-2")
            .then_some(())
    })
    .await;
    double.stop().await.expect("it ends as it was told to");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_stands_where_its_agent_says() {
    let mut site = Site::start().await;
    let (_follow, primary) = site.settled().await;
    let at = (site.at(&primary.endpoint) + 1) % 3;
    site.stop_agent(at).await;
    let elsewhere = Endpoint::new("127.0.0.1:9").expect("an endpoint");
    let folder = format!("agent-{at}");
    let mut agent = site.agent(CLUSTER, at, &folder, &elsewhere).await;
    let member = agent.member().await.expect("a member");
    let discovery = site.client.discovery();
    eventually("the cluster has the new endpoint", async || {
        let found = discovery
            .resolve(&service(), Default::default())
            .await
            .ok()?;
        let mut instances = found.instances.into_iter();
        let own = instances.find(|instance| instance.node == member.node)?;
        (own.endpoint == elsewhere).then_some(())
    })
    .await;
    agent.stop().await.expect("it ends as it was told to");
    site.stop().await;
}
