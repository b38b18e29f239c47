//! Three servers, and three nodes with an agent and a store each.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_agent::{Config as AgentConfig, Handle, Launch};
use tenure_client::{Client, Follow, Options};
use tenure_core::{
    Attributes, Command, Epoch, LossPolicy, NodeId, NodeName, NodeRef, Note, Policy, PrimaryPolicy,
    Receipt, ServiceName,
};
use tenure_server::{Config, Running, Server};
use tenure_tests::ports::free_ports;

use super::store::Store;
use super::writer::Writer;

/// How long a condition may take on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

pub fn service() -> ServiceName {
    ServiceName::new("redis-server").expect("a name")
}

pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What the stores of a site are like.
#[derive(Default)]
pub struct Plan {
    /// More lines of each one's configuration.
    pub redis: &'static str,
    /// Where the first one's folder is, when it is not beside the others.
    pub first: Option<PathBuf>,
}

pub struct Site {
    pub folder: TempDir,
    pub servers: BTreeMap<u64, Running>,
    pub stores: BTreeMap<u64, Store>,
    pub agents: BTreeMap<u64, Handle>,
    apis: Vec<String>,
    ports: Vec<u16>,
    pub client: Client,
    follow: Follow,
}

impl Site {
    pub async fn start() -> Site {
        Self::of(Plan::default()).await
    }

    pub async fn of(plan: Plan) -> Site {
        let _traced = tracing_subscriber::fmt()
            .with_max_level(level())
            .with_test_writer()
            .try_init();
        let folder = tempfile::tempdir().expect("a folder");
        let ports = free_ports(6).expect("ports");
        let mut servers = BTreeMap::new();
        let apis: Vec<String> = (0..3)
            .map(|at| format!("127.0.0.1:{}", ports[at * 2]))
            .collect();
        for id in 1..=3u64 {
            let config = server_config(folder.path(), id, &ports);
            servers.insert(id, Server::start(config).await.expect("a server"));
        }
        let client = eventually("a client", || async {
            Client::connect(apis.clone(), Options::default()).await.ok()
        })
        .await;
        let follow = client.follow(service()).await.expect("follows");
        let mut site = Site {
            folder,
            servers,
            stores: BTreeMap::new(),
            agents: BTreeMap::new(),
            apis,
            ports,
            client,
            follow,
        };
        site.declare().await;
        for id in 1..=3 {
            site.start_node(id, &plan).await;
        }
        site.choose_first().await;
        site.whole().await;
        site
    }

    async fn declare(&self) {
        let policy = PrimaryPolicy {
            loss: LossPolicy::Never,
            replicas: 2,
            write_acks: 1,
            anti_flap_ms: tenure_core::Millis(0),
        };
        self.execute(Command::AddService {
            name: service(),
            policy: Policy::Primary(policy),
        })
        .await;
        for id in 1..=3 {
            self.execute(Command::AddNode {
                name: name(id),
                zone: None,
                labels: Attributes::default(),
                weight: 100,
            })
            .await;
        }
        eventually("feature level 2", || async {
            let state = self.client.discovery();
            let listed = state
                .list(
                    &tenure_core::Filter::default(),
                    tenure_client::Consistency::Linearizable,
                )
                .await
                .ok()?;
            let level = |record: &tenure_core::Record| {
                let tenure_core::Record::Settings(settings) = record else {
                    return None;
                };
                Some(settings.feature_level)
            };
            let settings = listed.records.iter().find_map(level)?;
            (settings >= 2).then_some(())
        })
        .await;
    }

    pub async fn execute(&self, command: Command) {
        self.client.admin().execute(command).await.expect("done");
    }

    async fn start_node(&mut self, id: u64, plan: &Plan) {
        let beside = self.folder.path().join(format!("redis-{id}"));
        let folder = plan.first.clone().filter(|_| id == 1).unwrap_or(beside);
        let mut store = Store::new(folder, plan.redis);
        store.start();
        let port = store.port;
        self.stores.insert(id, store);
        self.start_agent(id, port).await;
    }

    pub async fn start_agent(&mut self, id: u64, port: u16) {
        let state = self.folder.path().join(format!("agent-{id}"));
        let text = format!(
            "cluster = \"test\"\nservers = {:?}\nnode = \"db-{id}\"\nstate_dir = {:?}\n\
             [pledge]\nlisten = \"127.0.0.1:0\"\n\
             [[services]]\nname = \"redis-server\"\ndriver = \"redis\"\nendpoint = \"127.0.0.1:{port}\"\n",
            self.apis,
            state.display()
        );
        let config = AgentConfig::parse(Path::new("agent.toml"), &text).expect("a configuration");
        // One that was just dropped may still be ending.
        let handle = eventually("an agent", || async {
            Launch::new(config.clone()).start().await.ok()
        })
        .await;
        self.agents.insert(id, handle);
    }

    async fn choose_first(&self) {
        let admin = self.client.admin();
        eventually("a first primary", || async {
            let to = Some(NodeRef::Name(name(1)));
            let reason = Note::default();
            let wanted = tenure_client::FailoverOptions {
                to,
                reason,
                ..tenure_client::FailoverOptions::default()
            };
            match admin.failover(&service(), wanted).await {
                Ok(_) => Some(()),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    None
                }
            }
        })
        .await;
    }

    pub fn writer(&self) -> Writer {
        Writer::start(self.client.clone())
    }

    /// The primary that serves, by node, and its epoch.
    pub async fn primary(&mut self) -> (u64, Epoch) {
        let serving = tokio::time::timeout(BOUND, self.follow.serving()).await;
        let primary = serving.expect("in time").expect("a primary");
        (primary.member.node.0, primary.epoch)
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
            // A look in between does no harm.
            let left = left.min(Duration::from_millis(500));
            let _told = tokio::time::timeout(left, self.follow.changed()).await;
        }
    }

    pub async fn receipt(&self, epoch: Epoch) -> Arc<Receipt> {
        let admin = self.client.admin();
        eventually("a receipt", || async {
            let receipts = admin.receipts(Some(&service()), 32).await.ok()?;
            let (_, receipts) = receipts;
            receipts
                .into_iter()
                .find(|it| it.epoch == epoch)
                .map(Arc::new)
        })
        .await
    }

    /// Everybody follows, in sync.
    pub async fn whole(&self) {
        eventually("all in sync", || async {
            let resolved = self
                .client
                .discovery()
                .resolve(&service(), tenure_client::Consistency::Linearizable)
                .await
                .ok()?;
            let assignment = resolved.assignment?;
            let all = [1, 2, 3].map(NodeId);
            all.iter()
                .all(|node| assignment.in_sync.contains(node))
                .then_some(())
        })
        .await;
    }

    /// Stops all servers in order.
    pub async fn stop_servers(&mut self) {
        for (_, running) in std::mem::take(&mut self.servers) {
            running.shutdown().await;
        }
    }

    pub async fn start_servers(&mut self) {
        for id in 1..=3u64 {
            let config = server_config(self.folder.path(), id, &self.ports);
            self.servers
                .insert(id, Server::start(config).await.expect("a server"));
        }
    }

    /// The agent ends as if it were killed, or is started again.
    pub fn drop_agent(&mut self, node: u64) {
        drop(self.agents.remove(&node));
    }

    /// The agent ends without touching its store.
    pub async fn stop_agent(&mut self, node: u64) {
        let handle = self.agents.remove(&node).expect("an agent");
        handle.stop().await.expect("ends");
    }

    pub async fn restart_agent(&mut self, node: u64) {
        let port = self.stores[&node].port;
        self.start_agent(node, port).await;
    }

    pub fn freeze_store(&self, node: u64, frozen: bool) {
        self.stores[&node].freeze(frozen);
    }

    pub fn kill_store(&mut self, node: u64) {
        self.stores.get_mut(&node).expect("a store").kill();
    }

    pub fn start_store(&mut self, node: u64) {
        self.stores.get_mut(&node).expect("a store").start();
    }

    /// What was acknowledged and is not with the primary.
    pub async fn lost(&mut self, writer: &Writer) -> Vec<u64> {
        let (node, _) = self.primary().await;
        let port = self.stores[&node].port;
        writer.missing_at(port).await
    }

    pub async fn stop(self, within: Duration) {
        for handle in self.agents.into_values() {
            let _ended = tokio::time::timeout(within, handle.stop()).await;
        }
        for running in self.servers.into_values() {
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
    NodeName::new(&format!("db-{id}")).expect("a name")
}

fn server_config(folder: &Path, id: u64, ports: &[u16]) -> Config {
    let mut text = format!(
        "cluster = \"test\"\nserver = {id}\ndata_dir = {:?}\n",
        folder.join(format!("server-{id}")).display()
    );
    let at = |id: u64| usize::try_from(id - 1).expect("small") * 2;
    let api = |id: u64| format!("127.0.0.1:{}", ports[at(id)]);
    let raft = |id: u64| format!("127.0.0.1:{}", ports[at(id) + 1]);
    text += &format!(
        "[raft]\nlisten = {:?}\n[api]\nlisten = {:?}\n",
        raft(id),
        api(id)
    );
    for other in 1..=3 {
        text += &format!(
            "[[servers]]\nid = {other}\nraft = {:?}\napi = {:?}\n",
            raft(other),
            api(other)
        );
    }
    Config::parse(Path::new("server.toml"), &text).expect("a configuration")
}
