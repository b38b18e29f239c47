//! Only members acknowledge: whoever else is attached is detached.

use std::collections::BTreeMap;

use tenure_core::agent::{Action, Feat};
use tenure_core::{Endpoint, NodeId};

use crate::server::Server;
use crate::setup::{Group, PLAIN, endpoint, position, see};

fn permit(servers: &[&Server]) -> Action {
    let numbered = servers.iter().enumerate();
    let members: BTreeMap<NodeId, Endpoint> = numbered
        .map(|(index, server)| (NodeId(u64::try_from(index).unwrap()), endpoint(server)))
        .collect();
    Action::Permit { members }
}

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
    let feat = drivers[0].act(permit(&[&servers[1], &servers[2]])).await;
    assert!(matches!(feat, Ok(Feat::Permits(Some(_)))), "{feat:?}");
    let at = position(feat);
    assert!(at.offset <= servers[0].client().offset());
    assert_eq!(
        lost(&servers[0], &servers[1]) + lost(&servers[0], &servers[2]),
        0
    );
    let seen = drivers[0].observe().await;
    assert!(seen.note.as_str().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn whoever_is_no_member_is_detached_each_time_it_is_seen() {
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, PLAIN).await;
    // It is told to follow nobody, and its own agent obeys later.
    let only = permit(&[&servers[2]]);
    servers[1].client().ask(&["REPLICAOF", "NO", "ONE"]);
    let feat = drivers[0].act(only).await;
    assert!(matches!(feat, Ok(Feat::Permits(Some(_)))), "{feat:?}");
    let before = lost(&servers[0], &servers[1]);
    let port = servers[0].port.to_string();
    servers[1].client().ask(&["REPLICAOF", "127.0.0.1", &port]);
    let said = |seen: &tenure_core::agent::Observation| {
        seen.note
            .as_str()
            .contains(&format!("detached 127.0.0.1:{}", servers[1].port))
    };
    see(&mut *drivers[0], "the stranger", said).await;
    assert!(
        lost(&servers[0], &servers[1]) > before,
        "{}",
        servers[0].log()
    );
}
