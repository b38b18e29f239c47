//! Three servers, and three nodes with an agent and a `mariadbd` each, all in one process but the latter.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_agent::{Config as AgentConfig, Handle, Launch};
use tenure_client::{Client, Consistency, FailoverOptions, Follow, Options};
use tenure_core::{
    Attributes, Command, Epoch, Filter, LossPolicy, Millis, NodeName, NodeRef, Policy,
    PrimaryPolicy, Record, ServiceName,
};
use tenure_server::{Config, Running, Server};
use tenure_tests::failover::config::{Listens, node_name, server};
use tenure_tests::mariadb::config::{Files, OPERATOR, SERVICE, agent};
use tenure_tests::mariadb::server::Mariadb;
use tenure_tests::mariadb::template::Template;
use tenure_tests::mariadb::writer::prepare;
use tenure_tests::ports::free_ports;

use super::load::Load;

/// How long a condition may take on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

pub const ALL: [u64; 3] = [1, 2, 3];

/// How often what is in turns is repeated: so often in the gate, or as the environment says.
pub fn rounds(gate: u32) -> u32 {
    let wanted = std::env::var("TENURE_MYSQL_ROUNDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(gate)
}

pub fn service() -> ServiceName {
    ServiceName::new(SERVICE).expect("a name")
}

pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    condition: impl FnMut() -> F,
) -> T {
    let found = within_bound(condition).await;
    found.unwrap_or_else(|| panic!("not within {BOUND:?}: {what}"))
}

pub async fn within_bound<T, F: Future<Output = Option<T>>>(
    mut condition: impl FnMut() -> F,
) -> Option<T> {
    let deadline = Instant::now() + BOUND;
    while Instant::now() < deadline {
        if let Some(found) = condition().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// What a site is like.
#[derive(Default)]
pub struct Plan {
    /// More lines of each one's configuration.
    pub mariadbd: &'static str,
    /// More settings of each agent's driver.
    pub agent: String,
    /// Where the first one's folder is, when it is not beside the others.
    pub first: Option<PathBuf>,
}

pub struct Site {
    // Before the folder: fields are dropped in this order, and processes must be gone before their files.
    pub agents: BTreeMap<u64, Handle>,
    pub servers: Vec<Running>,
    pub stores: BTreeMap<u64, Mariadb>,
    apis: Vec<SocketAddr>,
    pub client: Client,
    follow: Follow,
    pub plan: Plan,
    pub folder: TempDir,
}

/// The data of all begin as a copy of what stands here.
fn shelf() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The place in lists of a node's number.
fn place(node: u64) -> usize {
    usize::try_from(node - 1).expect("small")
}

/// A `mariadbd` that nobody looks after.
pub async fn lone(folder: &Path) -> Mariadb {
    let template = Template::on(&shelf()).expect("a template");
    let port = free_ports(1).expect("a port");
    let files = Files {
        folder: folder.join("mariadbd"),
    };
    let process = Mariadb::process(&files, 1);
    let store = Mariadb::new(&template, files, loopback(port[0]), 1, process, "");
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    store.start().expect("mariadb-server is installed");
    is_up(&store).await;
    store
}

async fn is_up(store: &Mariadb) {
    eventually("mariadbd to be up", || async {
        store.check().unwrap_or_else(|error| panic!("{error}"));
        store.is_up().await.then_some(())
    })
    .await;
}

impl Site {
    pub async fn start() -> Site {
        Self::of(Plan::default()).await
    }

    /// With a primary, and all in sync.
    pub async fn of(plan: Plan) -> Site {
        let site = Self::empty(plan).await;
        site.serving().await;
        site
    }

    /// A first primary is named, all are in sync, and there is a table to write to.
    pub async fn serving(&self) {
        self.choose_first().await;
        self.whole().await;
        prepare(self.primary_now().await, OPERATOR)
            .await
            .expect("a table to write to");
    }

    /// Everything runs, and nobody has a role.
    pub async fn empty(plan: Plan) -> Site {
        let mut site = Self::unattended(plan).await;
        for node in ALL {
            site.start_agent(node).await;
        }
        site
    }

    /// Everything runs but the agents.
    pub async fn unattended(plan: Plan) -> Site {
        let _traced = tracing_subscriber::fmt()
            .with_max_level(level())
            .with_test_writer()
            .try_init();
        let folder = tempfile::tempdir().expect("a folder");
        let ports = free_ports(9).expect("ports");
        let (apis, rafts) = (&ports[0..3], &ports[3..6]);
        let at = |ports: &[u16]| ports.iter().copied().map(loopback).collect::<Vec<_>>();
        let (apis, rafts) = (at(apis), at(rafts));
        let mut servers = Vec::new();
        for at in 0..3 {
            let data = folder.path().join(format!("server-{at}"));
            let text = server(at, &apis, &rafts, &data);
            let config = Config::parse(Path::new("server.toml"), &text).expect("valid");
            servers.push(Server::start(config).await.expect("a server"));
        }
        let named: Vec<String> = apis.iter().map(ToString::to_string).collect();
        let client = eventually("a client", || async {
            Client::connect(named.clone(), Options::default())
                .await
                .ok()
        })
        .await;
        let follow = client.follow(service()).await.expect("follows");
        let mut site = Site {
            agents: BTreeMap::new(),
            servers,
            stores: BTreeMap::new(),
            apis,
            client,
            follow,
            plan,
            folder,
        };
        site.declare().await;
        let template = Template::on(&shelf()).expect("a template");
        for node in ALL {
            site.make_store(&template, node, loopback(ports[5 + place(node) + 1]));
        }
        for node in ALL {
            site.is_up(node).await;
        }
        site
    }

    fn make_store(&mut self, template: &Template, node: u64, address: SocketAddr) {
        let beside = self.folder.path().join(format!("mariadbd-{node}"));
        let first = self.plan.first.clone().filter(|_| node == 1);
        let files = Files {
            folder: first.unwrap_or(beside),
        };
        let process = Mariadb::process(&files, node);
        let more = self.plan.mariadbd;
        let store = Mariadb::new(template, files, address, node, process, more);
        let store = store.unwrap_or_else(|error| panic!("{error}"));
        store.start().expect("mariadb-server is installed");
        self.stores.insert(node, store);
    }

    pub async fn is_up(&self, node: u64) {
        is_up(&self.stores[&node]).await;
    }

    async fn declare(&self) {
        let policy = PrimaryPolicy {
            loss: LossPolicy::Never,
            replicas: 2,
            write_acks: 1,
            anti_flap_ms: Millis(0),
        };
        self.execute(Command::AddService {
            name: service(),
            policy: Policy::Primary(policy),
        })
        .await;
        for node in ALL {
            self.execute(Command::AddNode {
                name: name(node),
                zone: None,
                labels: Attributes::default(),
                weight: 100,
            })
            .await;
        }
        eventually("feature level 2", || async {
            let discovery = self.client.discovery();
            let everything = Filter::default();
            let listed = discovery.list(&everything, Consistency::Linearizable);
            let listed = listed.await.ok()?;
            let level = |record: &Record| {
                let Record::Settings(settings) = record else {
                    return None;
                };
                Some(settings.feature_level)
            };
            let level = listed.records.iter().find_map(level)?;
            (level >= 2).then_some(())
        })
        .await;
    }

    pub async fn execute(&self, command: Command) {
        self.client.admin().execute(command).await.expect("done");
    }

    pub async fn start_agent(&mut self, node: u64) {
        let state = self.folder.path().join(format!("agent-{node}"));
        let any = loopback(0);
        let listens = Listens {
            checks: any,
            pledges: any,
        };
        let store = &self.stores[&node];
        let own = (place(node), store.address);
        let more = &self.plan.agent;
        let text = agent(own, &self.apis, &state, listens, &store.files, more);
        let config = AgentConfig::parse(Path::new("agent.toml"), &text);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        // One that was just dropped may still be ending.
        let handle = eventually("an agent", || async {
            Launch::new(config.clone()).start().await.ok()
        })
        .await;
        self.agents.insert(node, handle);
    }

    /// The agent ends as if it were killed.
    pub fn drop_agent(&mut self, node: u64) {
        drop(self.agents.remove(&node));
    }

    pub async fn choose_first(&self) {
        let admin = self.client.admin();
        eventually("a first primary", || async {
            let wanted = FailoverOptions {
                to: Some(node(1)),
                ..FailoverOptions::default()
            };
            if admin.failover(&service(), wanted).await.is_ok() {
                return Some(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        })
        .await;
    }

    pub async fn load(&self) -> Load {
        Load::start(&self.client).await
    }

    /// The primary that serves, by node, and its epoch.
    pub async fn primary(&mut self) -> (u64, Epoch) {
        let serving = tokio::time::timeout(BOUND, self.follow.serving()).await;
        let primary = serving.expect("in time").expect("a primary");
        (primary.member.node.0, primary.epoch)
    }

    /// Where the primary is that serves.
    pub async fn primary_now(&self) -> SocketAddr {
        eventually("a primary", || async {
            let discovery = self.client.discovery();
            let service = service();
            let resolved = discovery.resolve(&service, Consistency::Linearizable);
            let resolved = resolved.await.ok()?;
            resolved.primary()?.endpoint.as_str().parse().ok()
        })
        .await
    }

    pub async fn serves_after(&mut self, epoch: Epoch) -> (u64, Epoch) {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(now) = self.follow.current()
                && now.epoch > epoch
            {
                return (now.member.node.0, now.epoch);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let explained = self.client.admin().explain(&service()).await;
                panic!("nobody took over from epoch {epoch}: {explained:#?}");
            }
            let left = left.min(Duration::from_millis(500));
            let _told = tokio::time::timeout(left, self.follow.changed()).await;
        }
    }

    pub fn address(&self, node: u64) -> SocketAddr {
        self.stores[&node].address
    }

    pub fn kill(&self, node: u64) {
        self.stores[&node].kill().expect("killed");
    }

    pub fn start_store(&self, node: u64) {
        self.stores[&node].start().expect("started");
    }

    pub fn freeze(&self, node: u64) {
        self.stores[&node].freeze().expect("stopped");
    }

    pub fn thaw(&self, node: u64) {
        self.stores[&node].thaw().expect("goes on");
    }

    pub async fn stop(self) {
        let within = Duration::from_secs(10);
        for handle in self.agents.into_values() {
            let _ended = tokio::time::timeout(within, handle.stop()).await;
        }
        for running in self.servers {
            let _ended = tokio::time::timeout(within, running.shutdown()).await;
        }
    }
}

/// What is printed of what happens: `TENURE_LOG=debug` shows more.
fn level() -> tracing_subscriber::filter::LevelFilter {
    let wanted = std::env::var("TENURE_LOG").ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    wanted.unwrap_or(tracing_subscriber::filter::LevelFilter::WARN)
}

pub fn name(id: u64) -> NodeName {
    NodeName::new(&node_name(place(id))).expect("a name")
}

pub fn node(id: u64) -> NodeRef {
    NodeRef::Name(name(id))
}
