//! Only members acknowledge: whoever else is attached is detached, and kept away.

use std::time::{Duration, Instant};

use tenure_agent::driver::Driver;
use tenure_core::agent::{Action, Feat, Observation};

use crate::server::Server;
use crate::setup::{
    BOUND, Group, PLAIN, driver, following, lead, permission, position, see, see_linked,
};

/// How many connections of replicas a server has lost.
fn lost(server: &Server, replica: &Server) -> usize {
    let lost = format!("Connection with replica 127.0.0.1:{} lost", replica.port);
    server.log().matches(lost.as_str()).count()
}

#[tokio::test]
async fn members_stay_and_say_where_they_are() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, PLAIN).await;
    for _ in 0..2 {
        let at = position(drivers[0].act(permission(&servers)).await);
        assert!(at.offset <= servers[0].client().offset());
    }
    let lost = |index: usize| lost(&servers[0], &servers[index]);
    assert_eq!((lost(1), lost(2)), (0, 0));
    let seen = drivers[0].observe().await;
    assert!(seen.note.as_str().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn whoever_is_no_member_any_more_is_kept_away_and_acknowledges_nothing() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, PLAIN).await;
    let feat = drivers[0].act(permission([&servers[2]])).await;
    assert!(matches!(feat, Ok(Feat::Permits(Some(_)))), "{feat:?}");
    // It tries again, and its agent too, who was told nothing else.
    let refused = |server: &Server| server.log().matches("Unable to AUTH to MASTER").count();
    let until = Instant::now() + BOUND;
    while refused(&servers[1]) < 2 {
        assert!(Instant::now() < until, "{}", servers[1].log());
        drivers[0].observe().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    servers[2].freeze();
    let mut client = servers[0].client();
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
    assert_eq!(client.ask(&["WAIT", "1", "100"]).number(), 0);
    servers[2].thaw();
    // Once it is let in again it goes on where it was.
    position(drivers[0].act(permission(&servers)).await);
    let feat = drivers[1].act(following(1, &servers[0])).await;
    assert_eq!(feat, Ok(Feat::Follows(None)));
    see_linked(&mut *drivers[1]).await;
    assert!(
        servers[1]
            .log()
            .contains("Successful partial resynchronization")
    );
}

/// Lets go of a replica by hand, and has it come back later.
async fn a_stranger_comes(
    drivers: &mut [Box<dyn Driver>],
    servers: &[Server],
    stranger: &Server,
) -> Observation {
    let permitted = drivers[0].act(permission(servers)).await;
    assert!(
        matches!(permitted, Ok(Feat::Permits(Some(_)))),
        "{permitted:?}"
    );
    let port = servers[0].port.to_string();
    assert!(
        stranger
            .client()
            .ask(&["REPLICAOF", "127.0.0.1", &port])
            .is("OK")
    );
    let said = |seen: &Observation| seen.note.as_str().contains("it is no member");
    let seen = see(&mut *drivers[0], "the stranger", said).await;
    let until = Instant::now() + BOUND;
    while lost(&servers[0], stranger) == 0 {
        assert!(Instant::now() < until, "{}", servers[0].log());
        drivers[0].observe().await;
    }
    for replica in &servers[1..] {
        assert_eq!(lost(&servers[0], replica), 0, "{}", servers[0].log());
    }
    seen
}

#[tokio::test]
async fn a_replica_that_nobody_knows_is_detached_each_time_it_is_seen() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let stranger = Server::start();
    let seen = a_stranger_comes(&mut drivers, &servers, &stranger).await;
    let port = stranger.port.to_string();
    assert!(seen.note.as_str().contains(&port), "{seen:?}");
}

#[tokio::test]
async fn with_one_login_for_all_strangers_are_told_by_their_address() {
    let shared = format!("{PLAIN}\nreplication_username = 'all'\nreplication_password = 'x'");
    let servers: Vec<Server> = (0..2).map(|_| Server::start()).collect();
    for server in &servers {
        let user = [
            "ACL",
            "SETUSER",
            "all",
            "on",
            ">x",
            "+psync",
            "+replconf",
            "+ping",
        ];
        assert!(server.client().ask(&user).is("OK"));
    }
    let Group {
        servers,
        mut drivers,
    } = Group::of(servers, &shared).await;
    let stranger = Server::start();
    a_stranger_comes(&mut drivers, &servers, &stranger).await;
}

#[tokio::test]
async fn a_replica_that_follows_before_it_is_let_in_is_linked_soon_after() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(1, PLAIN).await;
    let early = Server::start();
    let mut own = driver(&early, PLAIN);
    let mut first = drivers.remove(0);
    let (followed, ()) = tokio::join!(own.act(following(1, &servers[0])), async {
        let until = Instant::now() + BOUND;
        while !early.log().contains("Unable to AUTH to MASTER") {
            assert!(Instant::now() < until, "{}", early.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        position(first.act(permission([&early])).await);
    });
    assert!(matches!(followed, Ok(Feat::Follows(_))), "{followed:?}");
    see_linked(&mut *own).await;
}

#[tokio::test]
async fn a_replica_says_nobody_who_may_acknowledge() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(2, PLAIN).await;
    let refused = drivers[1].act(permission(&servers)).await.unwrap_err();
    assert!(refused.to_string().contains("it is a replica"), "{refused}");
    lead(&mut *drivers[1], 2, &servers).await;
    assert_eq!(drivers[0].act(Action::Resume).await, Ok(Feat::Done));
}
