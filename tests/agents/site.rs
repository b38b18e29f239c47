//! Three servers and three nodes with their agents, in one process.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_agent::{Config, Handle, Launch};
use tenure_client::{Client, FailoverOptions, Follow, Options, Primary};
use tenure_core::{Endpoint, NodeName, NodeRef, Policy, PrimaryPolicy, ServiceName};
use tenure_server::{Running, Server};
use tenure_tests::ports::free_ports;

use super::world::World;

/// How long a condition may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(30);

pub const CLUSTER: &str = "test";

pub fn service() -> ServiceName {
    ServiceName::new("store").expect("a name")
}

/// A cluster, its nodes, and a client.
pub struct Site {
    place: TempDir,
    ports: Vec<u16>,
    pub servers: Vec<Option<Running>>,
    pub agents: Vec<Option<Handle>>,
    pub stores: Vec<Endpoint>,
    pub world: World,
    pub client: Client,
}

impl Site {
    /// Starts the servers and the agents of three nodes, and adds the service.
    pub async fn start() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let ports = free_ports(9).expect("ports");
        let mut servers = Vec::new();
        for at in 0..3 {
            let text = server(place.path(), &ports, at);
            let config = tenure_server::Config::parse(Path::new("server.toml"), &text);
            let started = Server::start(config.expect("valid")).await;
            servers.push(Some(started.expect("it starts")));
        }
        let apis = (0..3).map(|at| api(&ports, at));
        let client = Client::new(apis, Options::default()).expect("a client");
        let stores = (0..3).map(|at| {
            let text = format!("127.0.0.1:{}", ports[6 + at]);
            Endpoint::new(&text).expect("an endpoint")
        });
        let mut site = Self {
            stores: stores.collect(),
            place,
            ports,
            servers,
            agents: (0..3).map(|_| None).collect(),
            world: World::default(),
            client,
        };
        for at in 0..3 {
            site.start_agent(at).await;
        }
        site.add_service().await;
        site.choose().await;
        site
    }

    /// An operator names the first primary.
    async fn choose(&self) {
        let to = NodeName::new("node-0").expect("a name");
        let admin = self.client.admin();
        eventually("the first primary is chosen", async || {
            let first = FailoverOptions {
                to: Some(NodeRef::Name(to.clone())),
                ..FailoverOptions::default()
            };
            admin.failover(&service(), first).await.ok().map(drop)
        })
        .await;
    }

    async fn add_service(&self) {
        let policy = Policy::Primary(PrimaryPolicy {
            replicas: 2,
            ..PrimaryPolicy::default()
        });
        let admin = self.client.admin();
        eventually("the service is added", async || {
            admin.add_service(service(), policy).await.ok()
        })
        .await;
    }

    pub async fn start_server(&mut self, at: usize) {
        let text = server(self.place.path(), &self.ports, at);
        let config = tenure_server::Config::parse(Path::new("server.toml"), &text);
        let started = Server::start(config.expect("valid")).await;
        self.servers[at] = Some(started.expect("it starts"));
    }

    pub async fn stop_server(&mut self, at: usize) {
        let running = self.servers[at].take().expect("it runs");
        running.shutdown().await;
    }

    pub async fn start_agent(&mut self, at: usize) {
        let folder = format!("agent-{at}");
        let store = self.stores[at].clone();
        let agent = self.agent(CLUSTER, at, &folder, &store).await;
        self.agents[at] = Some(agent);
    }

    /// Starts an agent of a node, with a folder and for a store of the caller's choice.
    pub async fn agent(&self, cluster: &str, at: usize, folder: &str, store: &Endpoint) -> Handle {
        let apis: Vec<String> = (0..3).map(|at| api(&self.ports, at)).collect();
        let text = format!(
            "cluster = {cluster:?}\nservers = {apis:?}\nnode = \"node-{at}\"\nstate_dir = {:?}\n\
             listen = \"127.0.0.1:0\"\n[pledge]\nlisten = \"127.0.0.1:0\"\n\
             [[services]]\nname = \"store\"\ndriver = \"embedded\"\nendpoint = \"{store}\"\n",
            self.place.path().join(folder),
        );
        let config = Config::parse(Path::new("agent.toml"), &text).expect("valid");
        let driver = self.world.start(store);
        let launch = Launch::new(config).with_driver(service(), driver);
        launch.start().await.expect("it starts")
    }

    pub async fn stop_agent(&mut self, at: usize) {
        let agent = self.agents[at].take().expect("it runs");
        agent.stop().await.expect("it ends as it was told to");
    }

    /// Follows the primary, once there is one that serves and that has replicas enough.
    pub async fn settled(&self) -> (Follow, Primary) {
        let follow = eventually("somebody tells who is primary", async || {
            self.client.follow(service()).await.ok()
        });
        let mut follow = follow.await;
        let primary = match tokio::time::timeout(BOUND, follow.serving()).await {
            Ok(primary) => primary.expect("it is watched"),
            Err(_) => panic!("nobody serves: {}", self.story().await),
        };
        self.replicated(&primary).await;
        (follow, primary)
    }

    /// Waits until all that live follow the primary, and the log says that they hold everything.
    pub async fn replicated(&self, primary: &Primary) {
        let all = self.world.lock().len();
        let discovery = self.client.discovery();
        eventually("everybody is in sync", async || {
            let found = discovery.resolve(&service(), Default::default()).await;
            let found = found.ok()?.assignment?;
            (found.epoch == primary.epoch && found.in_sync.len() == all).then_some(())
        })
        .await;
    }

    /// What the leader and the agents say, for a failure.
    pub async fn story(&self) -> String {
        let explained = self.client.admin().explain(&service()).await;
        let mut story = format!("{explained:#?}\n");
        for agent in self.agents.iter().flatten() {
            if let Some(checks) = agent.checks() {
                story += &ask(checks, "/status").await;
            }
        }
        story
    }

    pub fn at(&self, endpoint: &Endpoint) -> usize {
        let place = self.stores.iter().position(|store| store == endpoint);
        place.expect("one of ours")
    }

    /// Which server leads.
    pub async fn leader(&self) -> usize {
        eventually("a server leads", async || {
            let leads = |running: &Option<Running>| {
                let running = running.as_ref();
                running.is_some_and(|running| running.consensus().leads())
            };
            self.servers.iter().position(leads)
        })
        .await
    }

    /// Ends everything that was started.
    pub async fn stop(mut self) {
        for agent in self.agents.iter_mut().filter_map(Option::take) {
            agent.stop().await.expect("it ends as it was told to");
        }
        for server in self.servers.iter_mut().filter_map(Option::take) {
            server.shutdown().await;
        }
    }
}

/// Waits until a condition gives something.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn api(ports: &[u16], at: usize) -> String {
    format!("127.0.0.1:{}", ports[at])
}

fn server(place: &Path, ports: &[u16], at: usize) -> String {
    let raft = |at: usize| format!("127.0.0.1:{}", ports[3 + at]);
    let mut text = format!(
        "cluster = {CLUSTER:?}\nserver = {}\ndata_dir = {:?}\n[raft]\nlisten = \"{}\"\n\
         [api]\nlisten = \"{}\"\n",
        at + 1,
        place.join(format!("server-{at}")),
        raft(at),
        api(ports, at),
    );
    for at in 0..3 {
        text += &format!(
            "[[servers]]\nid = {}\nraft = \"{}\"\napi = \"{}\"\n",
            at + 1,
            raft(at),
            api(ports, at)
        );
    }
    text
}

/// What the checks of an agent answer.
pub async fn ask(at: std::net::SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(at).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asked.await.expect("the checks answer")
}
