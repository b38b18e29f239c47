//! Nodes: each runs the real agent, whose driver has the model of a store in place of a store.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_agent::driver::{Doing, Driver, DriverError, PresenceTeller, PresenceWatch};
use tenure_agent::{Config, Launch};
use tenure_core::agent::{Action, Feat, Observation};
use tenure_core::{LossPolicy, Millis, Policy, Presence, PrimaryPolicy, ServiceName};

use crate::servers::{SERVERS, api};
use crate::site::Site;

/// How many nodes there are.
pub const NODES: usize = 3;
/// Where the store of each is reached, and its agent by other agents.
const STORE: u16 = 6_379;
const PLEDGES: u16 = 7_421;
/// How long a store takes to do what it is told.
const ACTS_WITHIN: Duration = Duration::from_millis(2);

/// The host of a node.
pub fn host(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Which node a store's endpoint is of.
pub fn node_at(endpoint: &str) -> Option<usize> {
    (0..NODES).find(|node| endpoint == format!("{}:{STORE}", host(*node)))
}

/// The service that the nodes keep.
pub fn service() -> ServiceName {
    ServiceName::new("store").expect("a name that is right")
}

/// Its policy: no acknowledged write may be lost.
pub fn policy() -> Policy {
    Policy::Primary(PrimaryPolicy {
        loss: LossPolicy::Never,
        replicas: 2,
        write_acks: 1,
        anti_flap_ms: Millis(2_000),
    })
}

/// The stores of all nodes.
pub type Stores = Arc<Mutex<Site>>;

/// The stores, for as long as nobody else looks.
pub fn lock(stores: &Stores) -> MutexGuard<'_, Site> {
    stores.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration of a node's agent.
pub fn config(node: usize, folder: &Path) -> Config {
    let host = host(node);
    let servers: Vec<String> = (0..SERVERS).map(|at| format!("{:?}", api(at))).collect();
    let text = format!(
        "cluster = \"simulated\"\nservers = [{}]\nnode = \"{host}\"\nstate_dir = {folder:?}\n\
         [pledge]\nlisten = \"0.0.0.0:{PLEDGES}\"\nadvertise = \"{host}:{PLEDGES}\"\n\
         [[services]]\nname = \"store\"\ndriver = \"embedded\"\nendpoint = \"{host}:{STORE}\"\n",
        servers.join(", ")
    );
    Config::parse(Path::new("simulated.toml"), &text).expect("a configuration that is right")
}

/// Runs an agent until it ends by itself, which it must not.
pub async fn attend(config: Config, stores: Stores, node: usize) -> turmoil::Result {
    let driver = Model::new(stores, node);
    let launch = Launch::new(config).with_driver(service(), Box::new(driver));
    let mut agent = launch.start().await?;
    agent.ended().await?;
    Err("an agent ended, and nobody had asked it to".into())
}

/// The driver of a store that is a model.
struct Model {
    stores: Stores,
    node: usize,
    teller: PresenceTeller,
}

impl Model {
    fn new(stores: Stores, node: usize) -> Self {
        let teller = PresenceTeller::new();
        teller.say(Presence::Running);
        lock(&stores).tell_by(node, teller.clone());
        Self {
            stores,
            node,
            teller,
        }
    }
}

impl Driver for Model {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(async { lock(&self.stores).observe(self.node) })
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(async move {
            tokio::time::sleep(ACTS_WITHIN).await;
            let done = lock(&self.stores).act(self.node, &action);
            done.map_err(|why| DriverError::Unreachable {
                endpoint: host(self.node),
                why,
            })
        })
    }

    fn presence(&mut self) -> PresenceWatch {
        self.teller.watch()
    }
}

/// Pairs of nodes that do not reach each other.
pub type Apart = BTreeSet<(usize, usize)>;
