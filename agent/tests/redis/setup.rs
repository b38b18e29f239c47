//! Drivers of servers, and waiting for what they see.

use std::time::{Duration, Instant};

use tenure_agent::driver::{Driver, DriverError, InstanceAt, parse};
use tenure_core::agent::{Action, Feat, Observation, Observed};
use tenure_core::{Endpoint, Epoch, NodeId, Position, ServiceName};

use crate::server::Server;

pub const BOUND: Duration = Duration::from_secs(20);

/// As it is done when the authority of a primary ends.
pub const FENCE: Action = Action::Fence { orderly: false };
/// As it is done in the course of a switchover.
pub const ORDERLY: Action = Action::Fence { orderly: true };

pub fn endpoint(server: &Server) -> Endpoint {
    Endpoint::new(&server.endpoint()).unwrap()
}

/// The driver of a server, with these settings. It keeps its files in the server's folder.
pub fn driver(server: &Server, settings: &str) -> Box<dyn Driver> {
    let instance = InstanceAt {
        service: ServiceName::new("redis-server").unwrap(),
        endpoint: endpoint(server),
        folder: server.path().join("agent"),
    };
    parse("redis", instance, settings.parse().unwrap()).expect("the settings are right")
}

pub async fn promote(driver: &mut dyn Driver, epoch: u64) {
    let feat = driver.act(promotion(epoch)).await;
    assert_eq!(feat, Ok(Feat::Done));
}

/// Lets these servers acknowledge, and nobody else.
pub fn permission<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Action {
    let numbered = (1..).map(NodeId).zip(servers);
    Action::Permit {
        members: numbered.map(|(node, it)| (node, endpoint(it))).collect(),
    }
}

/// Promotes, and lets these servers acknowledge.
pub async fn lead(driver: &mut dyn Driver, epoch: u64, servers: &[Server]) {
    promote(driver, epoch).await;
    position(driver.act(permission(servers)).await);
}

pub fn promotion(epoch: u64) -> Action {
    Action::Promote {
        epoch: Epoch(epoch),
        write_acks: 1,
        strict: false,
    }
}

pub fn following(epoch: u64, primary: &Server) -> Action {
    Action::Follow {
        epoch: Epoch(epoch),
        primary: endpoint(primary),
    }
}

pub fn position(feat: Result<Feat, DriverError>) -> Position {
    match feat {
        Ok(Feat::At(Some(position)) | Feat::Permits(Some(position))) => position,
        other => panic!("expected a position, found {other:?}"),
    }
}

/// Looks until something is seen.
pub async fn see(
    driver: &mut dyn Driver,
    what: &str,
    seen: impl Fn(&Observation) -> bool,
) -> Observation {
    let until = Instant::now() + BOUND;
    loop {
        let observation = driver.observe().await;
        if seen(&observation) {
            return observation;
        }
        assert!(
            Instant::now() < until,
            "{what}: not seen, but {observation:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn see_linked(driver: &mut dyn Driver) -> Observation {
    let linked = |seen: &Observation| seen.role == Observed::Following { linked: true };
    see(driver, "a link", linked).await
}

/// One primary and its replicas, all of them told so by their drivers, and linked.
pub struct Group {
    pub servers: Vec<Server>,
    pub drivers: Vec<Box<dyn Driver>>,
}

impl Group {
    pub async fn start(count: usize, settings: &str) -> Self {
        let servers = (0..count).map(|_| Server::start()).collect();
        Self::of(servers, settings).await
    }

    pub async fn of(servers: Vec<Server>, settings: &str) -> Self {
        let drivers = servers
            .iter()
            .map(|server| driver(server, settings))
            .collect();
        let mut group = Self { servers, drivers };
        lead(&mut *group.drivers[0], 1, &group.servers).await;
        for index in 1..group.servers.len() {
            let feat = group.drivers[index]
                .act(following(1, &group.servers[0]))
                .await;
            assert!(matches!(feat, Ok(Feat::Follows(_))), "{feat:?}");
            see_linked(&mut *group.drivers[index]).await;
        }
        // A link is up before anything flows over it.
        group.write("setup", "done");
        for driver in &mut group.drivers {
            driver.observe().await;
        }
        group
    }

    /// Writes, and waits until all replicas have it.
    pub fn write(&self, key: &str, value: &str) {
        let mut client = self.servers[0].client();
        assert!(client.ask(&["SET", key, value]).is("OK"));
        let replicas = (self.servers.len() - 1).to_string();
        let have = client.ask(&["WAIT", &replicas, "20000"]).number();
        assert_eq!(have.to_string(), replicas);
    }
}

/// Patience that a machine busy with other things does not wear out.
pub const PLAIN: &str = "probe_every = 20\nanswer_within = 10000\nconnect_within = 10000\n\
                         fence_within = 20000\nlink_within = 10000";
